// Command setup creates the product's Kafka topics where they are missing, and leaves those
// that exist as they are. The programs do the same when they start; this is for whoever
// wants the topics first.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// settings is what the programs read too.
type settings struct {
	Lanes int32 `env:"BRIDGE_LANES" envDefault:"4" help:"lanes that bridges share; the partitions of the checkpoints topic, and fixed once that exists"`
	kafka.Config
	wire.Topics
	ops.LogConfig
}

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
	fmt.Fprintf(os.Stdout, "setup: all topics are there, on %v\n", cfg.Brokers)
	return 0
}

func create(cfg *settings) error {
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return kafka.EnsureTopics(ctx, log, cfg.Brokers, topics(cfg)...)
}
