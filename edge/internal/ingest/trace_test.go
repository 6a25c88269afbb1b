package ingest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/tracing/tracingtest"
	"industrial-iot-monitor/internal/wire"
)

// newTracer returns a Tracer of the readings that were asked for. Its spans go nowhere.
func newTracer(t *testing.T) *tracing.Tracer {
	t.Helper()
	tracer, err := tracing.New(tracing.Options{Config: tracingtest.Start(t).Config(), Program: "edge", Log: discard()})
	require.NoError(t, err)
	return tracer
}

// askFor returns a traceparent of the n-th trace.
func askFor(n int) string { return fmt.Sprintf("00-%032x-%016x-01", n, 7) }

func TestAPackIsInOneTrace(t *testing.T) {
	var mu sync.Mutex
	traces := make(map[string]trace.SpanContext) // of the packs, by their first device
	store := &memStore{putPack: func(ctx context.Context, pack []byte) error {
		p, err := wire.OpenPack(pack)
		if err != nil {
			return err
		}
		first, _ := p.Next()
		mu.Lock()
		defer mu.Unlock()
		traces[first.Device] = trace.SpanContextFromContext(ctx)
		return nil
	}}
	c := New(Options{Store: store, Epoch: 1, Log: discard(), Linger: time.Hour, Tracer: newTracer(t)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for _, of := range []struct {
		device, parent string
	}{
		{"plain", ""},
		{"first", askFor(1)}, // joins the open pack
		{"again", askFor(1)}, // so does another one of its trace
		{"second", askFor(2)},
		{"after", ""},
	} {
		m := &Message{Device: of.device, Payload: []byte(fresh(of.device)), Received: time.Now(), asked: c.askedBy(of.parent, "")}
		require.Nil(t, c.Offer(m))
	}
	cancel()
	require.NoError(t, <-done)

	require.Len(t, traces, 2)
	require.Equal(t, fmt.Sprintf("%032x", 1), traces["plain"].TraceID().String())
	require.Equal(t, 1, tracing.Reading(traces["plain"]), "the reading that was asked for is the second one")
	require.Equal(t, fmt.Sprintf("%032x", 2), traces["second"].TraceID().String())
	require.Zero(t, tracing.Reading(traces["second"]))
}

func TestNoDeviceFillsTheCollector(t *testing.T) {
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard(), Tracer: newTracer(t)})
	traced := 0
	for i := range 100 * askedBurst {
		if c.askedBy(askFor(i+1), "") != nil {
			traced++
		}
	}
	require.GreaterOrEqual(t, traced, askedBurst)
	require.Less(t, traced, 50*askedBurst)
	require.InDelta(t, float64(traced), testutil.ToFloat64(c.asking.taken), 0)
	require.InDelta(t, float64(100*askedBurst-traced), testutil.ToFloat64(c.asking.beyond), 0)
	require.Nil(t, c.askedBy("nonsense", ""))
}

func TestWithoutATracerNoReadingIsAskedFor(t *testing.T) {
	c := New(Options{Store: &memStore{}, Epoch: 1, Log: discard()})
	parent := askFor(1)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if c.askedBy(parent, "") != nil {
			t.Fatal("asked for without a Tracer")
		}
	}))
}
