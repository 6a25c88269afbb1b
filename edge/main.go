// Command edge runs the gateway of one building.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var cfg gateway.Config
	err := config.Load(config.Program{
		Name:    "edge",
		Summary: "takes the readings of one building by NATS and MQTT and keeps them until they are delivered",
		Args:    args,
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
	g, err := gateway.New(gateway.Options{Config: cfg, Log: log})
	if err != nil {
		return fail(err)
	}
	if err := g.Run(ctx); err != nil {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "edge:", err)
	return 1
}
