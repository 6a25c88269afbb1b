package processor

import (
	"time"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/tracing"
)

// maxTraces is how many traces one transaction names at most.
const maxTraces = 100

// trace starts the span of a record that has the headers of a trace: of a reading that was asked for, or
// of a pack, whose first record stands for it. It ends with the chunk.
func (t *task) trace(m *sarama.ConsumerMessage, o *intake.Origin) {
	if t.p.tracer == nil {
		return
	}
	parent := t.p.tracer.Parse(string(o.TraceParent), string(o.TraceState))
	if !parent.IsValid() {
		return
	}
	span := t.p.tracer.Start("process reading", parent)
	if span == nil {
		return
	}
	span.Set(attribute.String("iot.gateway", string(o.Gateway)), attribute.String("iot.device", string(m.Key)),
		attribute.Int("iot.partition", int(m.Partition)), attribute.Int64("iot.offset", m.Offset))
	t.spans = append(t.spans, span)
	if len(t.out.traces) < maxTraces {
		t.out.traces = append(t.out.traces, span.Context())
	}
}

// traced returns the trace of the newest traced reading of the chunk.
func (t *task) traced() trace.SpanContext {
	if len(t.spans) == 0 {
		return trace.SpanContext{}
	}
	return t.spans[len(t.spans)-1].Context()
}

// endTraces ends the spans of a chunk of so many records.
func (t *task) endTraces(records int) {
	if len(t.spans) == 0 {
		return
	}
	for _, span := range t.spans {
		span.Set(attribute.Int("iot.messages", records))
		span.End()
	}
	clear(t.spans)
	t.spans = t.spans[:0]
}

// trace starts the span of a transaction, in the trace of the first traced reading in it; the others are named. It
// returns nil if none is traced.
func (s *session) trace(all []work, start time.Time) *tracing.Span {
	var span *tracing.Span
	for _, w := range all {
		for _, of := range w.batch.traces {
			if span == nil {
				span = s.p.tracer.StartAt("commit", of, start)
			} else {
				span.Link(of)
			}
		}
	}
	return span
}
