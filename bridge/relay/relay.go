// Package relay is the program bridge: it carries the hub that gateways dial, knows
// the gateways by their heartbeats, shares the lanes with other bridges through a Kafka
// consumer group, and works the lanes it gets (package lane). It is not for looking
// into readings.
//
// The number of lanes is the number of partitions of the checkpoints topic. It must
// not be changed once there are checkpoints: a gateway's lane follows from it, and a
// gateway on another lane is a gateway without a checkpoint.
//
// New binds every listener; Run blocks until its context ends.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/wire"
)

// stopTimeout bounds the stop of each part. Only the lanes can need it, when Kafka
// does not answer.
const stopTimeout = 4500 * time.Millisecond

// Options of a Relay. Log is required.
type Options struct {
	Config   Config
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: a new one
}

// Relay is one bridge.
type Relay struct {
	cfg      Config
	base     *slog.Logger // for the parts, which name themselves
	log      *slog.Logger
	hub      *hub.Hub // nil with an external hub
	nc       *nats.Conn
	http     *ops.Server // nil without BRIDGE_HTTP_ADDR
	roster   *roster.Roster
	progress *lane.Progress
	metrics  *lane.Metrics
	members  *membership
	watch    *watch
	books    *books

	lanes atomic.Int32 // partitions of the checkpoints topic, 0 until Kafka was reached
	// wrap lets tests stand between a lane and its producer.
	wrap func(lane int32, p lane.Producer) lane.Producer
}

// New starts the hub and binds HTTP. Kafka may be absent. Run must be called, or Close.
func New(o Options) (_ *Relay, err error) {
	if o.Log == nil {
		return nil, errors.New("relay: Options.Log is required")
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if o.Registry == nil {
		o.Registry = ops.NewRegistry()
	}
	r := &Relay{
		cfg: o.Config, base: o.Log, log: o.Log.With("component", "relay"), progress: lane.NewProgress(), members: newMembership(),
		wrap: func(_ int32, p lane.Producer) lane.Producer { return p },
	}
	if r.roster, err = roster.New(roster.Options{Log: o.Log}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.cfg.HubURL == "" {
		r.hub, err = hub.New(hub.Options{Addr: r.cfg.HubAddr, LeafAddr: r.cfg.LeafAddr, Log: o.Log, Refused: r.roster.Refused})
		if err != nil {
			return nil, err
		}
	}
	if r.nc, err = r.connect(o.Log); err != nil {
		return nil, err
	}
	if r.cfg.HTTPAddr != "" {
		r.http, err = ops.NewServer(ops.ServerOptions{
			Addr: r.cfg.HTTPAddr, AddrVar: "BRIDGE_HTTP_ADDR", Gatherer: o.Registry, Ready: r.Ready, Log: o.Log, Pprof: r.cfg.PprofConfig,
		})
		if err != nil {
			return nil, err
		}
	}
	r.metrics = lane.NewMetrics(o.Registry)
	r.watch = newWatch(r.roster, r.progress, r.members, o.Registry)
	r.books = newBooks(r.roster, r.progress, r.nc, r.log, o.Registry)
	return r, nil
}

func (r *Relay) connect(log *slog.Logger) (*nats.Conn, error) {
	o := natsconn.Options{Name: "bridge", Log: log, URL: r.cfg.HubURL}
	if r.hub != nil {
		o.InProcess, o.MustConnect = r.hub.InProcess(), true
	}
	return natsconn.Connect(o)
}

// Close lets go of everything that New took, for a relay that is not run.
func (r *Relay) Close() error {
	var err error
	if r.http != nil {
		err = r.http.Close()
	}
	r.closeHub()
	return err
}

func (r *Relay) closeHub() {
	if r.nc != nil {
		r.nc.Close()
	}
	if r.hub != nil {
		r.hub.Shutdown()
	}
}

// HubURL returns where clients reach the hub.
func (r *Relay) HubURL() string {
	if r.hub == nil {
		return r.cfg.HubURL
	}
	return r.hub.URL()
}

// LeafAddr returns the host:port that gateways dial, or "" with an external hub.
func (r *Relay) LeafAddr() string {
	if r.hub == nil {
		return ""
	}
	return r.hub.LeafAddr()
}

// Addr returns the address of the operations server, or "" when there is none.
func (r *Relay) Addr() string {
	if r.http == nil {
		return ""
	}
	return r.http.Addr()
}

// Ready returns nil while the bridge does its work, else what keeps it from it.
func (r *Relay) Ready() error {
	switch ever, _, _ := r.members.now(); {
	case !r.nc.IsConnected():
		return fmt.Errorf("%w: hub %s is not connected", errNotReady, natsconn.Redact(r.HubURL()))
	case r.lanes.Load() == 0:
		return fmt.Errorf("%w: kafka at %v was not reached yet", errNotReady, r.cfg.Brokers)
	case !ever:
		return fmt.Errorf("%w: lanes are not assigned yet", errNotReady)
	}
	return r.watch.stuck(time.Now())
}

var errNotReady = errors.New("bridge is waiting")

// Run bridges until ctx ends. Then the lanes finish the transactions in hand, leave the
// group and the hub is closed, within five seconds. It returns an error when Kafka
// refuses the bridge for good.
func (r *Relay) Run(ctx context.Context) error {
	parts := lifecycle.New(r.log, stopTimeout)
	parts.OnStop("hub", func(context.Context) error { r.closeHub(); return nil })
	if r.http != nil {
		parts.Go("operations server", r.http.Run)
	}
	parts.Go("roster", r.roster.Run)
	if err := r.listen(parts); err != nil {
		return errors.Join(err, parts.Stop())
	}
	parts.Go("watch", func(ctx context.Context) error { return r.watch.run(ctx, r.lanes.Load) })
	parts.Go("books", r.books.run)
	parts.Go("lanes", r.work)
	r.log.Info("bridge started", "hub", natsconn.Redact(r.HubURL()), "leaf", r.LeafAddr(), "http", r.Addr(), "kafka", r.cfg.Brokers)
	return parts.Wait(ctx)
}

// listen subscribes to the gateways' heartbeats.
func (r *Relay) listen(parts *lifecycle.Group) error {
	sub, err := r.nc.Subscribe(wire.StatusSubjects, r.observer())
	if err != nil {
		return fmt.Errorf("subscribing to heartbeats: %w", err)
	}
	parts.OnStop("heartbeats", func(context.Context) error { return sub.Unsubscribe() })
	return nil
}

// observer returns the handler of one subscription to heartbeats.
func (r *Relay) observer() nats.MsgHandler {
	var limit ops.LogLimit
	return func(m *nats.Msg) {
		if err := r.roster.Observe(m.Subject, m.Data); err != nil {
			if skipped, ok := limit.Allow(); ok {
				r.log.Warn("heartbeat refused", "subject", m.Subject, "err", err, "skipped", skipped)
			}
		}
	}
}
