// Command scale plays many gateways against one bridge with its hub, one core and one portal, each
// program as a process, and measures what a gateway costs them: memory and CPU, the time until all
// gateways are known, a killed bridge, one busy gateway among quiet ones, and the portal's list
// of gateways. It fails when a gateway stays unknown or a pack is not in Kafka exactly once. The
// gateways have real leaf links, JetStream domains and streams, but no device side. See scale -h.
package main

import (
	"context"
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
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == playFlag {
		return runPlay(ctx, os.Args[2:])
	}
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "scale:", err)
		return 2
	}
	if err := scale(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		return 1
	}
	return 0
}

func runPlay(ctx context.Context, args []string) int {
	o, err := parsePlay(args)
	if err == nil {
		err = play(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale "+playFlag+":", err)
		return 1
	}
	return 0
}

// options of a run.
type options struct {
	Gateways  int
	Processes int
	Stage     time.Duration
	Every     time.Duration
	Busy      int
	Limit     time.Duration
	Links     string
	Dir       string
	Profiles  string
}

func parse(args []string, out io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("scale", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.IntVar(&o.Gateways, "gateways", 1000, "`number` of gateways")
	fs.IntVar(&o.Processes, "processes", 4, "`number` of processes that play them")
	fs.DurationVar(&o.Stage, "stage", 20*time.Second, "`time` of each measurement")
	fs.DurationVar(&o.Every, "every", time.Second, "`time` between two packs of a gateway")
	fs.IntVar(&o.Busy, "busy", 2000, "readings per `second` of the busy gateway")
	fs.DurationVar(&o.Limit, "limit", 8*time.Minute, "`time` after which the run is given up, once the programs are built")
	fs.StringVar(&o.Links, "compression", "auto", "BRIDGE_LEAF_COMPRESSION of the hub: `auto` or off")
	fs.StringVar(&o.Dir, "dir", "", "`directory` for data and logs; empty: a temporary one, removed after success")
	fs.StringVar(&o.Profiles, "profiles", "", "`directory` for CPU and heap profiles of the programs; empty: none")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; see scale -h", fs.Arg(0))
	case o.Gateways < 2 || o.Processes < 1 || o.Processes > o.Gateways:
		return o, errors.New("-gateways and -processes: want at least 2 gateways, and no more processes than gateways")
	case o.Stage < time.Second || o.Every < time.Millisecond || o.Busy < 1:
		return o, errors.New("-stage, -every and -busy: want at least 1s, 1ms and 1")
	}
	return o, nil
}

// scale runs all stages and prints the table.
func scale(ctx context.Context, o options, out io.Writer) (err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "scale-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(o.Dir)
			}
		}()
	}
	p, err := newPlant(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ctx, cancel := context.WithTimeout(ctx, o.Limit) // without the time that building takes
	defer cancel()
	t := &table{}
	err = p.stages(ctx, t)
	return errors.Join(err, t.print(out))
}
