package live

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// pack returns a pack of one reading.
func (f *stageFeed) pack(device string, received, ts int64, more string) []byte {
	f.t.Helper()
	var b wire.PackBuilder
	b.Reset(1, 1)
	b.Add(wire.PackEntry{Device: device, Received: received, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{}%s}`, device, ts, more)})
	return b.Finish()
}

// fresh passes a pack of one reading and returns its frame entry.
func (f *stageFeed) fresh(device string, received, ts int64, more string) (wire.FrameEntry, bool) {
	f.t.Helper()
	f.s.show("gw-a", f.pack(device, received, ts, more), f.now, nil)
	p := f.s.o.Publisher
	g := p.gateways["gw-a"]
	var data []byte
	switch {
	case g != nil && g.frame != nil:
		data, g.frame, g.listed = bytes.Clone(g.frame.builder.Finish()), nil, false
		p.waiting = p.waiting[:0]
	case len(p.frames) > 0:
		data = bytes.Clone((<-p.frames).builder.Finish())
	default:
		return wire.FrameEntry{}, false
	}
	frame, err := wire.OpenFrame(data)
	require.NoError(f.t, err)
	e, ok := frame.Next()
	require.True(f.t, ok)
	return e, true
}

type stageFeed struct {
	t       *testing.T
	s       *Stage
	offsets *clock.Offsets
	now     int64
}

func newStageFeed(t *testing.T) *stageFeed {
	t.Helper()
	offsets := clock.NewOffsets()
	s, err := NewStage(StageOptions{
		Publisher: newPublisher(t), Registry: prometheus.NewRegistry(),
		Catalogue: func() *sensors.Catalogue { return nil }, Offsets: offsets,
		Behind: func(int64) bool { return false },
	})
	require.NoError(t, err)
	return &stageFeed{t: t, s: s, offsets: offsets, now: 1_700_000_000_000}
}

// TestFreshReadingsAreOnPlantTime: what the record path found out about a device's clock
// places its readings, and without that a wrong clock shows no old reading as a new one.
func TestFreshReadingsAreOnPlantTime(t *testing.T) {
	const hour = 3_600_000
	f := newStageFeed(t)
	send := func(device string, ts int64) wire.FrameEntry {
		e, ok := f.fresh(device, f.now-20, ts, "")
		require.True(t, ok)
		require.Equal(t, f.now-20, e.Received)
		return e
	}
	require.Equal(t, f.now-20, send("fast", f.now+8*hour).Timestamp)
	require.True(t, send("slow", f.now-5*hour).Backfill, "not known yet")
	require.Equal(t, f.now-30, send("right", f.now-30).Timestamp)
	require.True(t, send("right", f.now-hour).Backfill)
	f.offsets.Set("slow", -5*hour)
	e := send("slow", f.now-5*hour)
	require.False(t, e.Backfill)
	require.InDelta(t, f.now, e.Timestamp, 100)
	require.InDelta(t, -5*hour, e.ClockOffset, 100)
	require.True(t, send("slow", f.now-9*hour).Backfill)
	require.Zero(t, send("right", f.now-30).ClockOffset)
	_, shown := f.fresh("right", f.now, f.now, `,"presence":"offline"`)
	require.False(t, shown)
}

func TestStageCountsWhatItDoesNotShow(t *testing.T) {
	f := newStageFeed(t)
	f.s.show("gw-a", []byte("no pack"), f.now, nil)
	f.s.show("no gateway", f.pack("d1", f.now, f.now, ""), f.now, nil)
	require.InDelta(t, 2, value(t, f.s.damaged), 0)
	_, shown := f.fresh("d1", f.now, f.now, `,"timestamp":"twice"`)
	require.False(t, shown)
	require.InDelta(t, 1, value(t, f.s.refused), 0)
	_, shown = f.fresh("d1", f.now, f.now, "")
	require.True(t, shown)
	require.InDelta(t, 1, value(t, f.s.shown), 0)
}

// TestAlarmsGoBeforeScreens: while the record path is behind, screens get fewer readings.
func TestAlarmsGoBeforeScreens(t *testing.T) {
	f := newStageFeed(t)
	behind := true
	f.s.o.Behind = func(now int64) bool { require.Equal(t, f.now, now); return behind }
	f.s.budget = budget{at: f.now}
	_, shown := f.fresh("d1", f.now, f.now, "")
	require.False(t, shown)
	require.InDelta(t, 1, value(t, f.s.shed), 0)
	f.now++
	_, shown = f.fresh("d1", f.now, f.now, "")
	require.True(t, shown, "there is budget again")
	f.s.budget.left = -1000
	behind = false
	_, shown = f.fresh("d1", f.now, f.now, "")
	require.True(t, shown)
}

func TestStageNeedsItsOptions(t *testing.T) {
	_, err := NewStage(StageOptions{})
	require.ErrorContains(t, err, "required")
}

// TestSlowStageDropsAndCounts: a stage that cannot keep up shows newer readings instead of
// ever older ones.
func TestSlowStageDropsAndCounts(t *testing.T) {
	srv := natsServer(t)
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	f := newStageFeed(t)
	blocked, release := make(chan struct{}, 1000), make(chan struct{})
	f.s.o.Catalogue = func() *sensors.Catalogue {
		blocked <- struct{}{}
		<-release
		return nil
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- f.s.Run(ctx, nc) }()
	pack := f.pack("d1", f.now, f.now, `,"x":"`+strings.Repeat("x", 60<<10)+`"`)
	require.Eventually(t, func() bool {
		require.NoError(t, nc.Publish(wire.FreshSubject("gw-a"), pack))
		require.NoError(t, nc.Flush())
		return len(blocked) > 0
	}, time.Minute, time.Millisecond, "it listens")
	for range 2 * waitingBytes / len(pack) {
		require.NoError(t, nc.Publish(wire.FreshSubject("gw-a"), pack))
	}
	require.NoError(t, nc.Flush())
	close(release)
	require.Eventually(t, func() bool { return value(t, f.s.dropped) > 100 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func natsServer(t *testing.T) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(time.Minute))
	return srv
}

func TestOnlyTheFrameOfATracedPackIsTraced(t *testing.T) {
	of := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	p, err := New(Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	p.Trace("gw-a", of)
	p.EndTrace("gw-a") // a pack that had nothing to show
	for i, want := range []bool{false, true, false} {
		if want {
			p.Trace("gw-a", of)
		}
		p.Add("gw-a", wire.FrameEntry{Device: "d1", Payload: []byte(`{}`), Reading: &telemetry.Reading{}})
		p.EndTrace("gw-a")
		p.flush(time.Now(), 0)
		require.Equal(t, want, (<-p.frames).trace.IsSampled(), "frame %d", i)
	}
}
