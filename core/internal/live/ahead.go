package live

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// aheadQueue is the queue group in which core instances share the packs.
	aheadQueue    = "core"
	aheadMessages = 64
)

// Ahead publishes the newest readings of gateways that have a backlog: it makes live
// frames of the packs that the bridge sends ahead, and does nothing else with them. The
// same readings arrive through Kafka later, in order, and only then are processed.
type Ahead struct {
	p      *Publisher
	intake intake.Intake
	// catalogue returns the catalogue of sensors in force.
	catalogue func() *sensors.Catalogue
	clocks    clocks

	shown, refused prometheus.Counter
	damaged        prometheus.Counter
}

// NewAhead returns an Ahead that publishes through p with the statuses that limits
// give and in the units of the catalogue in force.
func NewAhead(p *Publisher, reg prometheus.Registerer, limits intake.Limits, catalogue func() *sensors.Catalogue) *Ahead {
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_ahead_readings_total",
		Help: "Readings sent ahead of their gateway's backlog, by result: shown, or refused as invalid.",
	}, []string{"result"})
	a := &Ahead{
		p: p, intake: intake.Intake{Limits: limits}, catalogue: catalogue,
		shown: readings.WithLabelValues("shown"), refused: readings.WithLabelValues("refused"),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_ahead_packs_damaged_total",
			Help: "Packs sent ahead that were damaged.",
		}),
	}
	reg.MustRegister(readings, a.damaged)
	return a
}

// Run listens on nc until ctx ends.
func (a *Ahead) Run(ctx context.Context, nc *nats.Conn) error {
	messages := make(chan *nats.Msg, aheadMessages)
	sub, err := nc.ChanQueueSubscribe(wire.AheadSubjects, aheadQueue, messages)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", wire.AheadSubjects, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			_, gateway, _ := strings.Cut(m.Subject, ".")
			a.show(gateway, m.Data, time.Now().UnixMilli())
		}
	}
}

// show publishes the readings of a pack.
func (a *Ahead) show(gateway string, data []byte, now int64) {
	pack, err := wire.OpenPack(data)
	if err != nil || !telemetry.ValidDeviceID(gateway) {
		a.damaged.Inc()
		return
	}
	a.intake.Sensors = a.catalogue()
	for e, ok := pack.Next(); ok; e, ok = pack.Next() {
		if e.Refusal == nil {
			a.one(gateway, e, now)
		}
	}
	if pack.Err() != nil {
		a.damaged.Inc()
	}
	a.p.Flush()
}

func (a *Ahead) one(gateway string, e wire.PackEntry, now int64) {
	o := intake.Origin{Received: e.Received, Written: now}
	payload, refusal := a.intake.Accept([]byte(e.Device), e.Payload, &o)
	if refusal != nil {
		a.refused.Inc()
		return
	}
	r := &a.intake.Reading
	if len(r.Sensors) == 0 && r.Offline {
		return // it comes through Kafka
	}
	p := o.Place(a.clocks.get(e.Device, now), r)
	a.p.Add(gateway, wire.FrameEntry{
		Device: e.Device, Timestamp: p.At, Received: o.Received, Backfill: p.Backfill, ClockOffset: p.Offset, Payload: payload, Reading: r,
	})
	a.shown.Inc()
}
