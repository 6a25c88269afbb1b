// Command setup creates the product's Kafka topics where they are missing, and leaves those
// that exist as they are. The programs do the same when they start; this is for operators who
// want the topics first.
package main

import (
	"errors"
	"fmt"
	"os"

	"industrial-iot-monitor/internal/config"
)

func main() { os.Exit(run()) }

func run() int {
	var cfg settings
	err := config.Load(config.Program{Name: "setup", Summary: "creates the product's Kafka topics where they are missing", Args: os.Args[1:], Out: os.Stdout}, &cfg)
	if errors.Is(err, config.ErrHelp) {
		return 0
	}
	if err == nil {
		err = create(&cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		return 1
	}
	fmt.Fprintf(os.Stdout, "setup: all topics exist on %v\n", cfg.Brokers)
	return 0
}
