// Package plant composes all programs into one process on fixed addresses, for newcomers and
// demos. It adds no behaviour of its own. New binds every listener;
// Run blocks until its context ends.
package plant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/relay"
	"industrial-iot-monitor/core/processor"
	"industrial-iot-monitor/edge/gateway"
	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/web"
	"industrial-iot-monitor/sim/publisher"
)

// stopTimeout bounds the stop of each part, so that the whole stops within five seconds.
const stopTimeout = 2 * time.Second

// Options of a Plant. Config (from LoadConfig) and Log are required.
type Options struct {
	Config Config
	Log    *slog.Logger
	Out    io.Writer // gets the addresses and when the plant is ready; nil: none
}

// Plant is the whole product in one process.
type Plant struct {
	cfg Config
	log *slog.Logger
	out io.Writer

	kafka    *devkafka.Broker // nil with a real Kafka
	bridge   *relay.Relay
	core     *processor.Processor
	portal   *web.Portal
	gateways []*gateway.Gateway
	sim      *publisher.Publisher // nil without simulated devices
}

// New binds every listener of the plant. Run must be called, or Close.
func New(o Options) (_ *Plant, err error) {
	if o.Log == nil {
		return nil, errors.New("plant: Options.Log is required")
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	p := &Plant{cfg: o.Config, log: o.Log, out: o.Out}
	if err := p.cfg.place(); err != nil {
		return nil, err
	}
	if err := p.build(ops.NewRegistry()); err != nil {
		return nil, fmt.Errorf("%w\n(DEMO_PORT_OFFSET moves every port of the plant)", errors.Join(err, p.Close()))
	}
	return p, nil
}

// build makes the parts in the order of their dependencies. One registry
// serves all: /metrics of the portal shows the whole plant. Each part owns its warnings.
func (p *Plant) build(reg *prometheus.Registry) (err error) {
	parts := p.cfg.Parts
	if len(p.cfg.Brokers) == 0 {
		dir := filepath.Join(p.cfg.DataDir, "devkafka")
		if p.kafka, err = devkafka.Start(devkafka.Options{Addr: p.cfg.KafkaAddr, DataDir: dir, Log: p.log, Retention: p.cfg.Retention}); err != nil {
			return fmt.Errorf("DEMO_KAFKA_ADDR=%s: %w", p.cfg.KafkaAddr, err)
		}
	}
	if p.bridge, err = relay.New(relay.Options{Config: parts.Bridge, Log: ops.Own(p.log), Registry: reg}); err != nil {
		return err
	}
	if p.core, err = processor.New(processor.Options{Config: parts.Core, Log: ops.Own(p.log), Registry: reg}); err != nil {
		return err
	}
	if p.portal, err = web.New(web.Options{Config: parts.Portal, Log: ops.Own(p.log), Registry: reg, Gatherer: reg}); err != nil {
		return err
	}
	for _, b := range buildings {
		g, err := gateway.New(gateway.Options{Config: p.cfg.gateway(b), Log: ops.Own(p.log), Registry: reg})
		if err != nil {
			return err
		}
		p.gateways = append(p.gateways, g)
	}
	if p.cfg.Devices > 0 {
		return p.buildSimulator()
	}
	return nil
}

func (p *Plant) buildSimulator() error {
	var names, addrs []string
	for i, b := range buildings {
		names = append(names, b.name)
		addrs = append(addrs, p.gateways[i].NATSAddr())
	}
	f, err := fleet.New(fleet.Options{
		Devices: p.cfg.Devices, Seed: 1, Variance: 0.1, Interval: p.cfg.Interval, Buildings: names, Faults: 6, Mixed: true,
	})
	if err != nil {
		return err
	}
	p.sim, err = publisher.New(publisher.Options{
		Fleet: f, Gateways: addrs, Interval: p.cfg.Interval, Drain: time.Second, Log: p.log,
	})
	return err
}

// Run runs the plant until ctx ends, then stops it in order: devices, gateways,
// portal, core, bridge, broker. It prints "ready" when a reading can reach the browsers.
func (p *Plant) Run(ctx context.Context) error {
	parts := lifecycle.New(p.log, stopTimeout)
	if p.kafka != nil {
		parts.OnStop("embedded kafka", func(context.Context) error { return p.kafka.Close() })
	}
	parts.Go("bridge", p.bridge.Run)
	parts.Go("core", p.core.Run)
	parts.Go("portal", p.portal.Run)
	for i, g := range p.gateways {
		parts.Go("gateway "+buildings[i].gateway, g.Run)
	}
	if p.sim != nil {
		parts.Go("simulator", p.sim.Run)
	}
	p.introduce()
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		p.announceReady(ctx)
	}()
	parts.OnStop("ready announcement", func(stop context.Context) error {
		select {
		case <-ready:
			return nil
		case <-stop.Done():
			return stop.Err()
		}
	})
	return parts.Wait(ctx)
}

// Addr returns the portal's address.
func (p *Plant) Addr() string { return p.portal.Addr() }

// Ready returns nil when a reading can reach the browsers, otherwise the missing part.
func (p *Plant) Ready() error {
	for i, g := range p.gateways {
		if err := g.Ready(); err != nil {
			return fmt.Errorf("gateway %s: %w", buildings[i].gateway, err)
		}
		if !g.HubConnected() {
			return fmt.Errorf("gateway %s: not connected to the hub", buildings[i].gateway)
		}
	}
	if err := p.bridge.Ready(); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if err := p.core.Ready(); err != nil {
		return fmt.Errorf("core: %w", err)
	}
	if err := p.portal.Ready(); err != nil {
		return fmt.Errorf("portal: %w", err)
	}
	return nil
}

// Close frees what New bound, for a plant that was never run.
func (p *Plant) Close() error {
	var errs []error
	for _, g := range p.gateways {
		errs = append(errs, g.Close())
	}
	if p.portal != nil {
		errs = append(errs, p.portal.Close())
	}
	if p.bridge != nil {
		errs = append(errs, p.bridge.Close())
	}
	if p.kafka != nil {
		errs = append(errs, p.kafka.Close())
	}
	return errors.Join(errs...)
}
