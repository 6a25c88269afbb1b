// Package feed fills the model, the audit trail and the store: live frames, heartbeats, ledgers and
// aggregates come from the hub, alerts, device states and descriptions and audit entries from Kafka. Both may
// be down at the start or fail at any time; the feed resumes where it was. It publishes
// nothing but the requests of Ask. Run blocks until its context ends, Ask until there is a
// reply; nothing else blocks.
package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/tail"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

// Options of a feed. All but Store, Tracer, Vitals, LogLevel, Unusual and Removed are required.
type Options struct {
	// LogLevel answers requests to change the level of this portal's log, with nil if another one is meant.
	LogLevel func(request []byte) (reply []byte)
	// Vitals is called with every report of a process of the plant.
	Vitals func(wire.Vitals)
	// Unusual is called with every report of a core instance on unusual devices.
	Unusual func(wire.UnusualReport)
	// Removed is called with every device that was removed, known to the model or not, and when, in ms.
	Removed func(id string, at int64)
	Model   *state.Model
	Trail   *audit.Trail
	Store   *store.Store    // nil: there is none
	Tracer  *tracing.Tracer // nil: frames are not followed
	HubURL  string
	// HubKeyFile has the key that is proved to the hub; empty: none.
	HubKeyFile string
	// HubCAFile has the certificates that the hub's is signed by; empty: those of the system.
	HubCAFile string
	Cluster   kafka.Cluster
	Topics    topology.Topics
	Log       *slog.Logger
	Registry  prometheus.Registerer
}

// Feed owns the connections to the hub and to Kafka.
type Feed struct {
	opts      Options
	model     *state.Model
	log       *slog.Logger
	metrics   *metrics
	alerts    follower
	states    follower
	metas     follower
	audit     follower
	copies    []*recorder // into the store
	registrar *registrar  // nil: there is no store
	nc        atomic.Pointer[nats.Conn]
	live      atomic.Pointer[nats.Subscription]
	frame     wire.Frame // of the goroutine that applies frames
}

// follower reads a topic whole: a tail.Tail.
type follower interface {
	Run(ctx context.Context)
	CaughtUp() bool
	Failing() bool
	Failed()
}

var errMissing = errors.New("feed: Model, Trail, HubURL, Brokers, Topics, Log and Registry are required")

// New returns a feed; Run connects it.
func New(o Options) (*Feed, error) {
	if o.Model == nil || o.Trail == nil || o.HubURL == "" || len(o.Cluster.Brokers) == 0 ||
		o.Topics.Alerts == "" || o.Topics.DeviceState == "" || o.Topics.DeviceMeta == "" || o.Topics.Audit == "" || o.Log == nil || o.Registry == nil {
		return nil, errMissing
	}
	f := &Feed{opts: o, model: o.Model, log: o.Log.With("component", "feed")}
	f.alerts = tail.New(tail.Options{
		Cluster: o.Cluster, ClientID: "portal", Topic: o.Topics.Alerts, Log: f.log, Apply: f.applyAlert, CaughtUp: o.Model.AlertsCaughtUp,
	})
	f.states = tail.New(tail.Options{
		Cluster: o.Cluster, ClientID: "portal", Topic: o.Topics.DeviceState, Log: f.log, Apply: f.applyState,
	})
	f.metas = tail.New(tail.Options{
		Cluster: o.Cluster, ClientID: "portal", Topic: o.Topics.DeviceMeta, Log: f.log, Apply: f.applyMeta,
	})
	f.audit = tail.New(tail.Options{
		Cluster: o.Cluster, ClientID: "portal", Topic: o.Topics.Audit, Log: f.log, Apply: f.applyAudit, Restart: o.Trail.Forget,
		Last: int64(o.Trail.Figures().Limit), Skipped: func(at time.Time) { o.Trail.Skipped(at.UnixMilli()) },
	})
	f.copyInto(o.Store)
	var err error
	f.metrics, err = newMetrics(o.Registry, f)
	return f, err
}

// Run fills the model until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	nc, err := natsconn.Connect(natsconn.Options{URL: f.opts.HubURL, KeyFile: f.opts.HubKeyFile, CAFile: f.opts.HubCAFile, Name: "portal", Log: f.log})
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := f.subscribe(nc); err != nil {
		return err
	}
	// The hub has the subscriptions before HubConnected says that readings can arrive. One that is
	// away gets them when it comes.
	if nc.IsConnected() {
		if err := nc.FlushTimeout(subscribeTimeout); err != nil {
			f.log.Warn("the hub did not confirm the subscriptions in time, it gets them again when it is back", "err", err)
		}
	}
	f.nc.Store(nc)

	specs := f.opts.Topics.Specs()
	var tails sync.WaitGroup
	tails.Go(func() { f.follow(ctx, f.states, specs.DeviceState) })
	tails.Go(func() { f.follow(ctx, f.metas, specs.DeviceMeta) })
	tails.Go(func() { f.follow(ctx, f.audit, specs.Audit) })
	tails.Go(func() { f.follow(ctx, f.alerts, specs.Alerts) })
	for _, c := range f.copies {
		tails.Go(func() { c.run(ctx) })
	}
	if f.registrar != nil {
		tails.Go(func() { f.registrar.run(ctx) })
	}
	tails.Wait()
	return nil
}

// follow creates a topic if it is missing and reads it until ctx ends.
func (f *Feed) follow(ctx context.Context, t follower, topic kafka.Topic) {
	for ctx.Err() == nil {
		err := kafka.EnsureTopics(ctx, f.log, f.opts.Cluster, topic)
		if err == nil {
			t.Run(ctx)
			return
		}
		if ctx.Err() != nil {
			return
		}
		t.Failed()
		f.log.Error("topic unavailable, retrying", "topic", topic.Name, "err", err)
		lifecycle.Pause(ctx, 5*time.Second)
	}
}

// pendingBytes bounds the messages of one subscription that wait while the model is locked.
// What is older than that is better dropped, since newer readings wait behind it: at full
// load it is half a second.
const pendingBytes = 32 << 20

// subscribeTimeout bounds the wait for a hub that is connected and does not answer.
const subscribeTimeout = 5 * time.Second

func (f *Feed) subscribe(nc *nats.Conn) error {
	for subject, apply := range map[string]func([]byte) error{
		wire.LiveSubjects:     f.applyFrame,
		wire.StatusSubjects:   f.applyHeartbeat,
		wire.LedgerSubjects:   f.applyLedger,
		wire.AggregateSubject: f.applyWindows,
		wire.VitalsSubjects:   f.applyVitals,
		wire.UnusualSubject:   f.applyUnusual,
	} {
		var limit ops.LogLimit // of this subscription's goroutine
		sub, err := nc.Subscribe(subject, func(m *nats.Msg) {
			span := f.opts.Tracer.Continue("apply frame", m.Header)
			defer span.End()
			if err := apply(m.Data); err != nil {
				span.Fail(err)
				f.metrics.malformed[subject].Inc()
				if skipped, ok := limit.Allow(); ok {
					f.log.Warn("malformed message dropped", "subject", m.Subject, "err", err, "skipped", skipped)
				}
			}
		})
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		if err := sub.SetPendingLimits(-1, pendingBytes); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		if subject == wire.LiveSubjects {
			f.live.Store(sub)
		}
	}
	if f.opts.LogLevel != nil {
		_, err := vitals.Listen(nc)(wire.LogLevelSubject("portal"), f.opts.LogLevel)
		return err
	}
	return nil
}

func (f *Feed) applyFrame(data []byte) error {
	if err := f.frame.Open(data); err != nil {
		return err
	}
	_, err := f.model.ApplyFrame(&f.frame)
	return err
}

func (f *Feed) applyHeartbeat(data []byte) error {
	s, err := wire.DecodeGatewayStatus(data)
	if err != nil {
		return fmt.Errorf("reading a heartbeat: %w", err)
	}
	f.model.ApplyHeartbeat(s)
	return nil
}

func (f *Feed) applyLedger(data []byte) error {
	l, err := wire.DecodeGatewayLedger(data)
	if err != nil {
		return fmt.Errorf("reading a ledger: %w", err)
	}
	f.model.ApplyLedger(l)
	return nil
}

// ofBuilding is in every message with windows of buildings.
var ofBuilding = []byte(`"building"`)

func (f *Feed) applyWindows(data []byte) error {
	if !bytes.Contains(data, ofBuilding) {
		return nil
	}
	var ws []telemetry.Window
	if err := json.Unmarshal(data, &ws); err != nil {
		return fmt.Errorf("reading aggregates: %w", err)
	}
	f.model.ApplyWindows(ws)
	return nil
}

func (f *Feed) applyVitals(data []byte) error {
	v, err := wire.DecodeVitals(data)
	if err != nil {
		return fmt.Errorf("reading a process's report: %w", err)
	}
	if f.opts.Vitals != nil {
		f.opts.Vitals(v)
	}
	return nil
}

func (f *Feed) applyUnusual(data []byte) error {
	r, err := wire.DecodeUnusualReport(data)
	if err == nil && f.opts.Unusual != nil {
		f.opts.Unusual(r)
	}
	return err
}

func (f *Feed) applyAlert(m *sarama.ConsumerMessage, live bool) {
	a, err := state.ParseAlert(m.Value)
	if err != nil {
		f.metrics.malformed[sourceAlerts].Inc()
		f.log.Warn("malformed alert dropped", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	f.model.ApplyAlert(a, live)
}

func (f *Feed) applyAudit(m *sarama.ConsumerMessage, _ bool) {
	e, err := audit.Parse(m.Value, m.Partition, m.Offset, m.Timestamp.UnixMilli())
	if err != nil {
		f.metrics.malformed[sourceAudit].Inc()
		f.log.Warn("malformed audit entry dropped", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	f.opts.Trail.Add(e)
}

func (f *Feed) applyState(m *sarama.ConsumerMessage, _ bool) {
	switch {
	case len(m.Key) == 0 || m.Key[0] == 0:
		return // a fence record, see internal/kafka
	case m.Value == nil:
		f.model.Remove(string(m.Key), m.Timestamp.UnixMilli())
		if f.opts.Removed != nil {
			f.opts.Removed(string(m.Key), m.Timestamp.UnixMilli())
		}
		return
	}
	var s telemetry.DeviceState
	if err := json.Unmarshal(m.Value, &s); err != nil || s.DeviceID == "" {
		f.metrics.malformed[sourceStates].Inc()
		f.log.Warn("malformed device state dropped", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	f.model.ApplyState(s)
}

func (f *Feed) applyMeta(m *sarama.ConsumerMessage, _ bool) {
	switch {
	case len(m.Key) == 0 || m.Key[0] == 0:
		return // a fence record, see internal/kafka
	case m.Value == nil:
		f.model.ForgetMeta(string(m.Key))
		return
	}
	var v telemetry.DeviceMeta
	if err := json.Unmarshal(m.Value, &v); err != nil || v.DeviceID == "" {
		f.metrics.malformed[sourceMetas].Inc()
		f.log.Warn("malformed description of a device dropped", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	f.model.ApplyMeta(v)
}

// Errors of Ready.
var (
	errNoHub    = errors.New("no connection to the hub (HUB_URL)")
	errNoAlerts = errors.New("still reading alerts from kafka")
	errNoStates = errors.New("still reading device states from kafka")
	errNoMetas  = errors.New("still reading names of devices from kafka")
	errNoAudit  = errors.New("still reading the audit trail from kafka")
)

// Ready returns nil while the hub is connected, once the records that were in Kafka at the start
// have been read.
func (f *Feed) Ready() error {
	if err := f.opts.Cluster.Refusal(); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	switch {
	case !f.HubConnected():
		return errNoHub
	case !f.alerts.CaughtUp():
		return errNoAlerts
	case !f.states.CaughtUp():
		return errNoStates
	case !f.metas.CaughtUp():
		return errNoMetas
	case !f.audit.CaughtUp():
		return errNoAudit
	}
	return nil
}

// StatesRead reports whether the states of all devices that were in Kafka at the start have been read.
func (f *Feed) StatesRead() bool { return f.states.CaughtUp() }

// HubConnected reports whether live readings can arrive.
func (f *Feed) HubConnected() bool {
	nc := f.nc.Load()
	return nc != nil && nc.IsConnected()
}

// KafkaHealthy reports whether alerts can arrive: the topic was read to its end and Kafka has not
// failed for some seconds.
func (f *Feed) KafkaHealthy() bool {
	return f.alerts.CaughtUp() && !f.alerts.Failing()
}

// dropped returns how many live frames were dropped because the portal was too slow.
func (f *Feed) dropped() float64 {
	sub := f.live.Load()
	if sub == nil {
		return 0
	}
	n, err := sub.Dropped()
	if err != nil {
		return 0 // the connection is closed
	}
	return float64(n)
}
