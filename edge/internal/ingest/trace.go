package ingest

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"industrial-iot-monitor/internal/tracing"
)

// askedRate and askedBurst bound the messages that are traced because their senders ask for it: each goes
// into a pack of its own trace, and no device may fill the collector.
const askedRate, askedBurst = 10, 20

// mostWanted bounds the devices whose next reading is waited for.
const mostWanted = 100

// asking limits the traces that are asked for, and has those that were asked for from elsewhere.
type asking struct {
	limit         *rate.Limiter
	taken, beyond prometheus.Counter

	waiting atomic.Int32 // len(wanted), for a look without the lock
	mu      sync.Mutex
	wanted  map[string]wanted // by device
}

// wanted is the trace of a device's next reading.
type wanted struct {
	of    trace.SpanContext
	until time.Time
}

func (a *asking) begin(reg prometheus.Registerer) {
	asked := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_traces_asked_total",
		Help: "Messages whose trace their sender or an operator asked for: traced, or limited because there were too many.",
	}, []string{"result"}))
	a.wanted = make(map[string]wanted)
	a.limit, a.taken, a.beyond = rate.NewLimiter(askedRate, askedBurst), asked.WithLabelValues("traced"), asked.WithLabelValues("limited")
}

// askedBy returns the trace that a message's headers ask for, nil for none.
func (c *Collector) askedBy(parent, state string) *trace.SpanContext {
	if parent == "" || c.o.Tracer == nil {
		return nil
	}
	of := c.o.Tracer.Parse(parent, state)
	if !of.IsValid() {
		return nil
	}
	if !c.asking.limit.Allow() {
		c.asking.beyond.Inc()
		return nil
	}
	c.asking.taken.Inc()
	return &of
}

// Errors of Follow.
var (
	ErrNoTracer = errors.New("the gateway sends no traces: OTEL_EXPORTER_OTLP_ENDPOINT is not set there")
	ErrNoTrace  = errors.New("no traceparent with the flag 01")
	ErrTooMany  = errors.New("the gateway waits for the readings of " + strconv.Itoa(mostWanted) + " devices already")
)

// Follow has the next reading of a device that is stored before until in the trace that two headers name. A later
// call for the device takes the place of an earlier one.
func (c *Collector) Follow(device, parent, state string, until time.Time) error {
	if c.o.Tracer == nil {
		return ErrNoTracer
	}
	of := c.o.Tracer.Parse(parent, state)
	if !of.IsValid() {
		return ErrNoTrace
	}
	a := &c.asking
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(a.wanted, func(_ string, w wanted) bool { return now.After(w.until) })
	if _, again := a.wanted[device]; len(a.wanted) >= mostWanted && !again {
		return ErrTooMany
	}
	a.wanted[device] = wanted{of, until}
	a.waiting.Store(int32(len(a.wanted)))
	return nil
}

// want notes that a reading in the message was asked for from elsewhere. Without such a request it costs one load.
func (c *Collector) want(m *Message) {
	if m.asked != nil || c.asking.waiting.Load() == 0 {
		return
	}
	if m.Ticket.Batch == nil {
		if m.Refusal == nil {
			m.asked = c.asking.take(m.Device, m.Received)
		}
		return
	}
	for i := range m.Entries {
		if e := &m.Entries[i]; e.Refusal == nil {
			if m.asked = c.asking.take(e.Device, m.Received); m.asked != nil {
				m.askedAt = i
				return
			}
		}
	}
}

// take returns the trace that the next reading of a device is wanted in, once; nil for none.
func (a *asking) take(device string, at time.Time) *trace.SpanContext {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, found := a.wanted[device]
	if !found {
		return nil
	}
	delete(a.wanted, device)
	a.waiting.Store(int32(len(a.wanted)))
	if at.After(w.until) {
		return nil
	}
	a.taken.Inc()
	return &w.of
}

// inOtherTrace reports whether the pack belongs to another trace than the message. A pack is in one trace
// at most, so that every hop of it has one parent.
func (p *pack) inOtherTrace(m *Message) bool {
	return p.asked != nil && p.asked.TraceID() != m.asked.TraceID()
}

// follow notes that an entry of the message, which is added next, is a reading that was asked for.
func (p *pack) follow(m *Message) {
	if p.asked == nil {
		of := tracing.WithReading(*m.asked, p.b.Count()+m.askedAt)
		p.asked = &of
	}
}

// trace starts the span of a pack that is stored now: in the trace that was asked for, or in a
// new one if the sampler takes it. By the context that it returns the stream passes the trace on.
func (c *Collector) trace(ctx context.Context, p *pack) context.Context {
	if c.o.Tracer == nil {
		return ctx
	}
	var parent trace.SpanContext
	if p.asked != nil {
		parent = *p.asked
	}
	if p.span = c.o.Tracer.StartAt("store pack", parent, p.first); p.span != nil {
		p.span.Set(attribute.Int("iot.messages", p.b.Count()), attribute.Int("iot.bytes", p.b.Size()), attribute.Int64("iot.counter", int64(c.counter+1)))
	}
	return p.span.Into(ctx)
}
