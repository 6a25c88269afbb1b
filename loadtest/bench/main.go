// Command bench runs the whole chain at several loads, prints what it measured beside the goals,
// and compares it with the run before. See bench -h.
package main

import (
	"fmt"
	"os"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/loadtest/bench/trial"
)

func main() { os.Exit(run()) }

func run() int {
	o, err := trial.ParseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	if err := trial.Run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
