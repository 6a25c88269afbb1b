// Command drill is the outage drill: it starts the real programs as processes, breaks
// one thing after another while thousands of readings a second flow, and prints one table
// of what was acknowledged and what reached Kafka. See drill -h, and docs/drill.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/test/drill/rig"
)

func main() { os.Exit(run()) }

func run() int {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, errDone):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "drill:", err)
		return 2
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	if err := rig.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		return 1
	}
	return 0
}

// errDone reports that the command line asked only for text.
var errDone = errors.New("done")

// parse reads the command line.
func parse(args []string, out io.Writer) (rig.Options, error) {
	o := rig.Options{Out: out}
	var only string
	var list bool
	fs := flag.NewFlagSet("drill", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.BoolVar(&o.Quick, "quick", false, "fewer and shorter outages, in about 10 minutes")
	fs.StringVar(&only, "only", "", "`names` of the faults to try, comma separated; empty: all")
	fs.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()), "`seed` of the random moments; it is printed")
	fs.BoolVar(&list, "list", false, "list the faults and exit")
	fs.StringVar(&o.Dir, "dir", "data/drill", "`directory` for data and logs, on the disk to be tested")
	fs.BoolVar(&o.Keep, "keep", false, "keep data and logs; logs of failed faults are always kept")
	fs.StringVar(&o.Bin, "bin", "", "`directory` of the programs; empty: build them")
	fs.StringVar(&o.Kafka, "kafka", "", "`host:port` of a running Kafka, for faults that do not stop it or make it misbehave; empty: the embedded broker")
	fs.BoolVar(&o.AllowMissing, "allow-missing", false, "do not fail on faults that cannot be tried on this machine")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			err = errDone
		}
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see drill -h", fs.Arg(0))
	}
	if list {
		printList(out, faults())
		return o, errDone
	}
	var err error
	o.Faults, err = choose(faults(), only, o.Quick)
	return o, err
}

// choose returns the selected faults, in the table's order.
func choose(all []rig.Fault, only string, quick bool) ([]rig.Fault, error) {
	if only == "" {
		return slices.DeleteFunc(all, func(f rig.Fault) bool { return quick && f.Quick == 0 }), nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(f rig.Fault) bool { return f.Name == name }) {
			return nil, fmt.Errorf("-only: unknown fault %q; see drill -list", name)
		}
	}
	return slices.DeleteFunc(all, func(f rig.Fault) bool { return !slices.Contains(wanted, f.Name) }), nil
}

func printList(out io.Writer, all []rig.Fault) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\ttimes\tquick\tbreaks\texpects, besides nothing lost, duplicated or out of order")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", f.Name, f.Times, f.Quick, f.Breaks, f.Expects)
	}
	_ = w.Flush() // out is the user's
}
