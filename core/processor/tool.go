package processor

import (
	"context"
	"fmt"
	"io"
	"time"

	"industrial-iot-monitor/core/internal/replay"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/sensors"
)

// RulesCommand is "core rules check" and "core rules test": it tries a rules file without
// running core. It takes its settings from the environment and returns the exit code.
func RulesCommand(ctx context.Context, args []string, out, errs io.Writer) int {
	var cfg Config
	err := config.FromEnvironment(&cfg)
	if err == nil {
		err = cfg.checkValues()
	}
	var catalogue *sensors.Catalogue
	if err == nil {
		catalogue, err = cfg.Sensors.Load()
	}
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	c := replay.Command{
		Cluster: cfg.Cluster, Topic: cfg.DeviceData, BuiltIn: cfg.builtIn(), Sensors: catalogue,
		Out: out, Err: errs, Now: time.Now(),
	}
	return c.Run(ctx, args)
}
