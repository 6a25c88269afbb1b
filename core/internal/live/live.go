// Package live publishes to the hub for screens: frames of processed readings, alerts and
// aggregate windows. It is best effort, because the hub may be unreachable: messages that
// cannot be sent are dropped and counted, and processing never waits. Kafka has the
// complete record. Only Run blocks.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

const (
	// frameReadings and frameBytes are the size at which a frame is sent at once.
	frameReadings = 500
	frameBytes    = 256 << 10
	// linger is the shortest time between two frames of one gateway that are not
	// full: the first reading after a pause is sent at once, those of the next
	// milliseconds together.
	linger = 5 * time.Millisecond
	// frameQueue and noteQueue bound the messages that wait for the hub.
	frameQueue = 64
	noteQueue  = 4096
	// windowsPerMessage keeps a message of windows well below the hub's limit.
	windowsPerMessage = 1000
	// maxGateways bounds the gateways that headers can make a Publisher keep.
	maxGateways = 10_000
)

// Conn is the part of a NATS connection that a Publisher uses. Publish must not block
// while the hub is unreachable.
type Conn interface {
	Publish(subject string, data []byte) error
	PublishMsg(m *nats.Msg) error
	FlushTimeout(d time.Duration) error
}

// Options of a Publisher. All are required.
type Options struct {
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Publisher collects readings into frames and publishes them. It is safe for concurrent
// use.
type Publisher struct {
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	gateways map[string]*gateway
	waiting  []*gateway // those with readings in their frame

	frames chan *frame
	notes  chan note
	free   chan *frame
	arm    chan struct{}
}

// gateway collects the readings of one gateway.
type gateway struct {
	name, subject string
	frame         *frame // nil while empty
	sent          time.Time
	listed        bool              // in waiting
	trace         trace.SpanContext // of a reading in the frame, or of the next one; zero for none
}

// frame is one message; its buffer is reused.
type frame struct {
	subject string
	builder wire.FrameBuilder
	trace   trace.SpanContext // of a reading in it; zero for none
}

// note is any other message.
type note struct {
	kind    string
	subject string
	data    []byte
}

// New returns a Publisher. Nothing is sent until Run.
func New(o Options) (*Publisher, error) {
	switch {
	case o.Log == nil:
		return nil, errors.New("live: Log is required")
	case o.Registry == nil:
		return nil, errors.New("live: Registry is required")
	}
	return &Publisher{
		log: o.Log.With("component", "live"), metrics: newMetrics(o.Registry),
		gateways: make(map[string]*gateway),
		frames:   make(chan *frame, frameQueue),
		notes:    make(chan note, noteQueue),
		free:     make(chan *frame, frameQueue),
		arm:      make(chan struct{}, 1),
	}, nil
}

// Add puts a reading into the frame of its gateway. The payload is copied.
func (p *Publisher) Add(gatewayID string, e wire.FrameEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gateway(gatewayID)
	if g == nil {
		p.metrics.dropped.Inc()
		return
	}
	if g.frame == nil {
		g.frame = p.newFrame(g)
	}
	if !g.listed {
		g.listed = true
		p.waiting = append(p.waiting, g)
	}
	g.frame.builder.Add(e)
	if g.frame.builder.Count() >= frameReadings || g.frame.builder.Size() >= frameBytes {
		p.queue(g, time.Now())
	}
}

// Trace names the trace of the next reading of a gateway that is added. A frame is in the trace of its first such reading.
func (p *Publisher) Trace(gatewayID string, of trace.SpanContext) {
	if !of.IsSampled() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gateway(gatewayID)
	if g != nil && !g.trace.IsValid() {
		g.trace = of
	}
}

// EndTrace forgets the trace of a gateway if no reading was added since Trace.
func (p *Publisher) EndTrace(gatewayID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.gateways[gatewayID]; g != nil && g.frame == nil {
		g.trace = trace.SpanContext{}
	}
}

// gateway returns the state of a gateway, nil if there is no room for another one. p.mu is held.
func (p *Publisher) gateway(id string) *gateway {
	g := p.gateways[id]
	if g != nil {
		return g
	}
	if len(p.gateways) >= maxGateways && !p.makeRoom() {
		return nil
	}
	name := strings.Clone(id)
	g = &gateway{name: name, subject: wire.LiveSubject(name)}
	p.gateways[name] = g
	return g
}

// makeRoom forgets the gateway of which nothing was sent for longest, of those with nothing to send. p.mu is held.
func (p *Publisher) makeRoom() bool {
	var oldest *gateway
	for _, g := range p.gateways {
		if !g.listed && g.frame == nil && (oldest == nil || g.sent.Before(oldest.sent)) {
			oldest = g
		}
	}
	if oldest == nil {
		return false
	}
	delete(p.gateways, oldest.name)
	return true
}

func (p *Publisher) newFrame(g *gateway) *frame {
	var f *frame
	select {
	case f = <-p.free:
	default:
		f = new(frame)
	}
	f.subject = g.subject
	f.builder.Reset(g.name)
	return f
}

// Flush sends the readings added so far, at the end of a batch: at once, or within a few
// milliseconds if the last frame of the gateway was sent just now.
func (p *Publisher) Flush() { p.flush(time.Now(), linger) }

func (p *Publisher) flush(now time.Time, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.waiting[:0]
	for _, g := range p.waiting {
		if g.frame != nil && now.Sub(g.sent) < pause {
			kept = append(kept, g)
			continue
		}
		g.listed = false
		if g.frame != nil { // nil: it was full and has been queued
			p.queue(g, now)
		}
	}
	p.waiting = kept
	if len(kept) > 0 {
		select {
		case p.arm <- struct{}{}:
		default:
		}
	}
}

// queue enqueues g's frame for Run, or drops it when the queue is full.
func (p *Publisher) queue(g *gateway, now time.Time) {
	f := g.frame
	g.frame, g.sent = nil, now
	f.trace, g.trace = g.trace, trace.SpanContext{}
	select {
	case p.frames <- f:
	default:
		p.drop(f)
	}
}

func (p *Publisher) drop(f *frame) {
	p.metrics.framesDropped.Inc()
	p.metrics.dropped.Add(float64(f.builder.Count()))
	p.recycle(f)
}

func (p *Publisher) recycle(f *frame) {
	select {
	case p.free <- f:
	default:
	}
}

// Alert announces an alert, given as its JSON.
func (p *Publisher) Alert(s telemetry.Severity, data []byte) {
	p.note(note{kind: kindAlert, subject: wire.AlertSubject(s), data: data})
}

// Windows publishes aggregate windows as JSON arrays.
func (p *Publisher) Windows(ws []telemetry.Window) {
	for len(ws) > 0 {
		n := min(len(ws), windowsPerMessage)
		data, err := json.Marshal(ws[:n])
		if err != nil {
			p.log.Error("encoding aggregates failed", "err", err)
			return
		}
		p.note(note{kind: kindAggregates, subject: wire.AggregateSubject, data: data})
		ws = ws[n:]
	}
}

func (p *Publisher) note(n note) {
	select {
	case p.notes <- n:
	default:
		p.metrics.notes[n.kind].dropped.Inc()
	}
}

// Run publishes to conn until ctx ends, then the rest, for at most a second.
func (p *Publisher) Run(ctx context.Context, conn Conn) error {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case f := <-p.frames:
			p.sendFrame(conn, f)
		case n := <-p.notes:
			p.sendNote(conn, n)
		case <-p.arm:
			timer.Reset(linger)
		case <-timer.C:
			p.flush(time.Now(), 0)
		case <-ctx.Done():
			p.finish(conn)
			return nil
		}
	}
}

func (p *Publisher) finish(conn Conn) {
	p.flush(time.Now(), 0)
	for {
		select {
		case f := <-p.frames:
			p.sendFrame(conn, f)
		case n := <-p.notes:
			p.sendNote(conn, n)
		default:
			if err := conn.FlushTimeout(time.Second); err != nil {
				p.log.Debug("flushing the last messages failed", "err", err)
			}
			return
		}
	}
}

func (p *Publisher) sendFrame(conn Conn, f *frame) {
	data := f.builder.Finish()
	if err := publishFrame(conn, f, data); err != nil {
		p.drop(f)
		return
	}
	p.metrics.framesPublished.Inc()
	p.metrics.bytes.Add(float64(len(data)))
	p.recycle(f)
}

// publishFrame publishes a frame. Only one with a traced reading has headers.
func publishFrame(conn Conn, f *frame, data []byte) error {
	if !f.trace.IsSampled() {
		return conn.Publish(f.subject, data)
	}
	return conn.PublishMsg(&nats.Msg{Subject: f.subject, Data: data, Header: tracing.HeaderOf(f.trace)})
}

func (p *Publisher) sendNote(conn Conn, n note) {
	m := p.metrics.notes[n.kind]
	if err := conn.Publish(n.subject, n.data); err != nil {
		m.dropped.Inc()
		return
	}
	m.published.Inc()
}
