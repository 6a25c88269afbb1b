// Package trial measures the whole chain: for each load it starts the programs with fresh
// data, as a process each or all in one, runs a simulator and WebSocket clients, reads the
// programs' counters, the size of Kafka's log, and the CPU and memory of the processes, and
// lets test/oracle judge. loadtest/bench/report writes it down. Run blocks until the results
// are printed.
package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/loadtest/bench/report"
	"industrial-iot-monitor/test/cluster"
)

// ErrSlower is returned with Options.Fail when a figure is clearly worse than in the last
// saved run.
var ErrSlower = errors.New("worse than the last run")

// workshop is where the programs and the data of all trials are.
type workshop struct{ dir, bin string }

// build compiles the programs into a fresh directory.
func build(ctx context.Context, o *Options) (workshop, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return workshop{}, err
	}
	w := workshop{dir: filepath.Join(dir, time.Now().Format("20060102-150405"))}
	w.bin = filepath.Join(w.dir, "bin")
	if err := cluster.Build(ctx, w.bin); err != nil {
		return w, err
	}
	return w, cluster.BuildPackages(ctx, w.bin, "./deploy/allinone")
}

// Run runs the trials one after the other, prints and saves the table, and compares it with
// the runs saved before.
func Run(ctx context.Context, o Options, out io.Writer) error {
	w, err := build(ctx, &o)
	if !o.Keep {
		defer os.RemoveAll(w.dir) //nolint:errcheck // leftovers are harmless
	}
	if err != nil {
		return err
	}
	if o.Alarms > 0 {
		return runFlood(ctx, o, w, out)
	}
	r := &report.Run{Date: time.Now(), Revision: revision(ctx), Machine: report.ThisMachine(), Duration: o.Duration, Warmup: o.Warmup}
	number := 0
	for round := range o.Count {
		for _, load := range o.Loads {
			number++
			fmt.Fprintf(out, "%s: %s, %d of %d\n", time.Now().Format(time.TimeOnly), load, round+1, o.Count)
			sample, notes, err := measure(ctx, o, load, w, strconv.Itoa(number))
			if sample != nil {
				r.Add(load, sample, notes...)
			}
			if err != nil {
				return errors.Join(fmt.Errorf("at %s: %w", load, err), finish(o, r, out))
			}
		}
	}
	return finish(o, r, out)
}

// measure runs one trial of any kind.
func measure(ctx context.Context, o Options, load report.Load, w workshop, name string) (report.Sample, []string, error) {
	switch load.Kind {
	case report.Drain:
		return runDrain(ctx, o, load, w, name)
	case report.Idle:
		return runIdle(ctx, o, load, w, name)
	default:
		return runTrial(ctx, o, load, w, name)
	}
}

// finish prints and saves what there is, and compares it.
func finish(o Options, r *report.Run, out io.Writer) error {
	if len(r.Results) == 0 {
		return nil
	}
	earlier, err := report.Earlier(o.Results, r.Machine)
	if err != nil {
		fmt.Fprintln(out, "not compared with all saved runs:", err)
	}
	compared := report.Compare(r, earlier)
	text := report.Table(r) + compared.Text
	fmt.Fprint(out, "\n", text)
	name, err := r.Save(o.Results, text)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "saved as %s\n", name)
	if len(compared.Losses) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nWORSE than before:\n- %s\n", strings.Join(compared.Losses, "\n- "))
	if o.Fail {
		return fmt.Errorf("%d figures are %w", len(compared.Losses), ErrSlower)
	}
	return nil
}

func revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown revision"
	}
	return strings.TrimSpace(string(out))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
