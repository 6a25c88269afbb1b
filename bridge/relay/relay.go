// Package relay is the program bridge: it runs the hub that gateways dial, tracks the
// gateways by their heartbeats, shares the lanes with other bridges through a Kafka
// consumer group, and runs its own lanes (package lane). It does not parse readings.
//
// The number of lanes is the number of partitions of the checkpoints topic. It must not
// change once there are checkpoints: it determines a gateway's lane, and on another lane a
// gateway has no checkpoint.
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

	"industrial-iot-monitor/bridge/internal/handover"
	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/internal/tail"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
)

// stopTimeout bounds the stop of each part. Only lanes come near it, if Kafka does not
// answer.
const stopTimeout = 4500 * time.Millisecond

// Options of a Relay. Log is required.
type Options struct {
	Config   Config
	Log      *slog.Logger
	Registry *prometheus.Registry // nil: a new one
}

// Relay is one bridge.
type Relay struct {
	cfg       Config
	base      *slog.Logger // for the parts, which add their component
	log       *slog.Logger
	hub       *hub.Hub   // nil with an external hub
	admission *admission // nil if everybody may connect
	audit     *auditlog.Journal
	nc        *nats.Conn // into the plant's account
	lines     *lines     // into those of gateways, at the hub of another bridge
	handover  *handover.Handover
	http      *ops.Server // nil without BRIDGE_HTTP_ADDR
	roster    *roster.Roster
	progress  *lane.Progress
	live      *lane.Live
	metrics   *lane.Metrics
	members   *membership
	monitor   *monitor
	publisher *ledgerPublisher
	vitals    *vitals.Reporter
	tracer    *tracing.Tracer // nil without traces

	lanes atomic.Int32 // partitions of the checkpoints topic, 0 until Kafka was reachable
	// wrap lets tests replace the producer of a lane.
	wrap func(lane int32, p lane.Producer) lane.Producer
}

// New starts the hub and binds HTTP. Kafka may be unreachable. Call Run, or Close.
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
	o.Config.Cluster = o.Config.Open()
	if err := o.Config.Register(o.Registry, "bridge"); err != nil {
		return nil, err
	}
	r := &Relay{
		cfg: o.Config, base: o.Log, log: o.Log.With("component", "relay"), progress: lane.NewProgress(), members: newMembership(),
		wrap: func(_ int32, p lane.Producer) lane.Producer { return p },
	}
	if r.roster, err = roster.New(roster.Options{Log: o.Log}); err != nil {
		return nil, err
	}
	r.audit, err = auditlog.New(auditlog.Options{
		Cluster: r.cfg.Cluster, Topic: r.cfg.Specs().Security, Program: "bridge", Log: o.Log, Registry: o.Registry,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.cfg.HubURL == "" {
		if err := r.openHub(o); err != nil {
			return nil, err
		}
	}
	if r.nc, err = r.connect(o.Log); err != nil {
		return nil, err
	}
	r.lines = newLines(r.cfg.HubURL, r.cfg.HubKeyFile, r.cfg.HubCAFile, o.Log)
	if r.cfg.HTTPAddr != "" {
		r.http, err = ops.NewServer(ops.ServerOptions{
			Addr: r.cfg.HTTPAddr, AddrVar: "BRIDGE_HTTP_ADDR", Gatherer: o.Registry, Ready: r.Ready, Log: o.Log, Pprof: r.cfg.PprofConfig,
		})
		if err != nil {
			return nil, err
		}
	}
	if err := r.makeLive(o); err != nil {
		return nil, err
	}
	if r.handover, err = handover.New(handover.Options{Line: r.line, Serves: r.serves, Log: o.Log, Registry: o.Registry}); err != nil {
		return nil, err
	}
	r.monitor = newMonitor(r.roster, r.progress, r.members, o.Registry)
	r.publisher = newLedgerPublisher(r.roster, r.progress, r.nc, r.log, o.Registry)
	r.vitals, err = r.measure(o)
	return r, err
}

// makeLive makes what lanes and the live path need.
func (r *Relay) makeLive(o Options) (err error) {
	if r.tracer, err = tracing.New(tracing.Options{Config: r.cfg.Tracing, Program: "bridge", Instance: vitals.Instance(r.Addr()), Log: o.Log, Registry: o.Registry}); err != nil {
		return err
	}
	r.metrics = lane.NewMetrics(o.Registry)
	r.live, err = lane.NewLive(lane.LiveOptions{NATS: r.nc, Line: r.line, Roster: r.roster, Tracer: r.tracer, Log: o.Log, Registry: o.Registry, Serves: r.serves})
	return err
}

// measure makes what says how the bridge itself is.
func (r *Relay) measure(o Options) (*vitals.Reporter, error) {
	return vitals.New(vitals.Options{
		Program: "bridge", Instance: vitals.Instance(r.Addr()), Gatherer: o.Registry, Log: o.Log, Publish: r.nc.Publish, Listen: vitals.Listen(r.nc),
		Lanes:  (&laneFigures{roster: r.roster, progress: r.progress, now: time.Now}).measure,
		Stages: []vitals.Stage{{Name: wire.StageKafka, Seconds: "bridge_transaction_duration_seconds", Readings: "bridge_records_total"}},
	})
}

func (r *Relay) connect(log *slog.Logger) (*nats.Conn, error) {
	if r.hub != nil {
		return r.hub.Connect("bridge", log)
	}
	return natsconn.Connect(natsconn.Options{Name: "bridge", Log: log, URL: r.cfg.HubURL, KeyFile: r.cfg.HubKeyFile, CAFile: r.cfg.HubCAFile})
}

// line returns the connection by which a gateway is read: its own one at a hub that has accounts, else
// the common one.
func (r *Relay) line(gateway string) (*nats.Conn, error) {
	switch {
	case r.hub != nil:
		return r.hub.Line(gateway)
	case r.nc.ConnectedServerName() == hub.Name:
		return r.lines.to(gateway)
	}
	return r.nc, nil
}

// serves reports whether this bridge sends a gateway's packs to screens. While the number of
// lanes is unknown it has none.
func (r *Relay) serves(gateway string) bool {
	return r.members.serves(lane.Of(gateway, max(r.lanes.Load(), 1)), time.Now())
}

// Close releases the resources of a relay that is not run.
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
		r.lines.close()
	}
	if r.hub != nil {
		r.hub.Shutdown()
	}
}

// HubURL returns the URL of the hub for clients.
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

// Addr returns the address of the operations server, or "" without one.
func (r *Relay) Addr() string {
	if r.http == nil {
		return ""
	}
	return r.http.Addr()
}

// Ready returns nil while the bridge works, else the obstacle.
func (r *Relay) Ready() error {
	switch ever, _, _ := r.members.now(); {
	case !r.nc.IsConnected():
		return fmt.Errorf("%w: hub %s not connected", errNotReady, natsconn.Redact(r.HubURL()))
	case r.cfg.Refusal() != nil:
		return fmt.Errorf("%w: kafka: %w", errNotReady, r.cfg.Refusal())
	case r.lanes.Load() == 0:
		return fmt.Errorf("%w: kafka at %v unreachable so far", errNotReady, r.cfg.Brokers)
	case !ever:
		return fmt.Errorf("%w: lanes not assigned yet", errNotReady)
	}
	if r.admission != nil {
		if err := r.admission.registry.Ready(); err != nil {
			return fmt.Errorf("%w: %w", errNotReady, err)
		}
	}
	return r.monitor.stuck(time.Now())
}

var errNotReady = errors.New("bridge not ready")

// Run bridges until ctx ends. Then the lanes finish their transactions, leave the group and
// the hub is closed, within five seconds. It returns an error if Kafka refuses the bridge
// permanently.
func (r *Relay) Run(ctx context.Context) error {
	parts := lifecycle.New(r.log, stopTimeout)
	if r.tracer != nil {
		parts.Go("traces", r.tracer.Run)
	}
	auditlog.NoteInsecure(r.audit, r.cfg.Insecure)
	parts.Go("security audit", r.audit.Run)
	parts.OnStop("hub", func(context.Context) error { r.closeHub(); return nil })
	if r.http != nil {
		parts.Go("operations server", r.http.Run)
	}
	parts.Go("roster", r.roster.Run)
	if r.admission != nil {
		parts.Go("admission", r.admission.run)
	}
	parts.Go("devices", func(ctx context.Context) error {
		defer r.handover.Close()
		return tail.Watch(ctx, tail.Options{Cluster: r.cfg.Cluster, ClientID: "bridge-devices", Log: r.log}, r.cfg.Specs().Access, r.handover)
	})
	if err := r.listen(parts); err != nil {
		return errors.Join(err, parts.Stop())
	}
	parts.Go("monitor", func(ctx context.Context) error { return r.monitor.run(ctx, r.lanes.Load) })
	parts.Go("ledgers", r.publisher.run)
	parts.Go("vitals", r.vitals.Run)
	parts.Go("live", r.live.Run)
	parts.Go("settings of topics", func(ctx context.Context) error { return r.cfg.WatchTopics(ctx, r.log) })
	parts.Go("lanes", r.joinGroup)
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
		s, err := r.roster.Observe(m.Subject, m.Data)
		if err == nil {
			r.handover.Beat(s.Gateway, s.Devices)
			return
		}
		if skipped, ok := limit.Allow(); ok {
			r.log.Warn("heartbeat refused", "subject", m.Subject, "err", err, "skipped", skipped)
		}
	}
}
