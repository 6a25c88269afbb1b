package fanout

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/state"
)

// quietBench is a bench without a server: nothing runs unless the test calls it.
func quietBench(tb testing.TB, l Limits) *bench {
	tb.Helper()
	m, reg := state.New(state.Options{}), prometheus.NewRegistry()
	b, err := New(Options{Model: m, Log: slog.New(slog.DiscardHandler), Registry: reg, Limits: l})
	require.NoError(tb, err)
	return &bench{tb: tb, model: m, broadcaster: b, reg: reg}
}

// recorder is a connection that takes everything, with an end that is noted.
type recorder struct {
	net.Conn

	written         []byte
	fails           error // of a Write
	halfClosed      bool
	readBy, writeBy time.Time // deadlines
	drained         bool
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.fails != nil {
		return 0, r.fails
	}
	r.written = append(r.written, p...)
	return len(p), nil
}
func (r *recorder) Read([]byte) (int, error)           { r.drained = true; return 0, net.ErrClosed }
func (r *recorder) CloseWrite() error                  { r.halfClosed = true; return nil }
func (r *recorder) SetDeadline(t time.Time) error      { r.readBy, r.writeBy = t, t; return nil }
func (r *recorder) SetReadDeadline(t time.Time) error  { r.readBy = t; return nil }
func (r *recorder) SetWriteDeadline(t time.Time) error { r.writeBy = t; return nil }

// gathered returns what a client's next batch holds.
func gathered(c *client) (b batch, more bool) {
	more = c.gather(&b)
	return b, more
}

func TestFullBatchSaysWhetherAReadingIsLeft(t *testing.T) {
	const half = batchBytes/2 + 100
	for devices, want := range map[int][]int{2: {2}, 3: {2, 1}, 4: {2, 2}} {
		b := quietBench(t, Limits{})
		c := silentClient(b)
		c.ask(t, typeSubscribeAll)
		for i := range devices {
			b.push(entry(fmt.Sprint("d", i), 1, half))
		}
		var got []int
		for more := true; more; {
			var one batch
			more, _ = c.gatherNews(&one)
			got = append(got, one.readings)
		}
		require.Equal(t, want, got)
	}
}

func TestReadingSentBeforeItIsDistributedComesOnce(t *testing.T) {
	b := quietBench(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribe, "d", "e")
	next := func() int {
		var one batch
		_, _ = c.gatherNews(&one)
		return one.readings
	}
	b.push(entry("d", 1, 1))
	b.apply(entry("d", 2, 1))
	require.Equal(t, 1, next(), "the newest, which is still in the inbox")
	require.Len(t, c.early, 1)
	b.broadcaster.router.distribute()
	require.Zero(t, next())
	require.Empty(t, c.early)
	b.push(entry("d", 3, 1), entry("e", 3, 1))
	require.Equal(t, 2, next())
}

func TestAllowanceIsABurstThatRefills(t *testing.T) {
	b := quietBench(t, Limits{RatePerSecond: 2, RateBurst: 3})
	start := time.Unix(1000, 0)
	c := silentClient(b)
	c.allowance, c.allowedAt = 3, start
	count := func(at time.Time) (n int) {
		for c.allowed(at) {
			n++
		}
		return n
	}
	require.Equal(t, 3, count(start))
	require.Equal(t, 0, count(start.Add(499*time.Millisecond)))
	require.Equal(t, 1, count(start.Add(500*time.Millisecond)))
	require.Equal(t, 3, count(start.Add(time.Hour)), "never more than the burst")
}

func TestClientOverItsRateGetsOneErrorASecond(t *testing.T) {
	b := quietBench(t, Limits{RatePerSecond: 0.001, RateBurst: 1})
	start := time.Unix(1000, 0)
	c := silentClient(b)
	c.allowedAt = start
	for _, step := range []struct {
		at    time.Duration
		notes int
	}{{0, 1}, {0, 1}, {999 * time.Millisecond, 1}, {time.Second, 2}, {1999 * time.Millisecond, 2}, {2 * time.Second, 3}} {
		require.False(t, c.allowed(start.Add(step.at)))
		require.Len(t, c.notes, step.notes, step.at)
	}
	require.Equal(t, int64(3), b.broadcaster.Stats().Rejected)
	require.Contains(t, string(c.notes[0]), codeRateLimited)
}

func TestSweepPingsAtTheIntervalAndClosesAfterTheTimeout(t *testing.T) {
	b := quietBench(t, Limits{PingInterval: 25 * time.Second, PongTimeout: 60 * time.Second})
	start := time.Unix(1000, 0)
	c := silentClient(b)
	c.pinged = start
	c.lastSeen.Store(start.UnixNano())
	b.broadcaster.clients[c] = struct{}{}
	sweep := func(after time.Duration) (ping bool) {
		b.broadcaster.sweep(start.Add(after))
		ping, c.ping = c.ping, false
		return ping
	}
	require.False(t, sweep(25*time.Second-1))
	require.True(t, sweep(25*time.Second))
	require.Len(t, c.urgent, 1)
	require.False(t, sweep(50*time.Second-1))
	require.True(t, sweep(50*time.Second))
	sweep(60 * time.Second)
	require.Nil(t, c.closing)
	sweep(60*time.Second + 1)
	require.Equal(t, CloseNoPong, c.closing.code)
}

func TestFirstReasonToCloseCounts(t *testing.T) {
	c := silentClient(quietBench(t, Limits{}))
	c.close(CloseSlow, "slow")
	require.Len(t, c.urgent, 1)
	<-c.urgent
	c.close(CloseShutdown, "shutdown")
	require.Equal(t, closing{CloseSlow, "slow"}, *c.closing)
	require.Empty(t, c.urgent)
}

func TestEveryEndIsCountedUnderItsReason(t *testing.T) {
	for _, c := range []struct {
		closing *closing
		reason  string
	}{
		{nil, "gone"},
		{&closing{code: closeGoneSilent}, "gone"},
		{&closing{code: closeNormal}, "client"},
		{&closing{code: closeNoCodeGiven}, "client"},
		{&closing{code: CloseShutdown}, "shutdown"},
		{&closing{code: CloseSlow}, "slow"},
		{&closing{code: CloseNoPong}, "no_pong"},
		{&closing{code: CloseEnded}, "signed_out"},
		{&closing{code: closeTooBig}, "too_big"},
	} {
		var n counters
		n.ended(&client{closing: c.closing})
		for i, name := range reasonNames {
			want := int64(0)
			if name == c.reason {
				want = 1
			}
			require.Equal(t, want, n.dialects[simpleDialect].ends[i].Load(), "%+v counted as %s", c.closing, name)
		}
	}
}

func TestCloseFramesAreCountedByCode(t *testing.T) {
	b := quietBench(t, Limits{Connections: 7, RecentBytes: -1})
	for i, code := range []int{CloseShutdown, CloseSlow, CloseNoPong, CloseLimit, closeTooBig, CloseEnded} {
		for range i + 1 {
			b.broadcaster.counts.closed(code)
		}
	}
	families, err := b.reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		switch f.GetName() {
		case "portal_websocket_closes_total":
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		case "portal_websocket_connections_limit", "portal_recent_bytes_limit":
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Equal(t, map[string]float64{
		"4001": 1, "4008": 2, "4012": 3, "4504": 4, "1009": 5, "4003": 6, "portal_websocket_connections_limit": 7, "portal_recent_bytes_limit": 0,
	}, got)
}

func TestSecondBroadcasterInARegistryIsAnError(t *testing.T) {
	b := quietBench(t, Limits{})
	_, err := New(Options{Model: b.model, Log: slog.New(slog.DiscardHandler), Registry: b.reg})
	require.Error(t, err)
}

func TestPauseIsNoShorterThanATimerIsWorth(t *testing.T) {
	p := newPacer()
	require.Zero(t, p.pause(19))
	require.Equal(t, time.Millisecond, p.pause(20))
	require.Equal(t, 49950*time.Microsecond, p.pause(999))
	require.Equal(t, 50*time.Millisecond, p.pause(1001))
	p.factor.Store(math.Float64bits(10))
	require.Equal(t, 500*time.Millisecond, p.pause(1000))
	p.factor.Store(math.Float64bits(11))
	require.Equal(t, 500*time.Millisecond, p.pause(1000))
}

func TestPausesChangeWithTheLagOfATimer(t *testing.T) {
	for lag, want := range map[time.Duration]float64{
		0: 9, lagLow - 1: 9, lagLow: 10, lagHigh: 10, lagHigh + 1: 15, time.Hour: 15,
	} {
		require.InDelta(t, want, nextFactor(10, lag), 1e-9, lag)
	}
	require.InDelta(t, 1, nextFactor(1, 0), 0)
	require.InDelta(t, 100, nextFactor(99, time.Second), 0)
}

func TestRejectedConnectionGetsItsReasonUnlessTooManyAre(t *testing.T) {
	for before, replied := range map[int64]bool{0: true, maxRejecting - 1: true, maxRejecting: false} {
		b := quietBench(t, Limits{}).broadcaster
		b.rejecting.Store(before)
		raw := &recorder{}
		start := time.Now()
		b.reject(raw, CloseLimit, "full")
		require.Equal(t, before, b.rejecting.Load())
		require.Equal(t, int64(1), b.Stats().Refused)
		require.Equal(t, replied, len(raw.written) > 0)
		require.Equal(t, replied, raw.halfClosed)
		require.Equal(t, replied, raw.drained)
		if replied {
			require.Equal(t, appendClose(nil, CloseLimit, "full"), raw.written)
			require.WithinRange(t, raw.readBy, start, time.Now().Add(closeWait))
		}
	}
	b, raw := quietBench(t, Limits{}).broadcaster, &recorder{fails: errStop}
	b.reject(raw, CloseLimit, "full")
	require.False(t, raw.drained, "a dead connection is not waited for")
}
