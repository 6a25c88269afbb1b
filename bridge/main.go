// Command bridge moves the packs of all gateways into Kafka, exactly once. "bridge gateway" and "bridge
// client" say who may connect to its hub, "bridge ca" makes its certificates.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/bridge/admin"
	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
)

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "gateway" || os.Args[1] == "client") {
		os.Exit(command(os.Args[1:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "ca" {
		os.Exit(admin.CACommand(os.Args[2:], os.Stdout, os.Stderr))
	}
	load := program.FromEnvironment[relay.Config]("bridge", "runs the hub that gateways dial, and moves their packs into Kafka, each reading exactly once; \"bridge gateway\" and \"bridge client\" say who may connect to the hub, \"bridge ca\" makes its certificates", os.Args[1:])
	os.Exit(program.Run("bridge", load, func(cfg relay.Config, log *slog.Logger) (*relay.Relay, error) {
		return relay.New(relay.Options{Config: cfg, Log: log})
	}))
}

func command(args []string) int {
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	return admin.Command(ctx, args, os.Stdout, os.Stderr)
}
