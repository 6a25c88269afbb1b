package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/tracing"
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

// NATSOptions of a NATSIntake. Conn, Collector, Stream and Log are required.
type NATSOptions struct {
	Conn       *nats.Conn // in the account of the devices
	Collector  *Collector
	Mapper     Mapper         // of messages that are no readings; may be nil
	Devices    *devices.Store // that have to be the senders; nil: any
	Stream     string         // name in acknowledgements
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// NATSIntake receives readings published on devices.<device_id>.telemetry and
// concentrators.<id>.telemetry and replies to requests, as JetStream would. One goroutine for
// each of the two validates them in order of arrival.
type NATSIntake struct {
	o      NATSOptions
	log    *slog.Logger
	queues []*natsQueue
	mapped *mappedSubjects // nil without a Mapper
	open   sync.WaitGroup  // subscriptions that have not ended
	late   atomic.Bool     // drainTime is over: refuse the queued messages

	// Used by Answer alone.
	seq uint64
	ack []byte
}

// natsQueue is one subscription.
type natsQueue struct {
	n     *NATSIntake
	sub   *nats.Subscription
	check validator
	msg   Message
}

// ListenNATS subscribes. Stop ends it.
func ListenNATS(o NATSOptions) (*NATSIntake, error) {
	n := &NATSIntake{o: o, log: o.Log.With("component", "ingest", "protocol", NATS.String())}
	for _, subjects := range []string{wire.TelemetrySubjects, wire.ConcentratorSubjects} {
		q := &natsQueue{n: n}
		if err := q.subscribe(subjects, q.receive); err != nil {
			return nil, err
		}
		n.queues = append(n.queues, q)
	}
	if o.Mapper != nil {
		n.mapped = n.followMappings(o.Mapper)
	}
	if err := o.Conn.Flush(); err != nil { // or the first messages would find no listener
		return nil, fmt.Errorf("subscribing: %w", err)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "edge_intake_dropped_total",
			Help: "NATS messages dropped because the intake queue was full; their senders got no reply.",
		}, n.dropped))
	}
	return n, nil
}

// subscribe makes q the queue of some subjects.
func (q *natsQueue) subscribe(subjects string, receive nats.MsgHandler) error {
	sub, err := q.n.o.Conn.Subscribe(subjects, receive)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", subjects, err)
	}
	q.sub = sub
	q.n.open.Add(1)
	sub.SetClosedHandler(func(string) { q.n.open.Done() })
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return fmt.Errorf("setting pending limits: %w", err)
	}
	return nil
}

func (n *NATSIntake) dropped() (sum float64) {
	for _, q := range n.all() {
		if d, err := q.sub.Dropped(); err == nil { // else the subscription is closed
			sum += float64(d)
		}
	}
	return sum
}

// all returns the open queues.
func (n *NATSIntake) all() []*natsQueue {
	if n.mapped == nil {
		return n.queues
	}
	n.mapped.mu.Lock()
	defer n.mapped.mu.Unlock()
	return slices.AppendSeq(slices.Clone(n.queues), maps.Values(n.mapped.queues))
}

func (q *natsQueue) receive(msg *nats.Msg) {
	from, ok := wire.SenderOfSubject(msg.Subject, '.')
	if !ok { // excluded by the subscription
		return
	}
	if d := q.n.o.Devices; d != nil && from.Concentrator { // of a device the server has let in its own subject alone
		q.check.sender, q.check.may = from.ID, func(device string) bool { return d.Concentrates(from.ID, device) }
	}
	q.offer(msg, func(m *Message, encoding string) bool {
		q.check.accept(m, from, msg.Data, encoding)
		return true
	})
}

// offer offers a message to the collector. take sets what it holds; false: nothing that
// concerns this gateway.
func (q *natsQueue) offer(msg *nats.Msg, take func(m *Message, encoding string) bool) {
	n := q.n
	if n.late.Load() {
		if msg.Reply != "" {
			n.reply(msg.Reply, n.o.Collector.refuseStopping(NATS))
		}
		return
	}
	m := q.begin(msg)
	encoding := ""
	if msg.Header != nil {
		if m.Refusal = n.unmet(msg.Header); m.Refusal != nil {
			from, _ := wire.SenderOfSubject(msg.Subject, '.')
			q.check.refuse(m, from, msg.Data)
			take = func(*Message, string) bool { return true }
		}
		m.ID, encoding = msg.Header.Get(nats.MsgIdHdr), msg.Header.Get(encodingHeader)
		m.Ticket.JetStream = isJetStream(msg.Header)
		m.asked = n.o.Collector.askedBy(msg.Header.Get(tracing.HeaderParent), msg.Header.Get(tracing.HeaderState))
	}
	if !take(m, encoding) {
		return
	}
	if r := n.o.Collector.Offer(m); r != nil && msg.Reply != "" {
		n.refuse(&m.Ticket, r)
	}
}

// encodingHeader names how a message is compressed, as in HTTP.
const encodingHeader = "Content-Encoding"

// unmet returns a refusal if a header asks for a condition that JetStream checks before it
// stores a message, and that does not hold here.
func (n *NATSIntake) unmet(h nats.Header) *telemetry.Refusal {
	if want := h.Get(nats.ExpectedStreamHdr); want != "" && want != n.o.Stream {
		return &telemetry.Refusal{
			Reason: telemetry.ReasonWrongStream, Field: nats.ExpectedStreamHdr,
			Message: fmt.Sprintf("%q; readings are stored in %q", clip(want), n.o.Stream),
		}
	}
	for _, name := range []string{nats.ExpectedLastSeqHdr, nats.ExpectedLastSubjSeqHdr, nats.ExpectedLastMsgIdHdr} {
		if h.Get(name) != "" {
			return &telemetry.Refusal{
				Reason: telemetry.ReasonWrongStream, Field: name,
				Message: "readings share a pack, so that a sequence or id before them cannot be expected; leave it out",
			}
		}
	}
	return nil
}

// Answer implements Responder.
func (n *NATSIntake) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) {
	switch {
	case r != nil:
		n.refuse(t, r)
	case t.Batch != nil:
		n.reply(t.Reply, wire.AppendBatchAck(nil, n.o.Stream, seq, t.Duplicate, t.Batch.Accepted, t.Batch.Refused))
	case t.Duplicate:
		n.reply(t.Reply, wire.AppendAck(nil, n.o.Stream, seq, true))
	default:
		if n.seq != seq {
			n.seq, n.ack = seq, wire.AppendAck(n.ack[:0], n.o.Stream, seq, false)
		}
		n.reply(t.Reply, n.ack)
	}
}

// refuse replies with a refusal in the form that the sender expects.
func (n *NATSIntake) refuse(t *Ticket, r *telemetry.Refusal) {
	if t.JetStream {
		n.reply(t.Reply, wire.EncodeJetStreamRefusal(r))
		return
	}
	n.reply(t.Reply, wire.EncodeRefusal(r))
}

// isJetStream reports whether a message has a header that only JetStream clients set.
func isJetStream(h nats.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Nats-") {
			return true
		}
	}
	return false
}

// reply queues data on the connection, which sends many replies with one write.
func (n *NATSIntake) reply(subject string, data []byte) {
	if err := n.o.Conn.Publish(subject, data); err != nil {
		n.log.Warn("sending a reply failed", "err", err)
	}
}

// Stop ends the subscriptions and waits until the queued messages were offered to the
// collector, or refused after drainTime.
func (n *NATSIntake) Stop(ctx context.Context) error {
	for _, q := range n.queues {
		if err := q.sub.Drain(); err != nil {
			return fmt.Errorf("ending the subscription: %w", err)
		}
	}
	if n.mapped != nil {
		if err := n.mapped.drain(); err != nil {
			return fmt.Errorf("ending the subscription: %w", err)
		}
	}
	done := make(chan struct{})
	go func() { n.open.Wait(); close(done) }() // ends with the subscriptions, at the latest with the connection
	limit := time.AfterFunc(drainTime, func() { n.late.Store(true) })
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the subscriptions to drain: %w", ctx.Err())
	}
}
