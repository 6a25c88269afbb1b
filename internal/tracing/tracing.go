// Package tracing follows readings on their way through the programs, as spans of OpenTelemetry: one for a
// pack, a batch or a frame, never one for each reading. A trace crosses from program to program in the
// headers traceparent and tracestate of W3C Trace Context, which exist only for what is traced.
//
// It is not for metrics and logs. Without an endpoint there is no Tracer: a nil Tracer and a nil Span do
// nothing and allocate nothing. Spans wait in a bounded queue, and those that find no room are dropped, so that a collector that
// is slow or away holds nothing up. Only Run blocks.
package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/internal/ops"
)

const (
	// scope names the source of the spans.
	scope = "industrial-iot-monitor"
	// sendTimeout bounds one attempt to send spans, stopTimeout the last one.
	sendTimeout = 5 * time.Second
	stopTimeout = time.Second
	// retryFor is how long spans are kept for a collector that refuses them for now.
	retryFor = 10 * time.Second
	// queued is how many ended spans may wait to be sent.
	queued = 2048
)

// Options of a Tracer. Program and Log are required.
type Options struct {
	Config   Config
	Program  string // edge, bridge, core or portal; begins the names of the metrics
	Instance string // tells several of one program apart; may be empty
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: metrics are not exported
}

// Tracer makes the spans of one program. It is safe for concurrent use; nil means that tracing is off.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
	exporter *exporter
	started  chan struct{}
}

var errIncomplete = errors.New("tracing: Options.Program and Log are required")

// New returns a Tracer, nil if tracing is off. Spans are sent while Run runs; those that end before it are dropped.
func New(o Options) (*Tracer, error) {
	if o.Program == "" || o.Log == nil {
		return nil, errIncomplete
	}
	if !o.Config.On() {
		return nil, nil //nolint:nilnil // nil is the Tracer of a program without traces
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	target, err := o.Config.target()
	if err != nil {
		return nil, err
	}
	sampler, err := o.Config.sampler()
	if err != nil {
		return nil, err
	}
	more, err := o.Config.attributes()
	if err != nil {
		return nil, err
	}
	client, err := otlptracehttp.New(context.Background(), // it connects with the first spans
		otlptracehttp.WithEndpointURL(target), otlptracehttp.WithTimeout(sendTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: retryFor}))
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	about := append([]attribute.KeyValue{
		attribute.String("service.name", cmp.Or(o.Config.Service, o.Program)), attribute.String("service.version", ops.Version),
	}, more...)
	if o.Instance != "" {
		about = append(about, attribute.String("service.instance.id", o.Instance))
	}
	t := &Tracer{
		provider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithResource(resource.NewSchemaless(about...))),
		exporter: newExporter(client, o), started: make(chan struct{}),
	}
	t.tracer = t.provider.Tracer(scope)
	o.Log.Info("traces on", "component", "tracing", "endpoint", target, "sampler", o.Config.Sampler)
	return t, nil
}

// Started is closed once Run keeps spans.
func (t *Tracer) Started() <-chan struct{} { return t.started }

// Run sends spans until ctx ends, then the last ones for a second at most. It is called once.
func (t *Tracer) Run(ctx context.Context) error {
	if t == nil {
		<-ctx.Done()
		return nil
	}
	t.provider.RegisterSpanProcessor(&processor{
		SpanProcessor: sdktrace.NewBatchSpanProcessor(t.exporter, sdktrace.WithMaxQueueSize(queued)), ended: t.exporter.ended,
	})
	close(t.started)
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := t.provider.Shutdown(stop); err != nil {
		t.exporter.log.Warn("traces: the last spans were not sent", "err", err)
	}
	return nil
}

// Start starts a span as the child of parent, or as a new trace if that is zero. It returns nil if the trace
// is not sampled. The caller ends the span.
func (t *Tracer) Start(name string, parent trace.SpanContext) *Span {
	return t.StartAt(name, parent, time.Time{})
}

// StartAt is Start for a span that began earlier; a zero time means now.
func (t *Tracer) StartAt(name string, parent trace.SpanContext, at time.Time) *Span {
	if t == nil {
		return nil
	}
	ctx := context.Background()
	if parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, parent)
	}
	var options []trace.SpanStartOption
	if !at.IsZero() {
		options = append(options, trace.WithTimestamp(at))
	}
	return t.start(ctx, name, options...)
}

// Continue starts a span for what came with headers, nil if it is not traced.
func (t *Tracer) Continue(name string, h map[string][]string) *Span {
	if t == nil || h == nil {
		return nil
	}
	parent := t.FromHeader(h)
	if !parent.IsValid() {
		return nil
	}
	return t.Start(name, parent)
}

func (t *Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) *Span {
	_, span := t.tracer.Start(ctx, name, options...)
	if !span.SpanContext().IsSampled() {
		return nil
	}
	return &Span{span}
}
