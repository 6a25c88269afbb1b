// Command edge runs the gateway of one building. "edge enroll" makes it known to the hub, "edge key"
// prints its public key for an external hub, "edge device" gives devices their secrets, "edge mappings"
// tries a mappings file, "edge doctor" examines the machine.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 && args[0] == "mappings" {
		return gateway.MappingsCommand(args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	if len(args) > 0 && args[0] == "enroll" {
		ctx, stop := lifecycle.SignalContext()
		defer stop()
		return gateway.EnrolCommand(ctx, args[1:], os.Stdout, os.Stderr)
	}
	if len(args) > 0 && args[0] == "key" {
		return gateway.KeyCommand(args[1:], os.Stdout, os.Stderr)
	}
	if len(args) > 0 && args[0] == "device" {
		return gateway.DeviceCommand(args[1:], os.Stdout, os.Stderr)
	}
	if len(args) > 0 && args[0] == "doctor" {
		ctx, stop := lifecycle.SignalContext()
		defer stop()
		return gateway.DoctorCommand(ctx, args[1:], os.Stdout, os.Stderr)
	}
	load := program.FromEnvironment[gateway.Config]("edge", "takes the readings of one building by NATS and MQTT and keeps them until they are delivered; \"edge enroll\" makes it known to the hub, \"edge key\" prints its public key, \"edge device\" gives devices their secrets, \"edge mappings\" tries a mappings file, \"edge doctor\" examines the machine", args)
	return program.Run("edge", load, func(cfg gateway.Config, log *slog.Logger) (*gateway.Gateway, error) {
		return gateway.New(gateway.Options{Config: cfg, Log: log, Notify: gateway.Notify})
	})
}
