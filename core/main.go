// Command core processes every reading in Kafka: it sets statuses, aggregates, raises and
// clears alarms, tracks which devices are online, and publishes live frames on the hub.
// Several instances share the work as a consumer group. "core rules" tries a rules file.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "rules" {
		os.Exit(rules(os.Args[2:]))
	}
	program.CollectAt(50) // what it keeps of each device outweighs what a reading leaves behind
	load := program.FromEnvironment[processor.Config]("core", "processes readings: statuses, aggregates, alarms, presence, live frames; \"core rules\" tries a rules file", os.Args[1:])
	os.Exit(program.Run("core", load, func(cfg processor.Config, log *slog.Logger) (*processor.Processor, error) {
		return processor.New(processor.Options{Config: cfg, Log: log})
	}))
}

func rules(args []string) int {
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	return processor.RulesCommand(ctx, args, os.Stdout, os.Stderr)
}
