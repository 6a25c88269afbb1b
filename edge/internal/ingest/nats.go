package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Limits of the queue between the server and the collector. Beyond them messages are
// dropped and counted; their senders get no reply and send again.
const (
	pendingMessages = 1 << 19
	pendingBytes    = 256 << 20
)

// drainTime is how long a stopping intake accepts the messages already queued.
const drainTime = 500 * time.Millisecond

// NATSOptions of a NATSIntake. All are required but Registerer.
type NATSOptions struct {
	Conn       *nats.Conn // in the account of the devices
	Collector  *Collector
	Stream     string // name in acknowledgements
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// NATSIntake receives readings published on devices.<device_id>.telemetry and replies
// to requests. One goroutine validates them in order of arrival.
type NATSIntake struct {
	o     NATSOptions
	log   *slog.Logger
	sub   *nats.Subscription
	done  chan struct{} // closed after the last message
	late  atomic.Bool   // drainTime is over: refuse the queued messages
	check validator
	msg   Message

	// Used by Answer alone.
	seq uint64
	ack []byte
}

// ListenNATS subscribes. Stop ends it.
func ListenNATS(o NATSOptions) (*NATSIntake, error) {
	n := &NATSIntake{o: o, log: o.Log.With("component", "ingest", "protocol", NATS.String()), done: make(chan struct{})}
	sub, err := o.Conn.Subscribe(wire.TelemetrySubjects, n.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", wire.TelemetrySubjects, err)
	}
	n.sub = sub
	sub.SetClosedHandler(func(string) { close(n.done) })
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return nil, fmt.Errorf("setting pending limits: %w", err)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "edge_intake_dropped_total",
			Help: "NATS messages dropped because the intake queue was full; their senders got no reply.",
		}, n.dropped))
	}
	return n, nil
}

func (n *NATSIntake) dropped() float64 {
	d, err := n.sub.Dropped()
	if err != nil {
		return 0 // the subscription is closed
	}
	return float64(d)
}

func (n *NATSIntake) receive(msg *nats.Msg) {
	if n.late.Load() {
		if msg.Reply != "" {
			n.reply(msg.Reply, n.o.Collector.refuseStopping(NATS))
		}
		return
	}
	m := &n.msg
	m.Received = time.Now()
	m.Ticket = Ticket{Protocol: NATS, Reply: msg.Reply}
	if msg.Reply != "" {
		m.Ticket.To = n
	}
	device, ok := wire.DeviceOfSubject(msg.Subject, '.')
	if !ok { // excluded by the subscription
		return
	}
	n.check.message(m, device, msg.Data)
	if r := n.o.Collector.Offer(m); r != nil && msg.Reply != "" {
		n.reply(msg.Reply, wire.EncodeRefusal(r))
	}
}

// Answer implements Responder.
func (n *NATSIntake) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) {
	if r != nil {
		n.reply(t.Reply, wire.EncodeRefusal(r))
		return
	}
	if n.seq != seq {
		n.seq, n.ack = seq, wire.AppendAck(n.ack[:0], n.o.Stream, seq)
	}
	n.reply(t.Reply, n.ack)
}

// reply queues data on the connection, which sends many replies with one write.
func (n *NATSIntake) reply(subject string, data []byte) {
	if err := n.o.Conn.Publish(subject, data); err != nil {
		n.log.Warn("sending a reply failed", "err", err)
	}
}

// Stop ends the subscription and waits until the queued messages were offered to the
// collector, or refused after drainTime.
func (n *NATSIntake) Stop(ctx context.Context) error {
	if err := n.sub.Drain(); err != nil {
		return fmt.Errorf("ending the subscription: %w", err)
	}
	limit := time.AfterFunc(drainTime, func() { n.late.Store(true) })
	defer limit.Stop()
	select {
	case <-n.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the subscription to drain: %w", ctx.Err())
	}
}
