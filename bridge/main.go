// Command bridge moves the packs of all gateways into Kafka, exactly once.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/internal/program"
)

func main() {
	load := program.FromEnvironment[relay.Config]("bridge", "runs the hub that gateways dial, and moves their packs into Kafka, each reading exactly once", os.Args[1:])
	os.Exit(program.Run("bridge", load, func(cfg relay.Config, log *slog.Logger) (*relay.Relay, error) {
		return relay.New(relay.Options{Config: cfg, Log: log})
	}))
}
