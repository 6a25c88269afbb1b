// Package processor is core as an embeddable program: it consumes device-data as a
// member of a consumer group, sends every reading through the pure stages (validate,
// transform, aggregate, alarm, presence), and commits what comes of it.
//
// Alerts, dead letters, the state of alarms and devices, and the input offsets are one
// Kafka transaction, fenced by the group's generation: each takes effect exactly once.
// State is kept in compacted topics partitioned as the input is, and is read back when
// a partition is assigned. Live frames, alert announcements and aggregates go to the
// hub besides, without a promise.
//
// Run blocks until its context ends or a topic cannot be used. It waits for a Kafka and
// a hub that are not there.
package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/live"
	"industrial-iot-monitor/core/internal/transform"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
)

// Options of a Processor. Log is required.
type Options struct {
	Config Config
	Log    *slog.Logger
	// Registry takes the metrics; nil makes a fresh one. The operations server
	// shows all that is in it.
	Registry *prometheus.Registry
}

// Processor is one member of core's consumer group.
type Processor struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	limits  transform.Limits
	rules   *alarm.Rules
	live    *live.Publisher
	server  *ops.Server // nil without an address

	session atomic.Pointer[session] // nil while the group has given us nothing
}

// New checks the settings and binds the operations server; Run starts the work.
func New(o Options) (*Processor, error) {
	if o.Log == nil {
		return nil, errors.New("processor: Log is required")
	}
	if err := o.Config.check(); err != nil {
		return nil, err
	}
	reg := o.Registry
	if reg == nil {
		reg = ops.NewRegistry()
	}
	p := &Processor{cfg: o.Config, log: o.Log.With("component", "core"), limits: o.Config.limits()}
	var err error
	if p.rules, err = o.Config.rules(); err != nil {
		return nil, err
	}
	if p.live, err = live.New(live.Options{Log: p.log, Registry: reg}); err != nil {
		return nil, err
	}
	p.metrics = newMetrics(reg, p)
	if o.Config.HTTPAddr != "" {
		p.server, err = ops.NewServer(ops.ServerOptions{
			Addr: o.Config.HTTPAddr, AddrVar: "CORE_HTTP_ADDR", Gatherer: reg, Ready: p.Ready,
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Addr returns the bound address of the operations server, empty without one.
func (p *Processor) Addr() string {
	if p.server == nil {
		return ""
	}
	return p.server.Addr()
}

// Run works until ctx ends, then stops in order: no more reading, what is processed is
// committed, the group is left, connections are closed.
func (p *Processor) Run(ctx context.Context) error {
	hub, err := p.connect()
	if err != nil {
		return errors.Join(err, p.closeServer())
	}
	g := lifecycle.New(p.log, lifecycle.DefaultStopTimeout)
	if p.server != nil {
		g.Go("operations server", p.server.Run)
	}
	g.OnStop("hub connection", func(context.Context) error {
		hub.Close()
		return nil
	})
	g.Go("live publisher", func(ctx context.Context) error { return p.live.Run(ctx, hub) })
	g.Go("consumer", p.consume)
	return g.Wait(ctx)
}

// connect makes the connection to the hub in the background.
func (p *Processor) connect() (*nats.Conn, error) {
	nc, err := natsconn.Connect(natsconn.Options{
		URL: p.cfg.HubURL, Name: "core", Log: p.log,
		Extra: []nats.Option{
			nats.ReconnectBufSize(-1), // what the hub cannot take now is dropped
			nats.FlusherTimeout(time.Second),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("HUB_URL: %w", err)
	}
	return nc, nil
}

func (p *Processor) closeServer() error {
	if p.server == nil {
		return nil
	}
	return p.server.Close()
}
