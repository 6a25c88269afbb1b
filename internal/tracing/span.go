package tracing

import (
	"context"
	"maps"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is one step of a trace that is sampled. A nil Span does nothing; so a caller need not
// know whether there is a trace, except to save what the arguments cost.
type Span struct{ span trace.Span }

// End ends the span.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Fail notes why the step failed. It does not end the span.
func (s *Span) Fail(err error) {
	if s != nil && err != nil {
		s.span.RecordError(err)
		s.span.SetStatus(codes.Error, err.Error())
	}
}

// Set sets attributes.
func (s *Span) Set(of ...attribute.KeyValue) {
	if s != nil {
		s.span.SetAttributes(of...)
	}
}

// Link names another trace that this step is part of too.
func (s *Span) Link(other trace.SpanContext) {
	if s != nil && other.IsValid() {
		s.span.AddLink(trace.Link{SpanContext: other})
	}
}

// Context returns what follows needs to continue the trace, zero for a nil Span.
func (s *Span) Context() trace.SpanContext {
	if s == nil {
		return trace.SpanContext{}
	}
	return s.span.SpanContext()
}

// Into returns a context by which logs name the trace.
func (s *Span) Into(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Header returns the headers by which another program continues the trace, nil for a nil Span.
func (s *Span) Header() map[string][]string {
	if s == nil {
		return nil
	}
	return HeaderOf(s.span.SpanContext())
}

// HeaderOf returns the headers of a trace, nil if it is not sampled.
func HeaderOf(c trace.SpanContext) map[string][]string {
	if !c.IsSampled() {
		return nil
	}
	h := make(map[string][]string, 2)
	parent, state := Format(c)
	h[HeaderParent] = []string{parent}
	if state != "" {
		h[HeaderState] = []string{state}
	}
	return h
}

// Inject adds the headers of the trace in ctx, if there is one.
func Inject(ctx context.Context, h map[string][]string) {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsSampled() {
		return
	}
	maps.Copy(h, HeaderOf(c))
}

// Observe observes a value, with the trace as its exemplar.
func (s *Span) Observe(o prometheus.Observer, v float64) {
	if s != nil {
		if e, ok := o.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(v, prometheus.Labels{"trace_id": s.span.SpanContext().TraceID().String()})
			return
		}
	}
	o.Observe(v)
}
