// Command allinone runs the whole plant in one process: three gateways, bridge, core,
// portal, a simulator, and an embedded Kafka-compatible broker unless KAFKA_BROKERS
// names a real one. It is for newcomers, development and tests.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/deploy/allinone/plant"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run()) }

func run() int {
	cfg, err := plant.LoadConfig(os.Args[1:], os.Stdout)
	if errors.Is(err, config.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	p, err := plant.New(plant.Options{Config: cfg, Log: log, Out: os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := p.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
