// Package program is the frame of every main: settings, a logger, a service that runs until a
// signal, and an exit code. It is not for the service itself. Run blocks until the service
// has ended.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

// Exit codes.
const (
	ok     = 0 // an ordered stop, or help
	failed = 1 // it could not start, or ended with an error
	misuse = 2 // the settings or the command line are unusable; a restart does not help
)

// Settings are a program's environment; embedding ops.LogConfig implements it. A method Warn, such
// as that of listen.Rule, logs settings that are usable but unsafe.
type Settings interface {
	Logger(w io.Writer) (*slog.Logger, error)
}

// Service is a program's work. Run returns nil on an ordered stop.
type Service interface {
	Run(ctx context.Context) error
}

// Run loads the settings, starts the service, lets it run until SIGINT or SIGTERM, and
// returns the exit code. Errors go to stderr, in one line that starts with the name. While the
// process has little to do, it runs on one processor. On Linux the program first executes itself
// once more, see loosenTimers.
func Run[C Settings, S Service](name string, load func() (C, error), start func(C, *slog.Logger) (S, error)) int {
	loosenTimers()
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	go balance(ctx)
	return run(ctx, name, os.Stderr, load, start)
}

func run[C Settings, S Service](ctx context.Context, name string, stderr io.Writer, load func() (C, error), start func(C, *slog.Logger) (S, error)) int {
	end := func(code int, err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return code
	}
	cfg, err := load()
	if errors.Is(err, config.ErrHelp) {
		return ok
	}
	if err != nil {
		return end(misuse, err)
	}
	log, err := cfg.Logger(stderr)
	if err != nil {
		return end(misuse, err)
	}
	if c, found := any(cfg).(interface{ Warn(log *slog.Logger) }); found {
		c.Warn(log)
	}
	service, err := start(cfg, log)
	if err != nil {
		return end(failed, err)
	}
	if err := service.Run(ctx); err != nil {
		return end(failed, err)
	}
	return ok
}

// WithVersion returns a load function that answers --version, alone, on standard output, and leaves other arguments to load.
func WithVersion[C any](name string, args []string, load func() (C, error)) func() (C, error) {
	return func() (C, error) {
		if len(args) == 1 && args[0] == "--version" {
			fmt.Fprintln(os.Stdout, name, ops.Version)
			var none C
			return none, config.ErrHelp
		}
		return load()
	}
}

// FromEnvironment returns a load function for a program whose only arguments are --version, alone, and --help: see
// config.Load. Both end with config.ErrHelp. Settings with a method Complete take by it from elsewhere what the environment leaves
// open, and those with a method Check are checked by it.
func FromEnvironment[C any](name, summary string, args []string) func() (C, error) {
	return WithVersion(name, args, func() (cfg C, err error) {
		err = config.Load(config.Program{Name: name, Summary: summary, Args: args, Out: os.Stdout}, &cfg)
		if c, found := any(&cfg).(interface{ Complete() error }); found && err == nil {
			err = c.Complete()
		}
		if c, found := any(&cfg).(interface{ Check() error }); found && err == nil {
			err = c.Check()
		}
		return cfg, err
	})
}
