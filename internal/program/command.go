package program

import (
	"context"
	"errors"
	"flag"
	"io"
)

// ErrUsage is the error of a command line that means nothing: the command shows its usage and ends with exit code 2.
var ErrUsage = errors.New("wrong usage")

// Subcommand runs the command that the first two words name, with the words behind them. It fails with ErrUsage or as
// the command does.
func Subcommand(ctx context.Context, commands map[string]func(context.Context, []string) error, args []string) error {
	if len(args) < 2 {
		return ErrUsage
	}
	run := commands[args[0]+" "+args[1]]
	if run == nil {
		return ErrUsage
	}
	return run(ctx, args[2:])
}

// NameAndFlags reads flags before and behind the one name of a command, and returns the name. It fails with ErrUsage.
func NameAndFlags(flags *flag.FlagSet, args []string) (string, error) {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return "", ErrUsage
	}
	name := flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil || flags.NArg() > 0 {
		return "", ErrUsage
	}
	return name, nil
}
