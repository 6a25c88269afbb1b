// Package ingest takes messages from devices by NATS and MQTT, judges each, collects
// them into packs, and answers a device when its pack is on disk. It is not for
// keeping packs (package broker does that) and knows nothing of the hub.
//
// # What an answer means
//
// An acknowledgement means that the reading is on disk. A permanent refusal means that
// the message is on disk as a dead letter. "Retry later" (buffer_full, unavailable)
// means that the message is not stored and never will be, so that sending it again
// cannot double it. When the fate of a pack is in doubt the gateway says nothing to
// those who have a message in it until it knows: it asks the stream, which is written
// by nobody else and takes a pack only behind the one it knows of. A device that gave
// up waiting and sends again may be stored twice; that is what at-least-once means,
// and no answer was a lie.
//
// While a pack is refused or in doubt everything behind it is refused at once, so a
// device's readings are not overtaken by its later ones.
//
// # What blocks
//
// Collector.Offer blocks while a full pack waits for the one before it to be synced,
// at most Options.StallAfter; after that everything is refused until storage answers
// again. Nobody who had an acknowledgement loses.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Sizes of a pack. One that reaches a flush size is stored without waiting out the
// linger time; while the pack before it is being synced it may grow on to the limit.
// With one more message of wire.MaxReadingBytes it is still below 1 MiB, the largest
// message that a hub takes that nobody configured.
const (
	flushEntries = 1000
	flushBytes   = 512 << 10
	limitEntries = 4000
	limitBytes   = 896 << 10
)

// ErrStuck is returned by Collector.Run when storage has not taken a pack for
// Options.StuckAfter, other than for a full buffer. Only a restart helps then: a
// stream that met a write error answers nobody again.
var ErrStuck = errors.New("storage does not take packs")

// Store keeps packs in order. Put and Settle are called by one goroutine.
type Store interface {
	// Put stores a pack and returns its sequence when it is on disk. An error that
	// is broker.ErrFull says that it is certainly not stored.
	Put(ctx context.Context, pack []byte) (uint64, error)
	// Settle says what became of the pack of a Put that failed otherwise.
	Settle(ctx context.Context, epoch, counter uint64) (seq uint64, stored bool, err error)
	// HasRoom reports whether a full buffer takes packs again.
	HasRoom(ctx context.Context) (bool, error)
}

// Options of a Collector. Store, Epoch and Log are required.
type Options struct {
	Store Store
	// Mark is told of every stored pack before its senders are: where the epoch
	// stands, for the next start to compare with what it finds. It must not block. May be nil.
	Mark       func(Mark)
	Epoch      uint64 // of this start of the gateway
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept to itself
	Linger     time.Duration         // how long the first message of a pack waits for company, see SetLinger
	StallAfter time.Duration         // how long a pack may take before new messages are refused; 0 means 1.25 s
	StuckAfter time.Duration         // how long storage may fail before Run gives up; 0 means 60 s
	RetryEvery time.Duration         // pause between looks at a full or silent store; 0 means 250 ms
	// Excuse is asked before Run gives up; true lets it go on waiting. May be nil.
	Excuse func() bool
}

// Collector groups messages into packs and stores one pack at a time: that keeps the
// order of each device, and makes a pack as large as the disk is slow.
type Collector struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	stats   stats

	wake chan struct{} // the open pack has its first message
	due  chan struct{} // the open pack has reached a flush size

	mu       sync.Mutex
	room     sync.Cond // the open pack can take messages again, or everything is refused
	open     *pack
	refusing *telemetry.Refusal // not nil: every message is refused with it

	linger  atomic.Int64 // time.Duration
	mark    atomic.Pointer[Mark]
	failing moment // since when storage fails other than by a full buffer
	waiting moment // when the first message came of the pack that is being stored

	// Only Run touches what follows.
	spare   *pack
	counter uint64          // of the newest stored pack
	totals  wire.PackTotals // of the stored packs
}

// Mark is where an epoch stands: what its stored packs hold.
type Mark struct {
	Counter uint64 // of the newest stored pack
	Seq     uint64 // of the newest stored pack in the stream
	Totals  wire.PackTotals
	Bytes   uint64 // of all stored packs
}

// Stats counts since the start.
type Stats struct {
	Accepted   uint64 // readings stored
	Unpromised uint64 // among them those nobody waited for
	Refused    uint64 // messages refused for whatever reason
}

type stats struct{ accepted, unpromised, refused atomic.Uint64 }

// Message is one message of a device, judged.
type Message struct {
	Device   string // from the subject or topic
	Payload  []byte // copied
	Received time.Time
	Refusal  *telemetry.Refusal // permanent; nil for an accepted reading
	Ticket   Ticket
}

// Ticket says who is told what became of a message.
type Ticket struct {
	Protocol Protocol
	To       Responder // nil when nobody waits: a plain publish, QoS 0
	Reply    string    // of a NATS request
	Packet   uint16    // packet id of an MQTT publish

	refusal *telemetry.Refusal
}

// Responder tells senders what became of their messages. Answer is called from the
// one goroutine that stores packs and must not block.
type Responder interface {
	// Answer is called once for each message that Offer took. A seq other than 0 means
	// stored in that pack, as a dead letter when r is not nil. With seq 0 r says why
	// the message is not stored and may be sent again.
	Answer(t *Ticket, seq uint64, r *telemetry.Refusal)
}

// pack is a pack being filled or stored.
type pack struct {
	b       wire.PackBuilder
	tickets []Ticket
	first   time.Time // when its first message came
}

func (p *pack) reset(epoch, counter uint64) {
	p.b.Reset(epoch, counter)
	clear(p.tickets)
	p.tickets = p.tickets[:0]
}

func (p *pack) atLimit() bool { return p.b.Count() >= limitEntries || p.b.Size() >= limitBytes }
func (p *pack) atFlush() bool { return p.b.Count() >= flushEntries || p.b.Size() >= flushBytes }

// New returns a collector; Run makes it work.
func New(o Options) *Collector {
	if o.StallAfter == 0 {
		o.StallAfter = 1250 * time.Millisecond
	}
	if o.StuckAfter == 0 {
		o.StuckAfter = time.Minute
	}
	if o.RetryEvery == 0 {
		o.RetryEvery = 250 * time.Millisecond
	}
	if o.Excuse == nil {
		o.Excuse = func() bool { return false }
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	c := &Collector{
		o: o, log: o.Log.With("component", "ingest"), metrics: newMetrics(o.Registerer),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1),
		open: &pack{}, spare: &pack{},
	}
	c.room.L = &c.mu
	c.mark.Store(&Mark{})
	c.SetLinger(o.Linger)
	c.open.reset(o.Epoch, 1)
	return c
}

// Offer puts m into the open pack; its responder hears of it later. When m cannot be
// taken now Offer returns the refusal instead, which is always a temporary one, and
// the responder hears nothing.
func (c *Collector) Offer(m *Message) *telemetry.Refusal {
	c.mu.Lock()
	for c.refusing == nil && c.open.atLimit() {
		c.room.Wait()
	}
	if r := c.refusing; r != nil {
		c.mu.Unlock()
		c.refused(m.Ticket.Protocol, r)
		return r
	}
	p := c.open
	first := p.b.Count() == 0
	p.b.Add(wire.PackEntry{Device: m.Device, Received: m.Received.UnixMilli(), Payload: m.Payload, Refusal: m.Refusal})
	m.Ticket.refusal = m.Refusal
	p.tickets = append(p.tickets, m.Ticket)
	if first {
		p.first = m.Received
	}
	flush := p.atFlush()
	c.mu.Unlock()
	if first {
		signal(c.wake)
	}
	if flush {
		signal(c.due)
	}
	return nil
}

// SetLinger changes how long the first message of a pack waits for company, from the
// next pack on.
func (c *Collector) SetLinger(d time.Duration) { c.linger.Store(int64(d)) }

// Stats returns the counts since the start.
func (c *Collector) Stats() Stats {
	return Stats{Accepted: c.stats.accepted.Load(), Unpromised: c.stats.unpromised.Load(), Refused: c.stats.refused.Load()}
}

// Stored returns where the epoch stands.
func (c *Collector) Stored() Mark { return *c.mark.Load() }

// Failing returns since when storage has failed other than by a full buffer, zero
// when it does not.
func (c *Collector) Failing() time.Time { return c.failing.get() }

// Waiting returns since when the messages of the pack that is being stored have been
// waiting for their answer, zero when there is none.
func (c *Collector) Waiting() time.Time { return c.waiting.get() }

// moment is a time that several goroutines see, zero for none. It keeps the monotonic
// clock's reading, so setting the wall clock does not change what is since it.
type moment struct{ p atomic.Pointer[time.Time] }

func (m *moment) set(t time.Time) { m.p.Store(&t) }
func (m *moment) clear()          { m.p.Store(nil) }
func (m *moment) get() time.Time {
	if t := m.p.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Refusing returns the refusal that every message gets now, or nil.
func (c *Collector) Refusing() *telemetry.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusing
}

func (c *Collector) refused(p Protocol, r *telemetry.Refusal) {
	c.stats.refused.Add(1)
	c.metrics.refused.WithLabelValues(p.String(), string(r.Reason)).Inc()
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it is signalled already
	}
}
