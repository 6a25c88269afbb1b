package lane

import (
	"time"

	"github.com/IBM/sarama"
	"go.opentelemetry.io/otel/attribute"

	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

// traceHeaders returns the headers by which core continues the trace of a pack.
func traceHeaders(of *tracing.Span) []sarama.RecordHeader {
	parent, state := tracing.Format(of.Context())
	headers := []sarama.RecordHeader{{Key: []byte(wire.HeaderTraceParent), Value: []byte(parent)}}
	if state != "" {
		headers = append(headers, sarama.RecordHeader{Key: []byte(wire.HeaderTraceState), Value: []byte(state)})
	}
	return headers
}

// trace starts the span of a transaction, in the trace of its first traced pack; the other traced packs and it
// name each other. It returns nil if no pack is traced.
func (r *run) trace(b *batch, start time.Time) *tracing.Span {
	if b.traced == 0 {
		return nil
	}
	var span *tracing.Span
	for i := range b.items {
		pack := b.items[i].span
		switch {
		case pack == nil:
		case span == nil:
			span = r.o.Tracer.StartAt("transaction", pack.Context(), start)
			span.Set(attribute.Int("iot.packs", len(b.items)), attribute.Int("iot.messages", b.entries), attribute.Int("iot.lane", int(r.o.Partition)))
		default:
			span.Link(pack.Context())
			pack.Link(span.Context())
		}
	}
	return span
}

// endTraces ends the spans of a transaction and of its packs. err is why it failed; its packs are then read
// again, and traced again.
func endTraces(b *batch, span *tracing.Span, err error) {
	if b.traced == 0 {
		return
	}
	span.Fail(err)
	span.End()
	for i := range b.items {
		b.items[i].span.Fail(err)
		b.items[i].span.End()
	}
}
