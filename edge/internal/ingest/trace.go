package ingest

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"industrial-iot-monitor/internal/tracing"
)

// askedRate and askedBurst bound the messages that are traced because their senders ask for it: each goes
// into a pack of its own trace, and no device may fill the collector.
const askedRate, askedBurst = 10, 20

// asking limits the traces that senders ask for.
type asking struct {
	limit         *rate.Limiter
	taken, beyond prometheus.Counter
}

func (a *asking) begin(reg prometheus.Registerer) {
	asked := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "edge_traces_asked_total",
		Help: "Messages whose trace their sender asked for: traced, or limited because there were too many.",
	}, []string{"result"}))
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

// inOtherTrace reports whether the pack belongs to another trace than the message. A pack is in one trace
// at most, so that every hop of it has one parent.
func (p *pack) inOtherTrace(m *Message) bool {
	return p.asked != nil && p.asked.TraceID() != m.asked.TraceID()
}

// follow notes that the next entry of the pack is a reading that was asked for.
func (p *pack) follow(m *Message) {
	if p.asked == nil {
		of := tracing.WithReading(*m.asked, p.b.Count())
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
