package processor

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/intake"
)

func TestReady(t *testing.T) {
	tk := newTestTask(t)
	require.ErrorIs(t, tk.p.Ready(), errNoSession)
	s := newSession(tk.p, nil)
	tk.p.session.Store(s)
	require.NoError(t, tk.p.Ready(), "a member without partitions stands by")
	tk.partition = 7
	s.order = []*task{newTask(tk.p, 1, nil), tk}

	now := time.Now().UnixMilli()
	long := stallTimeout.Milliseconds() + 1000
	at := func(next, high, moved, grew int64) func() {
		return func() {
			tk.progress.next.Store(next)
			tk.progress.moved.Store(moved)
			tk.progress.grow(high, grew)
		}
	}
	tests := []struct {
		name  string
		set   func()
		wrong string
	}{
		{"nothing to do", func() {}, ""},
		{"just read", func() { tk.pending.waiting.Store(now) }, ""},
		{"not popped", func() { tk.pending.waiting.Store(now - long) }, "partition 7: nothing committed for 31s"},
		{"commit hangs", func() { tk.pending.inFlight.Store(now - long) }, "partition 7: nothing committed for 31s"},
		{"idle with a marker behind", at(10, 11, now-9*long, now), ""},
		{"aborted transaction behind", at(10, 5000, now-9*long, now-9*long+1), ""},
		{"others write, nothing comes", at(10, 5000, now-9*long, now), "partition 7: nothing read for 4m39s with a lag of 4990 offsets"},
		{"behind and working", at(10, 5000, now-100, now), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range []*atomic.Int64{&tk.pending.waiting, &tk.pending.inFlight, &tk.progress.high, &tk.progress.grew} {
				v.Store(0)
			}
			tk.progress.next.Store(-1)
			tk.progress.moved.Store(now)
			tt.set()
			if tt.wrong == "" {
				require.NoError(t, tk.p.Ready())
				return
			}
			require.ErrorContains(t, tk.p.Ready(), tt.wrong)
		})
	}
}

func TestStallBeginsAfterTheTimeout(t *testing.T) {
	const now, limit = 1_000_000, int64(30_000)
	p := newPending(nil)
	p.waiting.Store(now - limit)
	require.NoError(t, p.stalled(now))
	require.Error(t, p.stalled(now+1))

	g := newProgress(now)
	require.EqualValues(t, -1, g.next.Load())
	g.grow(5000, now+limit+1)
	require.Zero(t, g.lag(), "unknown before the first record")
	require.NoError(t, g.stalled(now+limit+1))
	g.advance(0, now)
	require.EqualValues(t, 5000, g.lag())
	require.Error(t, g.stalled(now+limit+1))
	g.grow(4000, now+9*limit)
	require.EqualValues(t, 5000, g.high.Load(), "it does not shrink")
	g.grow(5000, now+9*limit)
	require.Equal(t, now+limit+1, g.grew.Load(), "nor grow")
	g.moved.Store(now + 1)
	require.NoError(t, g.stalled(now+limit+1))
	g.advance(4999, now+2)
	require.Zero(t, g.lag(), "a marker")
	require.EqualValues(t, now+2, g.moved.Load())
	require.EqualValues(t, now+2, g.processed)
	g.advance(4998, now+3)
	require.EqualValues(t, 2, g.lag())
}

func TestTheClockWaitsForReadingsThatAreThere(t *testing.T) {
	const now = 1_000_000
	p := newProgress(now)
	require.True(t, p.isBehind(now+settleMS-1), "just assigned")
	require.False(t, p.isBehind(now+settleMS), "there was nothing to read")
	p.next.Store(10)
	p.grow(5000, now)
	require.True(t, p.isBehind(now+settleMS), "there is something to read")
	require.True(t, p.isBehind(now+behindMS-1))
	require.False(t, p.isBehind(now+behindMS), "and it does not arrive")
	p.processed, p.written = now+20_000, now+20_000-behindMS-1
	require.True(t, p.isBehind(now+20_000), "the past is being read")
	require.True(t, p.isBehind(now+20_000+1999))
	require.False(t, p.isBehind(now+20_000+2000), "it was read")
	p.written++
	require.False(t, p.isBehind(now+20_000))
}

func TestReadingProvesItsDeviceAlive(t *testing.T) {
	const now = 1_000_000
	tests := []struct {
		name              string
		received, written int64
		backfill          bool
		want              int64
	}{
		{"live", now - 50, now - 10, false, now},
		{"within the error of clocks", now - behindMS, now - behindMS, false, now},
		{"catching up", now - behindMS - 100, now - behindMS - 1, false, now - behindMS - 1},
		{"from a buffer", now - 60_000, now - 10, true, now - 60_000},
		{"from a buffer, catching up", now - 90_000, now - 60_000, true, now - 90_000},
		{"a buffer with a fast clock", now + 30_000, now - 10, true, now},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, aliveAt(&intake.Origin{Received: tt.received, Written: tt.written, Backfill: tt.backfill}, now), tt.name)
	}
}

func TestRecordPathIsBehindWhenItProcessesOldReadings(t *testing.T) {
	const now = 1_700_000_000_000
	p := &Processor{}
	require.False(t, p.behind(now), "no partitions")
	a, b := &task{progress: newProgress(now)}, &task{progress: newProgress(now)}
	p.session.Store(&session{order: []*task{a, b}})
	require.False(t, p.behind(now), "nothing processed")
	for _, c := range []struct {
		age, ago int64
		want     bool
	}{
		{shedBehind, 0, false},
		{shedBehind + 1, 0, true},
		{shedBehind + 1, shedIdle - 1, true},
		{shedBehind + 1, shedIdle, false}, // the last reading of an hour ago proves nothing
	} {
		b.progress.newest = now - c.age
		b.progress.advance(1, now-c.ago)
		require.Equal(t, c.want, p.behind(now), "%+v", c)
	}
}
