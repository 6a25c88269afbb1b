// Command allinone runs the whole plant in one process: three gateways, bridge, core,
// portal, a simulator, and an embedded Kafka-compatible broker unless KAFKA_BROKERS
// names a real one. It is for newcomers, development and tests.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/deploy/allinone/plant"
	"industrial-iot-monitor/internal/program"
)

func main() {
	args := os.Args[1:]
	load := program.WithVersion("allinone", args, func() (plant.Config, error) { return plant.LoadConfig(args, os.Stdout) })
	os.Exit(program.Run("allinone", load, func(cfg plant.Config, log *slog.Logger) (*plant.Plant, error) {
		return plant.New(plant.Options{Config: cfg, Log: log, Out: os.Stdout})
	}))
}
