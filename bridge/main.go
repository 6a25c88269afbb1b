// Command bridge moves what the gateways hold into Kafka, exactly once.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run()) }

func run() int {
	var cfg relay.Config
	err := config.Load(config.Program{
		Name:    "bridge",
		Summary: "carries the hub that gateways dial, and moves their packs into Kafka, each reading exactly once",
		Args:    os.Args[1:],
		Out:     os.Stdout,
	}, &cfg)
	if errors.Is(err, config.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err)
	}
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		return fail(err)
	}
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	r, err := relay.New(relay.Options{Config: cfg, Log: log})
	if err != nil {
		return fail(err)
	}
	if err := r.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "bridge:", err)
	return 1
}
