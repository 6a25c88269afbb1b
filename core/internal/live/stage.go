package live

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

const (
	// stageQueue is the queue group in which core instances share the packs.
	stageQueue = "core"
	// waitingBytes bounds the packs that wait for the stage. At full load that is a fifth of a
	// second: what is older is better dropped, since newer readings wait behind it.
	waitingBytes = 8 << 20
	// freshMS is the age below which a pack is shown first when not all can be, in ms.
	freshMS = 1_000
)

// StageOptions are the options of a Stage. All are required, except Limits and Tracer.
type StageOptions struct {
	Publisher *Publisher
	Registry  prometheus.Registerer
	Limits    intake.Limits
	// Catalogue returns the catalogue of sensors in force.
	Catalogue func() *sensors.Catalogue
	// Offsets are the devices' clock offsets, kept by the record path.
	Offsets *clock.Offsets
	Tracer  *tracing.Tracer // nil: packs are not followed
	// Behind reports whether the record path is behind, at a time in ms by the clock. Then
	// screens get fewer readings, because alarms need the CPU more.
	Behind func(now int64) bool
}

// Stage makes live frames of the packs that bridges send as soon as they have them. It sets
// units, statuses and plant time, and does nothing else: the same readings arrive through
// Kafka, in order, and there they are judged, aggregated and stored. So any instance may do
// it for any device, also without Kafka.
type Stage struct {
	o      StageOptions
	intake intake.Intake
	key    []byte // of the reading at hand
	budget budget

	shown, refused, shed prometheus.Counter
	damaged, dropped     prometheus.Counter // packs
	arrived, sent        prometheus.Observer
}

// NewStage returns a Stage.
func NewStage(o StageOptions) (*Stage, error) {
	if o.Publisher == nil || o.Registry == nil || o.Catalogue == nil || o.Offsets == nil || o.Behind == nil {
		return nil, errors.New("live: StageOptions.Publisher, Registry, Catalogue, Offsets and Behind are required")
	}
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_live_readings_total",
		Help: "Readings on the live path by result: shown, refused as invalid, or shed because the record path is behind.",
	}, []string{"result"})
	packs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_live_packs_lost_total",
		Help: "Packs on the live path that were not shown: damaged, or dropped because this instance was too slow.",
	}, []string{"reason"})
	age := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "core_live_pack_age_seconds",
		Help:    "Time since a gateway received the first reading of a pack on the live path, by two machines' clocks: when the pack arrived here, and when its readings had been sent on.",
		Buckets: ageBuckets,
	}, []string{"at"})
	s := &Stage{
		arrived: age.WithLabelValues("arrived"), sent: age.WithLabelValues("sent"),
		o: o, intake: intake.Intake{Limits: o.Limits},
		shown: readings.WithLabelValues("shown"), refused: readings.WithLabelValues("refused"), shed: readings.WithLabelValues("shed"),
		damaged: packs.WithLabelValues("damaged"), dropped: packs.WithLabelValues("dropped"),
	}
	o.Registry.MustRegister(readings, packs, age)
	return s, nil
}

// Run listens on nc until ctx ends.
func (s *Stage) Run(ctx context.Context, nc *nats.Conn) error {
	lost := 0
	sub, err := nc.QueueSubscribeSync(wire.FreshSubjects, stageQueue)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.FreshSubjects, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(-1, waitingBytes); err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.FreshSubjects, err)
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrSlowConsumer):
			if n, err := sub.Dropped(); err == nil {
				s.dropped.Add(float64(n - lost))
				lost = n
			}
			continue
		case err != nil:
			return fmt.Errorf("receiving packs: %w", err)
		}
		_, gateway, _ := strings.Cut(m.Subject, ".")
		s.follow(gateway, m)
	}
}

// follow shows a pack, in its trace if it is traced: the frame of its first reading continues it.
func (s *Stage) follow(gateway string, m *nats.Msg) {
	span := s.o.Tracer.Continue("show pack", m.Header)
	if span != nil {
		span.Set(attribute.String("iot.gateway", gateway))
		s.o.Publisher.Trace(gateway, span.Context())
		defer s.o.Publisher.EndTrace(gateway) // a pack may have nothing to show
		defer span.End()
	}
	s.show(gateway, m.Data, time.Now().UnixMilli(), span)
}

// show publishes the readings of a pack.
func (s *Stage) show(gateway string, data []byte, now int64, span *tracing.Span) {
	pack, err := wire.OpenPack(data)
	if err != nil || !telemetry.ValidDeviceID(gateway) {
		s.damaged.Inc()
		return
	}
	if s.o.Behind(now) && !s.budget.take(pack.Header.Count, now-pack.Header.Base < freshMS, now) {
		s.shed.Add(float64(pack.Header.Count))
		return
	}
	span.Observe(s.arrived, seconds(now-pack.Header.Base))
	s.intake.Sensors = s.o.Catalogue()
	shown, refused := 0, 0
	for e, ok := pack.Next(); ok; e, ok = pack.Next() {
		switch {
		case e.Refusal != nil:
		case s.one(gateway, e, now):
			shown++
		default:
			refused++
		}
	}
	s.shown.Add(float64(shown))
	s.refused.Add(float64(refused))
	if pack.Err() != nil {
		s.damaged.Inc()
	}
	s.o.Publisher.Flush()
	span.Observe(s.sent, seconds(time.Now().UnixMilli()-pack.Header.Base))
}

// seconds are those of an age in ms, none if the clocks of two machines disagree.
func seconds(ms int64) float64 { return float64(max(ms, 0)) / 1000 }

// ageBuckets are the bounds of ages, in seconds.
var ageBuckets = []float64{.002, .005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1, 2, 5, 10, 60}

// one publishes a reading and reports whether it is one.
func (s *Stage) one(gateway string, e wire.PackEntry, now int64) bool {
	o := intake.Origin{Received: e.Received, Written: now}
	s.key = append(s.key[:0], e.Device...)
	payload, refusal := s.intake.Accept(s.key, e.Payload, &o)
	if refusal != nil {
		return false
	}
	r := &s.intake.Reading
	if len(r.Sensors) == 0 && r.Offline {
		return true // it changes presence alone
	}
	known := s.o.Offsets.Clock(e.Device)
	p := o.Place(&known, r)
	s.o.Publisher.Add(gateway, wire.FrameEntry{
		Device: e.Device, Timestamp: p.At, Received: o.Received, Backfill: p.Backfill, ClockOffset: p.Offset, Payload: payload, Reading: r,
	})
	return true
}
