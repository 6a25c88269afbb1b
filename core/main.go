// Command core processes every reading in Kafka: it sets statuses, aggregates, raises and
// clears alarms, tracks which devices are online, and publishes live frames on the hub.
// Several instances share the work as a consumer group; one of them keeps the history of readings.
// "core historian" does that alone, "core history" exports it, "core rules" tries a rules file, "core
// detect" tries the detector of anomalies, "core topics" exports and imports the topics whose records are nowhere else.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"industrial-iot-monitor/core/backup"
	"industrial-iot-monitor/core/detection"
	"industrial-iot-monitor/core/historian"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "rules":
			os.Exit(command(processor.RulesCommand))
		case "detect":
			os.Exit(command(detection.Command))
		case "history":
			os.Exit(command(historian.Command))
		case "topics":
			os.Exit(command(backup.Command))
		case "historian":
			os.Exit(keepHistory())
		}
	}
	program.CollectAt(50) // what it keeps of each device outweighs what a reading leaves behind
	load := program.FromEnvironment[processor.Config]("core", "processes readings: statuses, aggregates, alarms, presence, live frames, history; \"core rules\" tries a rules file, \"core detect\" tries the detector, \"core history\" exports readings, \"core historian\" only keeps them, \"core topics\" backs up Kafka topics", os.Args[1:])
	os.Exit(program.Run("core", load, func(cfg processor.Config, log *slog.Logger) (*processor.Processor, error) {
		return processor.New(processor.Options{Config: cfg, Log: log})
	}))
}

// command runs a tool that takes the arguments behind its name.
func command(run func(ctx context.Context, args []string, out, errs io.Writer) int) int {
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	return run(ctx, os.Args[2:], os.Stdout, os.Stderr)
}

// keepHistory is core with nothing but the history.
func keepHistory() int {
	program.CollectAt(40) // the newest readings outweigh what reading them leaves behind
	load := program.FromEnvironment[historian.ProgramConfig]("core historian", "keeps the history of readings and answers questions about it, and does nothing else", os.Args[2:])
	return program.Run("core historian", load, func(cfg historian.ProgramConfig, log *slog.Logger) (*historian.Program, error) {
		return historian.NewProgram(&cfg, log)
	})
}
