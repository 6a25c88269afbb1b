package detection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/suite"
	"industrial-iot-monitor/core/internal/suite/plant"
)

// evalOptions say what is measured.
type evalOptions struct {
	nab, nabLabels, skab string
	plant                plant.Options
	healthy              bool
}

// eval measures the detector and prints tables in Markdown.
func eval(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parseEval(args, errs)
	if err != nil {
		return err
	}
	if o.nab != "" {
		if err := evalNAB(&o, out); err != nil {
			return err
		}
	}
	if o.skab != "" {
		if err := evalSKAB(&o, out); err != nil {
			return err
		}
	}
	if o.plant.Devices == 0 {
		return nil
	}
	return evalPlant(ctx, &o, out)
}

func parseEval(args []string, errs io.Writer) (evalOptions, error) {
	o := evalOptions{plant: plant.Default()}
	f := flags("eval", errs)
	f.StringVar(&o.nab, "nab", "", "directory with series of the Numenta Anomaly Benchmark and combined_windows.json")
	f.StringVar(&o.nabLabels, "nab-labels", "", "file of their windows, if it is elsewhere")
	f.StringVar(&o.skab, "skab", "", "directory with files of the Skoltech Anomaly Benchmark")
	f.IntVar(&o.plant.Devices, "devices", 0, "simulated devices; 0: none")
	f.IntVar(&o.plant.Days, "days", o.plant.Days, "simulated days, the first of which is learning")
	f.BoolVar(&o.healthy, "healthy", true, "simulate the plant without faults, too")
	seeds := f.String("seeds", "11,12,13", "seeds of simulated plants")
	if err := parse(f, args); err != nil {
		return o, err
	}
	o.plant.Seeds = nil
	for s := range strings.SplitSeq(*seeds, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return o, fmt.Errorf("%w: -seeds: %q is no seed", errUsage, s)
		}
		o.plant.Seeds = append(o.plant.Seeds, n)
	}
	if o.nab == "" && o.skab == "" && o.plant.Devices == 0 {
		return o, fmt.Errorf("%w: nothing to measure: want -nab, -skab or -devices", errUsage)
	}
	if o.plant.Devices < 0 || o.plant.Days < 2 {
		return o, fmt.Errorf("%w: want -devices from 0 and -days from 2 on", errUsage)
	}
	return o, nil
}

func product() suite.Judge { return newJudge(detect.Defaults(), nil) }

// evalNAB scores by NAB's rules; the novelty of a value is the score.
func evalNAB(o *evalOptions, out io.Writer) error {
	c, err := suite.ReadNAB(o.nab, o.nabLabels)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "## NAB\n\nScores of the three profiles at the best threshold, at 0.5, and with each folder judged by the threshold that is best for the others.\n\n"+
		"| detector | standard | low false positives | low false negatives | at 0.5 | threshold left out | windows found | false alarms | precision | recall | F1 (95 %) |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, d := range append([]suite.Candidate{{Name: "product", New: product}}, suite.NABBaselines()...) {
		r := c.Score(d.New)
		p, e := &r.Profiles, &r.Fixed
		fmt.Fprintf(out, "| %s | %.1f | %.1f | %.1f | %.1f / %.1f / %.1f | %.1f / %.1f / %.1f | %d of %d | %d | %.3f | %.3f | %.3f (%.3f–%.3f) |\n", d.Name,
			p[0].Score, p[1].Score, p[2].Score, p[0].Fixed, p[1].Fixed, p[2].Fixed, p[0].LeftOut, p[1].LeftOut, p[2].LeftOut,
			e.Hits, e.Windows, e.Alarms, e.Precision, e.Recall, e.F1, e.F1Low, e.F1High)
	}
	fmt.Fprintln(out)
	return nil
}

// evalSKAB scores by the outlier protocol of SKAB's leaderboard.
func evalSKAB(o *evalOptions, out io.Writer) error {
	fmt.Fprint(out, "## SKAB\n\nRows of all files pooled, those of learning included; 95 % over files.\n\n"+
		"| detector | F1 | false alarms % | missed % | precision | recall | events found | delay, median rows | false events |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, d := range append([]suite.Candidate{{Name: "product", New: product}}, suite.SKABBaselines()...) {
		r, err := suite.SKAB(o.skab, d.New)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "| %s | %.3f (%.3f–%.3f) | %.1f (%.1f–%.1f) | %.1f (%.1f–%.1f) | %.3f | %.3f | %d of %d | %d | %d |\n", d.Name,
			r.F1(), r.F1CI.Low, r.F1CI.High, r.FAR(), r.FARCI.Low, r.FARCI.High, r.MAR(), r.MARCI.Low, r.MARCI.High,
			r.Precision(), r.Recall(), r.Found, r.Events, r.Delay, r.False)
	}
	fmt.Fprintln(out)
	return nil
}

// evalPlant measures simulated plants, with faults and without.
func evalPlant(ctx context.Context, o *evalOptions, out io.Writer) error {
	fmt.Fprint(out, "## Simulated plants\n\n")
	for _, anomalies := range []float64{o.plant.Anomalies, 0} {
		p := o.plant
		p.Anomalies = anomalies
		if anomalies == 0 {
			if !o.healthy {
				break
			}
			fmt.Fprint(out, "\nWithout faults:\n\n")
		}
		results, cost, err := plant.Run(ctx, p, append([]plant.Contestant{plant.Product("product", detect.Defaults())}, plant.Baselines()...)...)
		if err != nil {
			return errors.Join(errFailed, err)
		}
		plant.Print(out, p, results, cost)
	}
	return nil
}

var errFailed = errors.New("the measurement was not finished")
