package processor

import (
	"context"
	"fmt"
	"io"
	"time"

	"industrial-iot-monitor/core/internal/replay"
	"industrial-iot-monitor/internal/config"
)

// RulesCommand is "core rules check" and "core rules test": it tries a rules file without
// running core. It takes its settings from the environment and returns the exit code.
func RulesCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	var cfg Config
	err := config.FromEnvironment(&cfg)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	c := replay.Command{
		Brokers: cfg.Brokers, Topic: cfg.DeviceData, BuiltIn: cfg.builtIn(),
		Out: out, Err: errs, Now: time.Now(),
	}
	return c.Run(ctx, args)
}
