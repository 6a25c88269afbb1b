// Command edge runs the gateway of one building.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/program"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	load := program.FromEnvironment[gateway.Config]("edge", "takes the readings of one building by NATS and MQTT and keeps them until they are delivered", args)
	return program.Run("edge", load, func(cfg gateway.Config, log *slog.Logger) (*gateway.Gateway, error) {
		return gateway.New(gateway.Options{Config: cfg, Log: log})
	})
}
