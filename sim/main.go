// Command sim simulates a fleet of devices that send readings to gateways. See sim -h.
package main

import (
	"log/slog"
	"os"

	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/sim/simulator"
)

func main() {
	args := os.Args[1:]
	load := program.WithVersion("sim", args, func() (simulator.Config, error) { return simulator.Load(args, os.Stdout) })
	os.Exit(program.Run("sim", load, func(cfg simulator.Config, log *slog.Logger) (*simulator.Simulator, error) {
		return simulator.New(simulator.Options{Config: cfg, Log: log, Out: os.Stdout})
	}))
}
