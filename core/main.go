// Command core processes every reading in Kafka: it sets statuses, aggregates, raises
// and clears alarms, knows which devices are online, and sends live frames to the hub.
// Several cores share the work through a consumer group. "core rules" tries a rules file.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "rules" {
		return processor.RulesCommand(ctx, os.Args[2:], os.Stdout, os.Stderr)
	}
	var cfg processor.Config
	err := config.Load(config.Program{
		Name: "core", Summary: "processes readings: statuses, aggregates, alarms, presence, live frames; \"core rules\" tries a rules file",
		Args: os.Args[1:], Out: os.Stdout,
	}, &cfg)
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
	p, err := processor.New(processor.Options{Config: cfg, Log: log})
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
