package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/topology"
)

// settings are the variables of the programs that decide about topics.
type settings struct {
	Lanes int32 `env:"BRIDGE_LANES" envDefault:"1" help:"lanes that bridges share, at least one for each bridge; the partitions of the checkpoints topic, and fixed once that exists"`
	kafka.Config
	topology.Topics
	ops.LogConfig
}

func (s *settings) check() error {
	if s.Lanes < 1 || s.Lanes > 1000 {
		return fmt.Errorf("BRIDGE_LANES=%d: want 1 to 1000", s.Lanes)
	}
	return errors.Join(s.Config.Check(), s.Topics.Check())
}

// create creates the missing topics.
func create(cfg *settings) error {
	if err := cfg.check(); err != nil {
		return err
	}
	log, err := ops.NewLogger(cfg.LogConfig, os.Stderr)
	if err != nil {
		return err
	}
	ctx, stop := lifecycle.SignalContext()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	specs := cfg.Specs()
	specs.Checkpoints.Partitions = cfg.Lanes
	return kafka.EnsureTopics(ctx, log, cfg.Cluster, specs.All()...)
}
