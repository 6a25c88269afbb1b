// Command sim plays a fleet of devices that send to gateways. See sim -h.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/sim/simulator"
)

func main() { os.Exit(run()) }

func run() int {
	cfg, err := simulator.Load(os.Args[1:], os.Stdout)
	if errors.Is(err, config.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		return 2
	}
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		return 2
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	s, err := simulator.New(simulator.Options{Config: cfg, Log: log, Out: os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		return 2
	}
	if err := s.Run(ctx); err != nil {
		log.Error("simulator failed", "err", err)
		return 1
	}
	return 0
}
