// Command soak runs the whole chain at an ordinary load for a long time and fails when the memory,
// the goroutines or the open files of any process grow without end: once with every program
// as a process, once all in one. See soak -h.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
)

func main() { os.Exit(run()) }

func run() int {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 2
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	if err := soak(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 1
	}
	return 0
}

// options of a soak.
type options struct {
	For      time.Duration
	Every    time.Duration
	Devices  int
	Interval time.Duration
	Clients  int
	Dir      string
	Results  string
	Only     string
}

func parse(args []string, out io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.DurationVar(&o.For, "for", 30*time.Minute, "`time` to run; the first half warms up, the second is judged")
	fs.DurationVar(&o.Every, "every", 2*time.Second, "`time` between two samples")
	fs.IntVar(&o.Devices, "devices", 3000, "`number` of devices of each plant")
	fs.DurationVar(&o.Interval, "interval", 5*time.Second, "`time` between two readings of a device")
	fs.IntVar(&o.Clients, "clients", 10, "`number` of WebSocket clients of each plant; every second one subscribes to all devices")
	fs.StringVar(&o.Dir, "dir", "", "`directory` for data and logs; empty: a temporary one, removed after success")
	fs.StringVar(&o.Results, "results", "bench-results/soak", "`directory` for samples, heap profiles and verdict")
	fs.StringVar(&o.Only, "only", "", "`plant` to run: processes or allinone; empty: both at the same time")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see soak -h", fs.Arg(0))
	case o.Only != "" && plants[o.Only] == nil:
		return o, fmt.Errorf("-only=%s: want processes or allinone", o.Only)
	case o.For <= 0 || o.Every <= 0:
		return o, errors.New("-for and -every: want more than 0")
	}
	return o, nil
}
