// Package trial measures the whole chain: for each rate it starts the programs as processes
// with fresh data, runs a simulator and WebSocket clients, reads the programs' counters and
// the CPU and memory of the processes, and lets test/oracle judge. Run blocks until the
// results are printed.
package trial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/cluster"
)

// Options of a benchmark.
type Options struct {
	Loads    []Load
	Duration time.Duration
	Warmup   time.Duration
	Brokers  []string // empty: the embedded broker
	Protocol string   // nats or mqtt
	Interval time.Duration
	Dir      string // for the data of a trial
	Results  string // directory for the tables
	Keep     bool   // keep data and logs
	Viewer   bool   // a client that subscribes to everything
	Profile  bool   // save a CPU profile of every program
	// Excursions start in the whole fleet in a minute; each is an alarm.
	Excursions int
	// Repeat is the share of acknowledged messages that devices send again.
	Repeat float64
	// Alarms is how many alarms are raised in one second, 0 for an ordinary benchmark.
	Alarms int
}

// Load is the load of one trial.
type Load struct {
	Rate  int // readings a second
	Batch int // readings in a message
}

// String names the load in a table.
func (l Load) String() string {
	if l.Batch > 1 {
		return fmt.Sprintf("%s/s in batches of %d", thousands(float64(l.Rate)), l.Batch)
	}
	return thousands(float64(l.Rate)) + "/s"
}

// parseLoad reads a rate, or a rate and a batch size: 2000, 20000x50.
func parseLoad(text string) (Load, error) {
	rate, batch, batched := strings.Cut(text, "x")
	l := Load{Batch: 1}
	var err error
	if l.Rate, err = strconv.Atoi(rate); err != nil || l.Rate < 1 {
		return l, fmt.Errorf("-rates: invalid rate %q", text)
	}
	if !batched {
		return l, nil
	}
	if l.Batch, err = strconv.Atoi(batch); err != nil || l.Batch < 1 || l.Batch > wire.MaxBatchReadings {
		return l, fmt.Errorf("-rates: invalid batch %q; want 1 to %d readings", text, wire.MaxBatchReadings)
	}
	return l, nil
}

// env is the environment added to every program.
func (o *Options) env() map[string]string {
	return map[string]string{"OPS_PPROF": strconv.FormatBool(o.Profile)}
}

// ParseFlags reads the command line.
func ParseFlags(args []string, out io.Writer) (Options, error) {
	var o Options
	var rates, brokers string
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&rates, "rates", "2000,20000,100000,100000x50", "`readings` a second, comma separated: one trial each; 100000x50 sends them in batches of 50")
	fs.DurationVar(&o.Duration, "duration", time.Minute, "`time` measured in each trial")
	fs.DurationVar(&o.Warmup, "warmup", 5*time.Second, "`time` before that")
	fs.StringVar(&brokers, "brokers", "", "`addresses` of a running Kafka; none: the embedded broker as a process")
	fs.StringVar(&o.Protocol, "protocol", "nats", "`name`: nats or mqtt")
	fs.DurationVar(&o.Interval, "interval", time.Second, "`time` between two readings of a device")
	fs.StringVar(&o.Dir, "dir", "data/bench", "`directory` for data and logs, on the disk to be measured")
	fs.StringVar(&o.Results, "results", "bench-results", "`directory` for the tables")
	fs.BoolVar(&o.Keep, "keep", false, "keep data and logs")
	fs.BoolVar(&o.Viewer, "all", true, "also measure at a client that subscribes to every device")
	fs.BoolVar(&o.Profile, "profile", false, "save CPU profiles of all programs beside the tables; this costs some CPU")
	fs.IntVar(&o.Excursions, "excursions", 60, "`number` of excursions, and so alarms, that start in the whole fleet in a minute")
	fs.Float64Var(&o.Repeat, "repeat", 0.01, "`share` of acknowledged messages that devices send again, 0 to 1; none may be stored twice")
	alarms := fs.Bool("alarms", false, "instead of the table: the effect of a flood of 1,000 alarms in one second at the first rate")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *alarms {
		o.Alarms = floodAlarms
	}
	for text := range strings.SplitSeq(rates, ",") {
		load, err := parseLoad(text)
		if err != nil {
			return o, err
		}
		o.Loads = append(o.Loads, load)
	}
	if brokers != "" {
		o.Brokers = strings.Split(brokers, ",")
	}
	if o.Duration < time.Second || o.Interval < 10*time.Millisecond {
		return o, errors.New("-duration must be at least 1s, -interval at least 10ms")
	}
	return o, nil
}

// Run runs the trials one after the other, prints the table to out and saves it.
func Run(ctx context.Context, o Options, out io.Writer) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, time.Now().Format("20060102-150405"))
	bin := filepath.Join(dir, "bin")
	if err := cluster.Build(ctx, bin); err != nil {
		return err
	}
	if !o.Keep {
		defer os.RemoveAll(dir) //nolint:errcheck // leftovers are harmless
	}
	if o.Alarms > 0 {
		return runFlood(ctx, o, bin, filepath.Join(dir, "alarms"), out)
	}
	var results []*Result
	for i, load := range o.Loads {
		fmt.Fprintf(out, "%s: %s for %s\n", time.Now().Format(time.TimeOnly), load, o.Duration)
		r, err := runTrial(ctx, o, load, bin, filepath.Join(dir, strconv.Itoa(i)))
		if r != nil {
			results = append(results, r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("at %s: %w", load, err), report(ctx, o, results, out))
		}
	}
	return report(ctx, o, results, out)
}

// report prints the table and saves it.
func report(ctx context.Context, o Options, results []*Result, out io.Writer) error {
	if len(results) == 0 {
		return nil
	}
	text := table(ctx, o, results)
	fmt.Fprint(out, "\n", text)
	return save(o, text, out)
}

// save writes a table to a file.
func save(o Options, text string, out io.Writer) error {
	if err := os.MkdirAll(o.Results, 0o750); err != nil {
		return err
	}
	name := filepath.Join(o.Results, time.Now().Format("20060102-150405")+".md")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return fmt.Errorf("saving the table: %w", err)
	}
	fmt.Fprintf(out, "\nsaved as %s\n", name)
	return nil
}
