package tracing

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"industrial-iot-monitor/internal/ops"
)

// exporter counts and logs what becomes of spans, in place of OpenTelemetry's own handler of errors, which is
// one for the whole process.
type exporter struct {
	sdktrace.SpanExporter

	log                 *slog.Logger
	limit               ops.LogLimit
	ended, sent, failed prometheus.Counter
}

func newExporter(to sdktrace.SpanExporter, o Options) *exporter {
	spans := prometheus.NewCounter(prometheus.CounterOpts{
		Name: o.Program + "_trace_spans_total", Help: "Spans of sampled traces that ended; what was neither sent nor failed waits, or found the queue full.",
	})
	exports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: o.Program + "_trace_exports_total", Help: "Spans by what became of them: sent to the collector, or failed because it did not take them.",
	}, []string{"result"})
	if o.Registry != nil {
		o.Registry.MustRegister(spans, exports)
	}
	return &exporter{
		SpanExporter: to, log: o.Log.With("component", "tracing"), ended: spans,
		sent: exports.WithLabelValues("sent"), failed: exports.WithLabelValues("failed"),
	}
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		e.sent.Add(float64(len(spans)))
		return nil
	}
	e.failed.Add(float64(len(spans)))
	if skipped, ok := e.limit.Allow(); ok {
		e.log.Warn("traces not sent, dropping them", "spans", len(spans), "err", err, "skipped", skipped)
	}
	return nil // it is dealt with
}

// processor counts the spans that end.
type processor struct {
	sdktrace.SpanProcessor

	ended prometheus.Counter
}

// OnEnd implements sdktrace.SpanProcessor.
func (p *processor) OnEnd(s sdktrace.ReadOnlySpan) {
	p.ended.Inc()
	p.SpanProcessor.OnEnd(s)
}
