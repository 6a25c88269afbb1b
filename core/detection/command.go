// Package detection is "core detect …" on the command line: it runs the detector on a file of readings,
// and measures it on labelled data. It is not part of the service. Commands block until they are done
// or their context ends.
package detection

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Exit codes of Command.
const (
	exitOK     = 0
	exitFailed = 1 // a file could not be read or written
	exitUsage  = 2 // wrong arguments
)

const usage = `usage: core detect run -file FILE [-settle 24h]
       core detect eval [-nab DIR [-nab-labels FILE]] [-skab DIR] [-devices N [-days 7] [-seeds 11,12,13]]

run judges each row of a CSV file: first column the time, each other column a sensor, separated by
commas or semicolons. Columns named anomaly and changepoint are labels, which the detector does not
see. It prints time, score from 0 to 1, verdict (1: unusual), and for an unusual row the sensor, the kind
of anomaly and the usual range.
eval measures the detector on public data sets by their own rules and on simulated devices with
labelled faults, beside the plain measures of events and detectors that know nothing.
`

// Command is "core detect …". Results go to out, errors to errs. It returns the exit code: 0 success,
// 1 a file could not be read or written, 2 wrong arguments.
func Command(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return exitUsage
	}
	var err error
	switch args[0] {
	case "run":
		err = run(ctx, args[1:], out, errs)
	case "eval":
		err = eval(ctx, args[1:], out, errs)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage)
	default:
		err = fmt.Errorf("%w: %q is not a command", errUsage, args[0])
	}
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(errs, "%v\n\n%s", err, usage)
		return exitUsage
	default:
		fmt.Fprintln(errs, err)
		return exitFailed
	}
}

var errUsage = errors.New("wrong arguments")

// flags returns an empty set of flags that prints the usage.
func flags(name string, errs io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("core detect "+name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() { fmt.Fprint(errs, usage) }
	return f
}

func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	}
	return nil
}
