// Package processor is core as an embeddable program: it consumes device-data and
// alarm-commands as a member of a consumer group, runs every reading through the pure
// stages (intake, aggregate, alarm, presence), applies operators' commands to alarms,
// detects missing data, and commits the results.
//
// Alerts, audit entries, dead letters, the state of alarms and devices, and the offsets of
// both inputs are one Kafka transaction, fenced by the group's generation: each takes
// effect exactly once. State is kept in compacted topics partitioned like the inputs and
// restored when a partition is assigned. One goroutine per partition owns the state of its
// devices. Alerts, aggregates and delayed readings are also published on the hub, without a
// promise. Fresh readings come to screens by the live stage (package live), which works
// beside all this on packs that bridges send, and does not need Kafka.
//
// Run blocks until its context ends or a topic is unusable. While Kafka or the hub is
// unavailable it retries.
package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/core/historian"
	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/letterbox"
	"industrial-iot-monitor/core/internal/live"
	"industrial-iot-monitor/core/internal/notify"
	"industrial-iot-monitor/core/internal/peers"
	"industrial-iot-monitor/core/internal/replay"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/rulechange/follower"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/sensors/sensorfile"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/vitals"
)

// Options of a Processor. Log is required.
type Options struct {
	Config Config
	Log    *slog.Logger
	// Registry takes the metrics; nil creates one. The operations server serves all of it.
	Registry *prometheus.Registry
}

// Processor is one member of core's consumer group.
type Processor struct {
	cfg     Config
	log     *slog.Logger
	base    *slog.Logger // for the parts, which add their component
	metrics *metrics
	limits  intake.Limits
	rules   *ruleFile
	changes *follower.Follower // of rules
	sensors *sensorfile.File
	live    *live.Publisher
	stage   *live.Stage
	offsets *clock.Offsets
	server  *ops.Server // nil without an address

	registry *prometheus.Registry
	tracer   *tracing.Tracer // nil without traces

	gateways  *gateways.Watchdog
	peers     *peers.Exchange
	notifier  *notify.Notifier
	historian *historian.Historian // nil if another core keeps the history
	placement sarama.Partitioner

	partitions atomic.Int32 // of the inputs

	session atomic.Pointer[session] // nil without an assignment
}

// New checks the settings and binds the operations server; Run starts the work.
func New(o Options) (*Processor, error) {
	if o.Log == nil {
		return nil, errors.New("processor: Log is required")
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	reg := o.Registry
	if reg == nil {
		reg = ops.NewRegistry()
	}
	o.Config.Cluster = o.Config.Open()
	if err := o.Config.Register(reg, "core"); err != nil {
		return nil, err
	}
	p := &Processor{
		cfg: o.Config, base: o.Log, registry: reg, log: o.Log.With("component", "core"), limits: o.Config.limits(),
		placement: sarama.NewMurmur2Partitioner(o.Config.DeviceData), offsets: clock.NewOffsets(),
	}
	p.partitions.Store(topology.DataPartitions)
	if err := p.makeParts(reg); err != nil {
		return nil, err
	}
	p.metrics = newMetrics(reg, p)
	if o.Config.HTTPAddr != "" {
		var err error
		p.server, err = ops.NewServer(ops.ServerOptions{
			Addr: o.Config.HTTPAddr, AddrVar: "CORE_HTTP_ADDR", Gatherer: reg, Ready: p.Ready, Log: o.Log, Pprof: o.Config.PprofConfig,
		})
		if err != nil {
			return nil, err
		}
	}
	if o.Config.History.Enabled() {
		var err error
		p.historian, err = historian.New(historian.Options{
			Config: o.Config.History, Cluster: o.Config.Cluster, Topic: o.Config.Specs().DeviceData, Letters: o.Config.Specs().DeadLetters, GroupID: o.Config.GroupID,
			Log: o.Log, Registry: reg, Catalogue: p.sensors.Catalogue,
		})
		if err != nil {
			return nil, errors.Join(err, p.closeServer())
		}
	}
	return p, nil
}

// HistoryAddr returns the address at which the history is asked for, empty without one.
func (p *Processor) HistoryAddr() string {
	if p.historian == nil {
		return ""
	}
	return p.historian.Addr()
}

// makeParts creates the parts that run beside the consumer.
func (p *Processor) makeParts(reg prometheus.Registerer) (err error) {
	p.sensors, err = sensorfile.Open(sensorfile.Options{
		Config: p.cfg.Sensors, Log: p.log, Registry: reg, Program: "core", Changed: func(*sensors.Catalogue) {
			if p.rules != nil {
				p.rules.convert()
			}
		},
	})
	if err != nil {
		return err
	}
	if p.rules, err = newRuleFile(p.log, reg, p.cfg.RulesFile, p.cfg.builtIn(), p.sensors.Catalogue); err != nil {
		return err
	}
	p.changes = follower.New(follower.Options{
		Cluster: p.cfg.Cluster, Topic: p.cfg.Specs().Rules, ClientID: clientID, Log: p.log, Changed: p.rules.change,
	})
	if p.tracer, err = tracing.New(tracing.Options{Config: p.cfg.Tracing, Program: "core", Instance: vitals.Instance(p.cfg.HTTPAddr), Log: p.log, Registry: reg}); err != nil {
		return err
	}
	if p.live, err = live.New(live.Options{Log: p.log, Registry: reg}); err != nil {
		return err
	}
	p.stage, err = live.NewStage(live.StageOptions{
		Publisher: p.live, Registry: reg, Limits: p.limits, Catalogue: p.sensors.Catalogue, Offsets: p.offsets, Behind: p.behind, Tracer: p.tracer,
	})
	if err != nil {
		return err
	}
	p.gateways, err = gateways.NewWatchdog(p.log, gateways.Options{Silence: p.cfg.GatewaySilence, Horizon: p.cfg.BufferHorizon})
	if err != nil {
		return err
	}
	p.peers, err = peers.New(peers.Options{Log: p.log, Gateways: p.gateways, Offsets: p.offsets})
	if err != nil {
		return err
	}
	p.notifier, err = notify.New(notify.Options{
		Config: p.cfg.Notify, Kafka: p.cfg.Config, Topics: p.cfg.Topics, GroupID: p.cfg.GroupID, Log: p.log, Registry: reg,
	})
	return err
}

// Addr returns the bound address of the operations server, empty without one.
func (p *Processor) Addr() string {
	if p.server == nil {
		return ""
	}
	return p.server.Addr()
}

// Run works until ctx ends, then stops in order: it stops reading, commits the results,
// leaves the group and closes its connections.
func (p *Processor) Run(ctx context.Context) error {
	hub, err := p.connect()
	if err != nil {
		return errors.Join(err, p.closeServer(), p.closeHistorian())
	}
	reporter, err := p.newVitals(hub)
	if err != nil {
		hub.Close()
		return errors.Join(err, p.closeServer(), p.closeHistorian())
	}
	g := lifecycle.New(p.log, lifecycle.DefaultStopTimeout)
	if p.tracer != nil {
		g.Go("traces", p.tracer.Run)
	}
	if p.server != nil {
		g.Go("operations server", p.server.Run)
	}
	g.OnStop("hub connection", func(context.Context) error {
		hub.Close()
		return nil
	})
	g.Go("live publisher", func(ctx context.Context) error { return p.live.Run(ctx, hub) })
	g.Go("live stage", func(ctx context.Context) error { return p.stage.Run(ctx, hub) })
	g.Go("gateways", func(ctx context.Context) error { return p.gateways.Run(ctx, hub) })
	g.Go("unusual devices", func(ctx context.Context) error { return p.reportUnusual(ctx, hub) })
	g.Go("peers", func(ctx context.Context) error { return p.peers.Run(ctx, hub) })
	explainer := replay.Explainer{
		Log: p.log, Cluster: p.cfg.Cluster, Topic: p.cfg.DeviceData, ClientID: clientID, Rules: p.rules.forAlert,
	}
	g.Go("explainer", func(ctx context.Context) error { return explainer.Run(ctx, hub) })
	g.Go("vitals", reporter.Run)
	tester := replay.Tester{
		Log: p.log, Cluster: p.cfg.Cluster, Topic: p.cfg.DeviceData, Rules: func() alarm.RuleSet { return p.rules.load().source },
	}
	letters, err := letterbox.New(letterbox.Options{
		Log: p.base, Kafka: p.cfg.Config, DeadLetters: p.cfg.DeadLetters, DeviceData: p.cfg.DeviceData, TransactionalID: p.cfg.TxnPrefix + "dead-letters",
	})
	if err != nil {
		return errors.Join(err, p.closeServer(), p.closeHistorian())
	}
	g.Go("dead letters", func(ctx context.Context) error { return letters.Run(ctx, hub) })
	g.Go("dry runs", func(ctx context.Context) error {
		if !p.changesRead(ctx) {
			return nil
		}
		return tester.Run(ctx, hub)
	})
	g.Go("questions about rules", func(ctx context.Context) error { return p.answerRules(ctx, hub) })
	g.Go("rules", p.rules.Run)
	g.Go("changes of rules", p.changes.Run)
	g.Go("sensors", p.sensors.Run)
	g.Go("settings of topics", func(ctx context.Context) error { return p.cfg.WatchTopics(ctx, p.log) })
	g.Go("consumers", p.work)
	return g.Wait(ctx)
}

// work runs the consumers of Kafka. They stop at the same time, because without Kafka each
// needs most of the time that a stop may take.
func (p *Processor) work(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.consume(ctx) })
	if p.cfg.Notify.Enabled() {
		g.Go(func() error { return p.notifier.Run(ctx) })
	}
	if p.historian != nil {
		g.Go(func() error { return p.historian.Run(ctx) })
	}
	return g.Wait()
}

// connect starts connecting to the hub in the background.
func (p *Processor) connect() (*nats.Conn, error) {
	nc, err := natsconn.Connect(natsconn.Options{
		URL: p.cfg.HubURL, KeyFile: p.cfg.HubKeyFile, CAFile: p.cfg.HubCAFile, Name: "core", Log: p.log,
		Extra: []nats.Option{
			nats.ReconnectBufSize(-1), // drop while disconnected
			nats.FlusherTimeout(time.Second),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("HUB_URL: %w", err)
	}
	return nc, nil
}

func (p *Processor) closeHistorian() error {
	if p.historian == nil {
		return nil
	}
	return p.historian.Close()
}

func (p *Processor) closeServer() error {
	if p.server == nil {
		return nil
	}
	return p.server.Close()
}
