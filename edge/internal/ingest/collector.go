// Package ingest receives device messages by NATS and MQTT, validates them, groups them
// into packs, and replies once a pack is on disk. It does not store packs (package
// broker does) and does not use the hub.
//
// # Replies
//
// An acknowledgement means that the reading is on disk. A permanent refusal means that
// the message is on disk as a dead letter. "Retry later" (buffer_full, unavailable)
// means that the message is not stored and never will be, so a resend cannot duplicate
// it. While the outcome of a write is unknown, its senders get no reply: the collector
// first probes the stream, of which it is the only writer and which accepts a pack only
// after its predecessor. A device that times out and sends again gets the same outcome as
// the first message, which is stored once: package resend remembers it.
//
// While a pack is refused or its outcome unknown, all later messages are refused, so
// that a device's readings keep their order.
//
// # Blocking
//
// Collector.Offer blocks while a full pack waits for its predecessor's sync, at most
// Options.StallAfter; then everything is refused until storage responds again.
// Acknowledged readings are never affected.
package ingest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/edge/internal/quota"
	"industrial-iot-monitor/edge/internal/resend"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

// Pack sizes. A pack at a flush size is stored before its linger time is over; while its
// predecessor is being synced it may grow to the limit. A batch goes into one pack, with
// others if all fit into the limit. The limit plus one message of wire.MaxReadingBytes is
// below 1 MiB, the default max_payload of nats-server, as is the largest batch with a refusal
// for each of its readings.
const (
	flushEntries = 1000
	flushBytes   = 512 << 10
	limitEntries = 4000
	limitBytes   = 896 << 10
)

// ErrStuck is returned by Collector.Run when no pack could be stored for
// Options.StuckAfter, unless the buffer was full. Only a restart helps then: after a
// write error a stream no longer responds.
var ErrStuck = errors.New("storage accepts no packs")

// Store keeps packs in order. Put and Settle are called by one goroutine.
type Store interface {
	// Put stores a pack and returns its sequence when it is on disk. After
	// broker.ErrFull the pack is certainly not stored; after other errors it may be.
	Put(ctx context.Context, pack []byte) (uint64, error)
	// Settle reports whether the pack of a failed Put is stored.
	Settle(ctx context.Context, epoch, counter uint64) (seq uint64, stored bool, err error)
	// HasRoom reports whether a full buffer accepts packs again.
	HasRoom(ctx context.Context) (bool, error)
}

// Options of a Collector. Store, Epoch and Log are required.
type Options struct {
	Store Store
	// Mark is called for every stored pack before its senders get their replies; the next
	// start compares the mark with the stream. It must not block. May be nil.
	Mark       func(Mark)
	Epoch      uint64 // of this start of the gateway
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exported
	Linger     time.Duration         // how long a pack stays open for further messages at most, see SetLinger
	StallAfter time.Duration         // how long a write may take before new messages are refused; 0 means 1.25 s
	StuckAfter time.Duration         // how long storage may fail before Run returns ErrStuck; 0 means 60 s
	RetryEvery time.Duration         // interval of probes of a full or silent store; 0 means 250 ms
	// Quota bounds what each device stores; nil: nothing does.
	Quota *quota.Table
	// Resends is what was remembered before this start.
	Resends Resends
	// Tracer follows packs; nil: none are followed.
	Tracer *tracing.Tracer
	// KeepWaiting true prevents ErrStuck, as while the disk accepts no writes. May be nil.
	KeepWaiting func() bool
}

// Collector groups messages into packs and stores one pack at a time, which keeps the
// order of each device and makes packs larger the slower the disk is.
type Collector struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	stats   stats

	due chan struct{} // the open pack has reached a flush size

	mu       sync.Mutex
	timer    *time.Timer // of the open pack, from its first message on
	pace     pace
	room     sync.Cond // the open pack has room again, or everything is refused
	open     *pack
	flying   *pack  // being stored, or of unknown outcome; nil for none
	stored   uint64 // sequence of the newest stored pack
	memory   *resend.Memory
	refusing *telemetry.Refusal // nil while messages are accepted
	uses     []quota.Use        // of the message that is being offered
	overUse  ops.LogLimit

	linger  atomic.Int64 // time.Duration
	mark    atomic.Pointer[Mark]
	failing moment // start of the current storage failure, a full buffer excluded
	waiting moment // arrival of the first message of the pack being stored
	keeper  keeper // used by KeepResends alone
	asking  asking

	// Used by Run alone.
	spare   *pack
	counter uint64          // of the newest stored pack
	totals  wire.PackTotals // of the stored packs
}

// Mark is the position of an epoch and the totals of its stored packs.
type Mark struct {
	Counter uint64 // of the newest stored pack
	Seq     uint64 // of the newest stored pack in the stream
	Totals  wire.PackTotals
	Bytes   uint64 // of all stored packs
}

// Stats are counts since the start.
type Stats struct {
	Accepted   uint64 // readings stored
	Unpromised uint64 // those of Accepted without a reply address
	Duplicates uint64 // readings recognised as sent again, and not stored
	Refused    uint64 // readings and messages refused, permanently or not
}

type stats struct{ accepted, unpromised, duplicates, refused atomic.Uint64 }

// Message is one validated message of a device or concentrator.
type Message struct {
	Device   string // from the subject or topic
	Payload  []byte // copied
	Received time.Time
	// ID is the id that the sender gave the message, empty for none: a second message with
	// it is a resend, whatever is in it. ContentType is MQTT's.
	ID          string
	ContentType string
	Refusal     *telemetry.Refusal // permanent; nil for an accepted reading
	Ticket      Ticket
	// identity recognises a resend; zero for a message of an unknown sender. explicit is true
	// if it cannot be computed from the entry in the pack.
	identity resend.Message
	explicit bool
	asked    *trace.SpanContext // the trace in which its sender, or an operator, wants it; nil for none
	askedAt  int                // which of its entries
	// Entries are what the message holds, in place of Device, Payload and Refusal, if
	// Ticket.Batch is not nil: see Message.Batch. They are copied.
	Entries []wire.PackEntry
}

// Batch makes m a message of any number of entries, at first none.
func (m *Message) Batch() {
	m.Entries = m.Entries[:0]
	m.Ticket.Batch = &Batch{}
}

// Add appends an entry to a message of many. Device, payload and refusal are as in Message;
// mapping is empty for a reading as sent.
func (m *Message) Add(device string, payload []byte, refusal *telemetry.Refusal, mapping string) {
	e := wire.PackEntry{Device: device, Payload: payload, Refusal: refusal, Mapping: mapping, Part: len(m.Entries) > 0}
	b := m.Ticket.Batch
	if refusal != nil {
		b.Refused = append(b.Refused, wire.BatchRefusal{Index: len(m.Entries), Error: wire.ErrorOf(refusal)})
	} else {
		b.Accepted++
	}
	m.Entries = append(m.Entries, e)
}

// count returns the number of entries.
func (m *Message) count() int {
	if m.Ticket.Batch != nil {
		return len(m.Entries)
	}
	return 1
}

// size returns the most bytes that the message adds to a pack.
func (m *Message) size() (n int) {
	const overhead = 64 // lengths, flags, ids
	if m.Ticket.Batch == nil {
		return entrySize(m.Device, m.Payload, m.Refusal) + overhead
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		n += entrySize(e.Device, e.Payload, e.Refusal) + len(e.Mapping) + overhead
	}
	return n
}

func entrySize(device string, payload []byte, r *telemetry.Refusal) int {
	n := len(device) + len(payload)
	if r != nil {
		n += len(r.Reason) + len(r.Field) + len(r.Message)
	}
	return n
}

// Batch is the outcome of a message of many readings, once its pack is stored.
type Batch struct {
	Accepted int
	Refused  []wire.BatchRefusal // dead letters
}

// Ticket is where the reply to a message goes.
type Ticket struct {
	Protocol Protocol
	To       Responder // nil for a message without reply: a plain publish, QoS 0
	Reply    string    // of a NATS request
	// JetStream is set for a request with JetStream's headers, which wants its errors too.
	JetStream bool
	Packet    uint16 // packet id of an MQTT publish
	Batch     *Batch // nil for a message of one reading
	// Duplicate is set in an answer to a resend: its message is stored already, at seq.
	Duplicate bool

	refusal *telemetry.Refusal
}

// readings returns how many readings the message has.
func (t *Ticket) readings() int {
	if t.Batch == nil {
		return 1
	}
	return t.Batch.Accepted + len(t.Batch.Refused)
}

// Responder sends replies. Answer is called from the goroutine that stores packs, or with
// Ticket.Duplicate also from one that calls Offer, and must not block.
type Responder interface {
	// Answer is called once for each message that Offer accepted, of a resend by Offer itself
	// if its outcome is known. A seq other than 0 is
	// that of the pack which stores the message, as a dead letter if r is not nil. With
	// seq 0 the message is not stored and may be sent again; r is the reason.
	Answer(t *Ticket, seq uint64, r *telemetry.Refusal)
}

// pack is a pack being filled or stored.
type pack struct {
	b       wire.PackBuilder
	tickets []Ticket
	first   time.Time          // arrival of its first message
	closed  bool               // a message did not fit
	asked   *trace.SpanContext // of a message in it; nil for none
	span    *tracing.Span      // while it is being stored; nil unless it is traced

	// Guarded by Collector.mu, also while the pack is being stored.
	seq     uint64           // expected in the stream
	seen    []resend.Message // the messages in it
	resends []Ticket         // of messages sent again since
}

func (p *pack) reset(epoch, counter, seq uint64) {
	p.closed, p.asked, p.span = false, nil, nil
	p.seq = seq
	p.seen = p.seen[:0]
	p.b.Reset(epoch, counter)
	clear(p.tickets)
	p.tickets = p.tickets[:0]
}

func (p *pack) atFlush() bool {
	return p.closed || p.b.Count() >= flushEntries || p.b.Size() >= flushBytes
}

// fits reports whether the pack has room for m. A pack that has none for a batch takes
// nothing else, which would delay the batch for ever.
func (p *pack) fits(m *Message) bool {
	switch {
	case p.b.Count() == 0:
		return true
	case p.closed:
		return false
	case m.asked != nil && p.inOtherTrace(m):
		p.closed = true
		return false
	case m.Ticket.Batch == nil:
		return p.b.Count() < limitEntries && p.b.Size() < limitBytes
	}
	p.closed = p.b.Count()+m.count() > limitEntries || p.b.Size()+m.size() > limitBytes
	return !p.closed
}

// add appends a message.
func (p *pack) add(m *Message) {
	received := m.Received.UnixMilli()
	if p.b.Count() == 0 {
		p.first = m.Received
	}
	if m.asked != nil {
		p.follow(m)
	}
	var id resend.Message
	if m.explicit {
		id = m.identity
	}
	if m.Ticket.Batch == nil {
		p.b.Add(wire.PackEntry{Device: m.Device, Received: received, Payload: m.Payload, Refusal: m.Refusal, Sender: id.Sender, ID: id.Hash})
	} else {
		m.Entries[0].Sender, m.Entries[0].ID = id.Sender, id.Hash
		for i := range m.Entries {
			e := &m.Entries[i]
			e.Received = received
			p.b.Add(*e)
		}
	}
	m.Ticket.refusal = m.refusal()
	p.tickets = append(p.tickets, m.Ticket)
	if m.identity.Sender != 0 {
		p.seen = append(p.seen, m.identity)
	}
}

// refusal returns the permanent refusal of the whole message.
func (m *Message) refusal() *telemetry.Refusal {
	if m.Ticket.Batch != nil {
		return nil
	}
	return m.Refusal
}

// New returns a collector; Run stores its packs.
func New(o Options) *Collector {
	o.StallAfter = cmp.Or(o.StallAfter, 1250*time.Millisecond)
	o.StuckAfter = cmp.Or(o.StuckAfter, time.Minute)
	o.RetryEvery = cmp.Or(o.RetryEvery, 250*time.Millisecond)
	if o.KeepWaiting == nil {
		o.KeepWaiting = func() bool { return false }
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	c := &Collector{
		o: o, log: o.Log.With("component", "ingest"), metrics: newMetrics(o.Registerer),
		due: make(chan struct{}, 1), timer: time.NewTimer(time.Hour), open: &pack{}, spare: &pack{},
		memory: o.Resends.Memory, stored: o.Resends.Last,
	}
	if c.memory == nil {
		c.memory = resend.New()
	}
	c.keeper.begin(o.Resends)
	c.asking.begin(o.Registerer)
	c.metrics.watch(o.Registerer, c.senders)
	c.room.L = &c.mu
	c.timer.Stop()
	c.mark.Store(&Mark{})
	c.SetLinger(o.Linger)
	c.open.reset(o.Epoch, 1, c.stored+1)
	return c
}

// Offer adds m to the open pack; its responder is called later. If m cannot be accepted
// now, Offer returns a temporary refusal and the responder is not called. A message of no
// entries is answered at once, and so is a resend of a stored message; a resend of one that
// is being stored gets the same answer as that one.
func (c *Collector) Offer(m *Message) *telemetry.Refusal {
	if m.count() == 0 {
		c.answer([]Ticket{m.Ticket}, c.mark.Load().Seq, nil)
		return nil
	}
	m.askedAt = 0
	c.mu.Lock()
	for {
		if of, seq := c.earlier(m); of != nil {
			of.resends = append(of.resends, m.Ticket)
			c.mu.Unlock()
			return nil
		} else if seq != 0 {
			c.mu.Unlock()
			c.answer([]Ticket{m.Ticket}, seq, nil)
			return nil
		}
		if c.refusing != nil {
			break
		}
		if c.want(m); c.open.fits(m) {
			break
		}
		signal(c.due)
		c.room.Wait()
	}
	if r := c.refusing; r != nil {
		c.mu.Unlock()
		c.refused(m.Ticket.Protocol, r, m.count())
		return r
	}
	if r := c.overQuota(m); r != nil {
		c.mu.Unlock()
		c.refused(m.Ticket.Protocol, r, m.count())
		return r
	}
	p := c.open
	if p.b.Count() == 0 {
		c.timer.Reset(lingerFor(time.Duration(c.linger.Load()), c.pace.gap(m.Received)))
	}
	p.add(m)
	if m.identity.Sender != 0 {
		c.memory.Put(m.identity, p.seq)
	}
	flush := p.atFlush()
	c.mu.Unlock()
	if flush {
		signal(c.due)
	}
	return nil
}

// SetLinger changes how long a pack stays open for further messages while packs are frequent,
// from the next pack on. Rare ones are stored earlier.
func (c *Collector) SetLinger(d time.Duration) { c.linger.Store(int64(d)) }

// Stats returns the counts since the start.
func (c *Collector) Stats() Stats {
	return Stats{
		Accepted: c.stats.accepted.Load(), Unpromised: c.stats.unpromised.Load(),
		Duplicates: c.stats.duplicates.Load(), Refused: c.stats.refused.Load(),
	}
}

// Stored returns the mark of the newest stored pack.
func (c *Collector) Stored() Mark { return *c.mark.Load() }

// Failing returns the start of the current storage failure, zero if there is none. A
// full buffer is no failure.
func (c *Collector) Failing() time.Time { return c.failing.get() }

// Waiting returns the arrival of the first message of the pack being stored, zero if
// there is none.
func (c *Collector) Waiting() time.Time { return c.waiting.get() }

// moment is an atomic time, zero for none. It keeps the monotonic clock reading, so
// setting the wall clock does not change time.Since.
type moment struct{ p atomic.Pointer[time.Time] }

func (m *moment) set(t time.Time) { m.p.Store(&t) }
func (m *moment) clear()          { m.p.Store(nil) }
func (m *moment) get() time.Time {
	if t := m.p.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Refusing returns the refusal that every message currently gets, or nil.
func (c *Collector) Refusing() *telemetry.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusing
}

// refused counts n readings or messages.
func (c *Collector) refused(p Protocol, r *telemetry.Refusal, n int) {
	c.stats.refused.Add(uint64(n))
	c.metrics.refused.WithLabelValues(p.String(), string(r.Reason)).Add(float64(n))
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // already signalled
	}
}
