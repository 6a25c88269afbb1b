package plant

import (
	"fmt"
	"io"
	"time"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// Print writes the results as tables in Markdown: event measures with 95 % confidence intervals
// over seeds, then recall and delay for each kind of fault.
func Print(w io.Writer, o Options, results []Result, c Cost) {
	fmt.Fprintf(w, "%d devices × %d days at %s, %d seeds: %d readings, %d values in %s; the generator took %s a value.\n\n",
		o.Devices, o.Days, o.Interval, len(o.Seeds), c.Readings, c.Values, c.Took.Round(time.Second),
		c.Generating/time.Duration(max(1, c.Values)))
	fmt.Fprintln(w, "| detector | precision | recall | F1 | accuracy of a device-day | false alarms a device-day | aside | time a value |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for i := range results {
		r := &results[i]
		fmt.Fprintf(w, "| %s |", r.Name)
		for _, figure := range []func(*Tally) float64{(*Tally).Precision, (*Tally).Recall, (*Tally).F1, (*Tally).Accuracy} {
			fmt.Fprintf(w, " %s |", Confidence(r.Seeds, figure).text("%.3f"))
		}
		all := r.All()
		fmt.Fprintf(w, " %s | %d | %s |\n", Confidence(r.Seeds, (*Tally).FalsePerDay).text("%.4f"), all.Aside,
			r.Took/time.Duration(max(1, c.Values)))
	}
	kinds := o.Kinds
	if len(kinds) == 0 {
		kinds = fleet.AnomalyKinds
	}
	for i := range results {
		printKinds(w, o, &results[i], kinds)
	}
}

// printKinds writes recall and delay of a contestant for each kind that occurred.
func printKinds(w io.Writer, o Options, r *Result, kinds []telemetry.AnomalyKind) {
	all := r.All()
	if sum(all.Found) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n\n| kind | events | recall | delay, median | in readings | delay, 90 %% | in readings |\n|---|---|---|---|---|---|---|\n", r.Name)
	for _, k := range kinds {
		n := all.Found[k] + all.Missed[k]
		if n == 0 {
			continue
		}
		fmt.Fprintf(w, "| %s | %d | %s |", k, n, Confidence(r.Seeds, func(t *Tally) float64 { return t.RecallOf(k) }).text("%.3f"))
		if all.Found[k] == 0 {
			fmt.Fprintln(w, " – | – | – | – |")
			continue
		}
		for _, q := range []float64{0.5, 0.9} {
			at := func(unit time.Duration) Estimate {
				return Confidence(r.Seeds, func(t *Tally) float64 { return float64(t.Delay(k, q)) / float64(unit) })
			}
			fmt.Fprintf(w, " %s min | %s |", at(time.Minute).text("%.1f"), at(o.Interval).text("%.1f"))
		}
		fmt.Fprintln(w)
	}
}

// All returns the sum of all seeds.
func (r *Result) All() Tally {
	var all Tally
	for i := range r.Seeds {
		all.Add(&r.Seeds[i])
	}
	return all
}

func (e Estimate) text(format string) string {
	if e.Low == e.High {
		return fmt.Sprintf(format, e.Value)
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", e.Value, e.Low, e.High)
}
