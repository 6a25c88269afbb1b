package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub is a Conn that records messages, unless it is away.
type hub struct {
	mu       sync.Mutex
	away     bool
	messages []message
}

type message struct {
	subject string
	data    []byte
	at      time.Time
}

func (h *hub) Publish(subject string, data []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		return errors.New("not connected")
	}
	h.messages = append(h.messages, message{subject, slices.Clone(data), time.Now()})
	return nil
}

func (h *hub) PublishMsg(m *nats.Msg) error { return h.Publish(m.Subject, m.Data) }

func (h *hub) FlushTimeout(time.Duration) error { return nil }

func (h *hub) on(subject string) []message {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ms []message
	for _, m := range h.messages {
		if m.subject == subject {
			ms = append(ms, m)
		}
	}
	return ms
}

// value returns a counter's value.
func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	require.NoError(t, err)
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func newPublisher(t *testing.T) *Publisher {
	t.Helper()
	p, err := New(Options{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	return p
}

// run starts p and returns what stops it and waits.
func run(t *testing.T, p *Publisher, h *hub) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, h) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func entry(i int) wire.FrameEntry {
	return wire.FrameEntry{Device: fmt.Sprint("d", i), Timestamp: int64(i), Received: int64(i), Payload: fmt.Appendf(nil, `{"n":%d}`, i)}
}

// entries decodes frames to the timestamps in them, in order.
func entries(t *testing.T, ms []message) []int64 {
	t.Helper()
	var out []int64
	for _, m := range ms {
		f, err := wire.OpenFrame(m.data)
		require.NoError(t, err)
		for e, ok := f.Next(); ok; e, ok = f.Next() {
			out = append(out, e.Timestamp)
		}
		require.NoError(t, f.Err())
	}
	return out
}

func TestFirstReadingGoesAtOnceTheNextOnesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPublisher(t), &hub{}
		stop := run(t, p, h)
		start := time.Now()
		for i := range 10 {
			p.Add("gw-a", entry(i))
			p.Flush()
			time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock, not ours
		}
		synctest.Wait()
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock, not ours
		ms := h.on("live.gw-a")
		require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, entries(t, ms))
		require.Equal(t, start, ms[0].at, "no timer stands before the first one")
		require.Len(t, ms, 3)
		for i := 1; i < len(ms); i++ {
			require.LessOrEqual(t, ms[i].at.Sub(ms[i-1].at), 2*linger)
		}
		stop()
	})
}

func TestFullFrameGoesWithoutFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPublisher(t), &hub{}
		stop := run(t, p, h)
		for i := range frameReadings + 1 {
			p.Add("gw-a", entry(i))
		}
		synctest.Wait()
		require.Len(t, entries(t, h.on("live.gw-a")), frameReadings)
		big := wire.FrameEntry{Device: "d", Payload: make([]byte, frameBytes)}
		p.Add("gw-b", big)
		synctest.Wait()
		require.Len(t, h.on("live.gw-b"), 1)
		stop()
		require.Len(t, entries(t, h.on("live.gw-a")), frameReadings+1, "the rest is sent at the end")
	})
}

func TestGatewaysHaveFramesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPublisher(t), &hub{}
		stop := run(t, p, h)
		for i := range 30 {
			p.Add(fmt.Sprint("gw-", i%3), entry(i))
		}
		p.Flush()
		synctest.Wait()
		for g := range 3 {
			require.Len(t, entries(t, h.on(fmt.Sprint("live.gw-", g))), 10)
		}
		stop()
	})
}

func TestAbsentHubCostsNothingButTheFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, h := newPublisher(t), &hub{away: true}
		stop := run(t, p, h)
		p.Add("gw-a", entry(1))
		p.Flush()
		p.Alert(telemetry.SeverityHigh, []byte(`{}`))
		synctest.Wait()
		require.InDelta(t, 1, value(t, p.metrics.framesDropped), 0)
		require.InDelta(t, 1, value(t, p.metrics.dropped), 0)
		require.InDelta(t, 1, value(t, p.metrics.notes[kindAlert].dropped), 0)
		stop()
	})
}

// TestSlowHubNeverBlocks adds far more than fits while nothing is sent.
func TestSlowHubNeverBlocks(t *testing.T) {
	p := newPublisher(t)
	const readings = 3 * frameQueue * frameReadings
	for i := range readings {
		p.Add("gw-a", entry(i))
	}
	for range 2 * noteQueue {
		p.Alert(telemetry.SeverityLow, []byte(`{}`))
	}
	require.InDelta(t, 2*frameQueue, value(t, p.metrics.framesDropped), 0)
	require.InDelta(t, 2*frameQueue*frameReadings, value(t, p.metrics.dropped), 0)
	require.InDelta(t, noteQueue, value(t, p.metrics.notes[kindAlert].dropped), 0)
	h := &hub{}
	run(t, p, h)()
	require.Equal(t, int64(0), entries(t, h.on("live.gw-a"))[0])
	require.Len(t, h.on("alerts.low"), noteQueue)
}

func TestWindowsAreSplitIntoMessages(t *testing.T) {
	p, h := newPublisher(t), &hub{}
	ws := make([]telemetry.Window, 2*windowsPerMessage+1)
	for i := range ws {
		ws[i] = telemetry.Window{Scope: "device", ID: fmt.Sprint(i), Count: 1}
	}
	p.Windows(ws)
	run(t, p, h)()
	ms := h.on(wire.AggregateSubject)
	require.Len(t, ms, 3)
	var got []telemetry.Window
	for _, m := range ms {
		var part []telemetry.Window
		require.NoError(t, json.Unmarshal(m.data, &part))
		got = append(got, part...)
	}
	require.Equal(t, ws, got)
}

func TestNamesOfGatewaysAreBounded(t *testing.T) {
	p := newPublisher(t)
	for i := range maxGateways + 5 {
		p.Add(fmt.Sprint("g", i), entry(i))
	}
	require.Len(t, p.gateways, maxGateways)
	require.InDelta(t, 5, value(t, p.metrics.dropped), 0, "all others have something to send")

	p.flush(time.Now(), 0)
	p.Add("g0", entry(0))
	p.flush(time.Now(), 0)
	for i := range 100 {
		p.Add(fmt.Sprint("h", i), entry(i))
	}
	require.Len(t, p.gateways, maxGateways)
	require.Contains(t, p.gateways, "g0", "those that had nothing to send for longest make room")
	require.InDelta(t, 5, value(t, p.metrics.dropped)-value(t, p.metrics.framesDropped), 0)
}

func TestRequiredOptions(t *testing.T) {
	_, err := New(Options{Registry: prometheus.NewRegistry()})
	require.ErrorContains(t, err, "Log")
	_, err = New(Options{Log: slog.Default()})
	require.ErrorContains(t, err, "Registry")
}
