// Command mutate measures how well tests guard their package: it puts one small fault after
// another into the code, runs the package's own tests and lists the faults they let pass.
//
// The tree is never touched: each mutant is compiled with go's -overlay. Only lines that
// the tests execute are tried; a fault in any other line survives by definition. Survivors
// that no test can or should catch are listed with a reason in accepted.txt.
//
// It was written because go-gremlins/gremlins v0.6 copies the module for each worker, runs
// every mutant of a package and cannot take a sample: hours on packages whose tests start
// brokers.
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
	err := mutate(ctx, os.Args[1:], os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(os.Stderr, "mutate:", err)
	return 1
}

// options are the command line.
type options struct {
	sample   int
	seed     uint64
	parallel int
	slack    time.Duration
	least    float64
	accepted string
	show     bool
	packages []string
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("mutate", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.IntVar(&o.sample, "n", 40, "try at most this many `mutants` of each package; 0: all")
	fs.Uint64Var(&o.seed, "seed", 1, "`seed` of the sample")
	fs.IntVar(&o.parallel, "p", 1, "run the tests of this many mutants at a time")
	fs.DurationVar(&o.slack, "slack", 5*time.Second, "a mutant's tests are killed after four times the `time` of a clean run and this")
	fs.Float64Var(&o.least, "min", 0, "fail when a package's score is below this `percentage`")
	fs.StringVar(&o.accepted, "accepted", "test/mutate/accepted.txt", "`file` of the survivors that are accepted")
	fs.BoolVar(&o.show, "list", false, "list every mutant, run none")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.packages = fs.Args(); len(o.packages) == 0 {
		return o, errors.New("no packages given; see mutate -h")
	}
	return o, nil
}

// mutate tries the packages one by one, prints survivors as they are found and the table at
// the end. A package whose tests fail without a fault is an error, and does not stop the rest.
func mutate(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	accepted, err := readAccepted(o.accepted)
	if err != nil {
		return err
	}
	pkgs, err := list(ctx, o.packages)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var results []result
	var errs []error
	for _, p := range pkgs {
		t := trial{options: o, pkg: p, accepted: accepted, dir: dir, out: out}
		start := time.Now()
		r, err := t.run(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
			continue
		}
		r.took = time.Since(start)
		results = append(results, r)
	}
	if !o.show {
		errs = append(errs, printTable(out, results), below(results, o.least))
	}
	return errors.Join(errs...)
}
