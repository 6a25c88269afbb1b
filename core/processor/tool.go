package processor

import (
	"context"
	"fmt"
	"io"
	"time"

	"industrial-iot-monitor/core/internal/dryrun"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/ops"
)

// RulesCommand is "core rules check" and "core rules test": it tries a file of rules
// without running core. It takes its settings from the environment as core does and
// returns the exit code.
func RulesCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	var cfg Config
	err := config.FromEnvironment(&cfg)
	if err == nil {
		err = cfg.check()
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	cfg.Level = "error" // what is wrong is said on errs
	log, err := ops.NewLogger(cfg.LogConfig, errs)
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	c := dryrun.Command{
		Log: log, Brokers: cfg.Brokers, Topic: cfg.DeviceData, BuiltIn: cfg.builtIn(),
		Out: out, Err: errs, Now: time.Now(),
	}
	return c.Run(ctx, args)
}
