package tracing_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

// run makes a Tracer and runs it until stop is called, or the test ends.
func run(t *testing.T, o tracing.Options) (_ *tracing.Tracer, stop func()) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Program = "edge"
	tracer, err := tracing.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- tracer.Run(ctx) }()
	<-tracer.Started()
	stop = func() {
		cancel()
		require.NoError(t, <-done)
	}
	return tracer, stop
}

func TestOffCostsNothing(t *testing.T) {
	tracer, err := tracing.New(tracing.Options{Program: "edge", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Nil(t, tracer)
	header := map[string][]string{tracing.HeaderParent: {parent}}
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x"})
	ctx := t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		span := tracer.Continue("pack", header)
		if tracer.Start("pack", span.Context()) != nil || tracer.Parse(parent, "").IsValid() || span.Header() != nil {
			t.Fatal("a trace without a Tracer")
		}
		tracing.Inject(span.Into(ctx), header)
		span.Fail(context.Canceled)
		span.Link(trace.SpanContext{})
		span.Observe(h, 1)
		span.End()
	}))
	require.Len(t, header, 1)
}

func TestUntracedMessageCostsNothingWhileTracesAreOn(t *testing.T) {
	tracer, stop := run(t, tracing.Options{Config: tracingtest.Start(t).Config()})
	defer stop()
	header := map[string][]string{"other": {"x"}}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		tracer.Continue("pack", nil).End()
		tracer.Continue("pack", header).End()
	}))
}

func TestTraceContext(t *testing.T) {
	tracer, stop := run(t, tracing.Options{Config: tracingtest.Start(t).Config()})
	defer stop()
	for name, tt := range map[string]struct {
		parent string
		valid  bool
	}{
		"sampled":              {parent, true},
		"other flags too":      {parent[:53] + "03", true},
		"a later version":      {"01" + parent[2:] + "-more", true},
		"not sampled":          {parent[:53] + "00", false},
		"empty":                {"", false},
		"short":                {parent[:54], false},
		"long":                 {parent + "-more", false},
		"version ff":           {"ff" + parent[2:], false},
		"version that is none": {"0x" + parent[2:], false},
		"upper case":           {"00-0AF7651916cd43dd8448eb211c80319c-" + spanID + "-01", false},
		"zero trace":           {"00-00000000000000000000000000000000-" + spanID + "-01", false},
		"zero span":            {"00-" + traceID + "-0000000000000000-01", false},
		"no dashes":            {"00_" + traceID + "_" + spanID + "_01", false},
		"flags that are none":  {parent[:53] + "0g", false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.valid, tracer.Parse(tt.parent, "").IsValid())
		})
	}
	of := tracing.WithReading(tracer.Parse(parent, "vendor=1"), 17)
	again, state := tracing.Format(of)
	require.Equal(t, parent, again)
	require.Equal(t, "iot=17,vendor=1", state)
	require.Equal(t, 17, tracing.Reading(tracer.Parse(again, state)))
	require.Zero(t, tracing.Reading(tracer.Parse(parent, "iot=-3")), "a device's own nonsense")
	require.True(t, tracer.Parse(parent, "not a list").IsValid())
}

func TestSpansArrive(t *testing.T) {
	got := tracingtest.Start(t)
	cfg := got.Config()
	cfg.Service, cfg.Resource = "gateway-7", "site=north%20hall, floor=3"
	reg := prometheus.NewRegistry()
	tracer, stop := run(t, tracing.Options{Config: cfg, Registry: reg})
	root := tracer.Start("ask", tracer.Parse(parent, ""))
	child := tracer.StartAt("store", root.Context(), time.Now().Add(-time.Second))
	child.Fail(errors.New("disk full"))
	child.Link(tracer.Parse(parent, ""))
	child.End()
	root.End()
	require.Nil(t, tracer.Start("pack", trace.SpanContext{}), "the sampler takes only what is asked for")
	stop() // sends the last ones

	spans := got.Trace(root.Context().TraceID().String())
	require.Len(t, spans, 2)
	require.Equal(t, "gateway-7", spans[0].Service)
	require.Equal(t, root.Context().SpanID().String(), spans[0].Parent)
	require.True(t, spans[0].Failed)
	require.Equal(t, []string{traceID}, spans[0].Links)
	require.GreaterOrEqual(t, spans[0].EndsAt-spans[0].StartNanoseconds, uint64(time.Second))
	require.Equal(t, strings.Split(parent, "-")[2], spans[1].Parent)
	requireCount(t, 2, reg, "edge_trace_spans_total")
	requireCount(t, 2, reg, "edge_trace_exports_total")
}

func requireCount(t *testing.T, want float64, reg *prometheus.Registry, name string) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	require.InDelta(t, want, sum, 0, name)
}

func TestACollectorThatHangsHoldsNothingUp(t *testing.T) {
	free := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-free }))
	defer hangs.Close()
	defer close(free)
	var log logtest.Buffer
	tracer, stop := run(t, tracing.Options{
		Config: tracing.Config{Endpoint: hangs.URL, Protocol: "http/protobuf", Sampler: "always_on"}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	start := time.Now()
	for range 5000 { // more than the queue has room for
		tracer.Start("pack", trace.SpanContext{}).End()
	}
	require.Less(t, time.Since(start), 5*time.Second)
	start = time.Now()
	stop()
	require.Less(t, time.Since(start), 10*time.Second, "the stop is bounded")
	require.Contains(t, log.String(), "traces")
}

func TestARefusalIsCountedAndLogged(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	defer refuses.Close()
	var log logtest.Buffer
	reg := prometheus.NewRegistry()
	tracer, stop := run(t, tracing.Options{
		Config: tracing.Config{TracesEndpoint: refuses.URL + "/in", Protocol: "http/protobuf", Sampler: "always_on"}, Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: reg,
	})
	tracer.Start("pack", trace.SpanContext{}).End()
	stop()
	require.Contains(t, log.String(), "traces not sent")
	n, err := testutil.GatherAndCount(reg, "edge_trace_exports_total")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	requireCount(t, 1, reg, "edge_trace_exports_total")
}

func TestExemplarNamesTheTrace(t *testing.T) {
	tracer, stop := run(t, tracing.Options{Config: tracingtest.Start(t).Config()})
	defer stop()
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "seconds", Help: "x", Buckets: []float64{1}})
	reg.MustRegister(h)
	span := tracer.Start("pack", tracer.Parse(parent, ""))
	span.Observe(h, 0.5)
	span.End()
	families, err := reg.Gather()
	require.NoError(t, err)
	label := families[0].GetMetric()[0].GetHistogram().GetBucket()[0].GetExemplar().GetLabel()
	require.Len(t, label, 1)
	require.Equal(t, traceID, label[0].GetValue())
}

func TestUnusableSettingsAreNamed(t *testing.T) {
	good := tracing.Config{Endpoint: "http://127.0.0.1:4318", Protocol: "http/protobuf", Sampler: "parentbased_traceidratio", SamplerArg: 0.01}
	require.NoError(t, good.Check())
	for variable, change := range map[string]func(c *tracing.Config){
		"OTEL_EXPORTER_OTLP_ENDPOINT":        func(c *tracing.Config) { c.Endpoint = "127.0.0.1:4318" },
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": func(c *tracing.Config) { c.TracesEndpoint = "grpc://collector:4317" },
		"OTEL_EXPORTER_OTLP_PROTOCOL":        func(c *tracing.Config) { c.Protocol = "grpc" },
		"OTEL_TRACES_SAMPLER=":               func(c *tracing.Config) { c.Sampler = "sometimes" },
		"OTEL_TRACES_SAMPLER_ARG":            func(c *tracing.Config) { c.SamplerArg = 1.5 },
		"OTEL_RESOURCE_ATTRIBUTES":           func(c *tracing.Config) { c.Resource = "site" },
	} {
		t.Run(variable, func(t *testing.T) {
			cfg := good
			change(&cfg)
			require.ErrorContains(t, cfg.Check(), variable)
			cfg.Disabled = true
			require.NoError(t, cfg.Check(), "what is off is not looked at")
		})
	}
}
