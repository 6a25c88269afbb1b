package fanout

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestControlAndErrorMessagesGoBeforeReadings(t *testing.T) {
	b := quietBench(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribe, "d")
	b.push(entry("d", 1, 1))
	c.note(&refusal{codeBadJSON, "x"})
	c.askForPong()
	c.answerPing("first")
	c.answerPing("last")
	one, more := gathered(c)
	require.False(t, more)
	want := appendControl(appendControl(nil, opPong, []byte("last")), opPing, nil)
	want = append(want, errorMessage(codeBadJSON, "x")...)
	require.Equal(t, want, one.buf[:len(want)])
	require.Contains(t, string(one.buf[len(want):]), "device_data")
	one, _ = gathered(c)
	require.Empty(t, one.buf, "each goes once")
}

func TestShutdownSendsAlertsFirstOtherEndsDoNot(t *testing.T) {
	b := quietBench(t, Limits{})
	for code, alerts := range map[int]int{CloseShutdown: 1, CloseSlow: 0, CloseNoPong: 0, closeNormal: 0, closeGoneSilent: 0} {
		c := silentClient(b)
		c.ask(t, typeSubscribe, "d")
		b.raise(fmt.Sprint("a", code), "d", telemetry.AlertActive, 1)
		c.close(code, "why")
		one, _ := gathered(c)
		require.Equal(t, alerts, min(one.alerts, 1), code)
		require.Equal(t, code, one.final.code)
		if code == closeGoneSilent {
			require.Empty(t, one.buf)
		} else {
			end := appendClose(nil, code, "why")
			require.Equal(t, end, one.buf[len(one.buf)-len(end):])
		}
		c.ask(t, typeUnsubscribe)
	}
}

func TestShutdownWaitsUntilAllAlertsAreGathered(t *testing.T) {
	b := quietBench(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribe, "d")
	const alerts = 2000
	for i := range alerts {
		b.raise(fmt.Sprint("a", i), "d", telemetry.AlertActive, int64(i))
	}
	c.close(CloseShutdown, "")
	sent, batches := 0, 0
	for {
		one, more := gathered(c)
		sent += one.alerts
		if batches++; one.final != nil {
			break
		}
		require.True(t, more)
	}
	require.Equal(t, alerts, sent)
	require.Greater(t, batches, 2)
	require.Zero(t, c.news)
	require.Nil(t, c.alerts)
}

func TestNotesUpToTheirLimitWaitOneMoreCloses(t *testing.T) {
	c := silentClient(quietBench(t, Limits{}))
	for range maxNotes {
		c.queueNote([]byte("x"))
	}
	require.Nil(t, c.closing)
	c.queueNote([]byte("x"))
	require.Len(t, c.notes, maxNotes)
	require.Equal(t, CloseSlow, c.closing.code)
}

func TestSubscriptionListMayBeFilledToItsLimit(t *testing.T) {
	b := quietBench(t, Limits{Subscriptions: 2})
	try := func(c *client, typ string, ids ...string) error {
		_, err := b.broadcaster.router.apply(c, request{Type: typ, DeviceIDs: &ids})
		return err
	}
	c := silentClient(b)
	require.NoError(t, try(c, typeSubscribe, "a", "b"))
	require.NoError(t, try(c, typeSubscribe, "a", "b"), "these are on it already")
	require.ErrorContains(t, try(c, typeSubscribe, "c"), codeTooMany)
	require.NoError(t, try(c, typeUnsubscribe, "a", "unknown"))
	require.NoError(t, try(c, typeSubscribe, "c"))
	require.Equal(t, int64(2), b.broadcaster.router.subscriptions.Load())
	c.ask(t, typeSubscribeAll)
	require.Equal(t, int64(1), b.broadcaster.router.subscriptions.Load())
	require.Empty(t, b.broadcaster.router.lists)
	require.NoError(t, try(c, typeUnsubscribe, "a", "b"))
	require.ErrorContains(t, try(c, typeUnsubscribe, "c"), codeTooMany)
	require.Len(t, c.sub.except, 2)
	c.ask(t, typeSubscribeAll)
	require.Empty(t, c.sub.except)
}

func TestDetachedClientSubscribesToNothing(t *testing.T) {
	b := quietBench(t, Limits{})
	c := silentClient(b)
	b.broadcaster.detach(c)
	c.ask(t, typeSubscribeAll)
	c.ask(t, typeSubscribe, "d")
	require.Zero(t, b.broadcaster.router.subscriptions.Load())
	require.Empty(t, b.broadcaster.router.all)
}

func TestUnsubscribingDropsQueuedReadingsOfTheDeviceAlone(t *testing.T) {
	b := quietBench(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribe, "d", "e")
	b.push(entry("d", 1, 1), entry("e", 1, 1))
	c.ask(t, typeUnsubscribe, "d")
	one, _ := gathered(c)
	require.Equal(t, 1, one.readings)
	require.Contains(t, string(one.buf), `"device_id":"e"`)
	c.ask(t, typeSubscribeAll)
	_, _ = gathered(c)
	c.ask(t, typeUnsubscribe, "e")
	b.push(entry("d", 2, 1), entry("e", 2, 1))
	one, _ = gathered(c)
	require.Equal(t, 1, one.readings)
	require.Contains(t, string(one.buf), `"device_id":"d"`)
}

func TestOnlyLiveNewsHaveAnAge(t *testing.T) {
	b := quietBench(t, Limits{})
	live := entry("live", 1, 1)
	live.Received = 42
	old := entry("old", 1, 1)
	old.Backfill = true
	b.push(live, old)
	c := silentClient(b)
	c.ask(t, typeSubscribeAll)
	one, _ := gathered(c)
	require.Equal(t, 2, one.readings)
	require.Empty(t, one.received, "a snapshot may be of any age")
	live.Timestamp, old.Timestamp = 2, 2
	live.Payload, old.Payload = reading("live", 2, 1), reading("old", 2, 1)
	b.push(live, old)
	one, _ = gathered(c)
	require.Equal(t, 2, one.readings)
	require.Equal(t, []int64{42}, one.received)
}

func TestSentBatchIsCounted(t *testing.T) {
	b := quietBench(t, Limits{})
	raw := &recorder{}
	c := silentClient(b)
	c.raw = raw
	require.True(t, c.send(&batch{buf: []byte("abc"), messages: 3, readings: 3, alerts: 2, received: []int64{time.Now().UnixMilli()}}))
	require.True(t, c.send(&batch{shared: []byte("defgh"), final: &closing{code: CloseNoPong}}))
	require.Equal(t, "abcdefgh", string(raw.written))
	s := b.broadcaster.Stats()
	require.Equal(t, []int64{3, 2, 8}, []int64{s.Messages, s.Alerts, s.Bytes})
	all, aged := b.delivered()
	require.Equal(t, int64(3), all)
	require.Equal(t, uint64(1), aged)
	require.Equal(t, int64(8), b.broadcaster.counts.dialects[simpleDialect].bytes.Load())
	require.Equal(t, int64(1), b.broadcaster.counts.noPong.Load())
	raw.fails = errStop
	require.False(t, c.send(&batch{buf: []byte("abc"), readings: 1}))
	require.Equal(t, int64(3), b.broadcaster.Stats().Messages, "what was not written is not counted")
}

func TestFlushWritesAFewBatchesAndSaysWhetherThereIsMore(t *testing.T) {
	b := quietBench(t, Limits{})
	raw := &recorder{}
	c := silentClient(b)
	c.raw = raw
	c.ask(t, typeSubscribeAll)
	for i := range 2*batchesPerFlush + 1 {
		b.push(entry(fmt.Sprint("d", i), 1, batchBytes-100))
	}
	for _, want := range []bool{true, true, false} {
		more, alive := c.flush()
		require.True(t, alive)
		require.Equal(t, want, more)
	}
	require.Equal(t, int64(2*batchesPerFlush+1), b.broadcaster.Stats().Messages)
	c.close(CloseNoPong, "")
	more, alive := c.flush()
	require.False(t, more || alive)
	require.Equal(t, uint16(CloseNoPong), binary.BigEndian.Uint16(raw.written[len(raw.written)-2:]))
	c.hangUp()
	require.True(t, raw.halfClosed)
	require.False(t, raw.readBy.IsZero())
}

func TestPauseEndsEarlyForWhatIsUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &client{urgent: make(chan struct{}, 1), gone: make(chan struct{})}
		rest := func() (bool, time.Duration) {
			start := time.Now()
			early := c.rest(time.NewTimer(time.Second))
			return early, time.Since(start)
		}
		early, took := rest()
		require.False(t, early)
		require.Equal(t, time.Second, took)
		poke(c.urgent)
		early, took = rest()
		require.True(t, early)
		require.Zero(t, took)
		close(c.gone)
		early, took = rest()
		require.True(t, early)
		require.Zero(t, took)
	})
}

func TestQueueGrowsWithTheDeviceNumbers(t *testing.T) {
	var q queue
	for _, i := range []int{0, 63, 64, 127, 128, 100_000, 1 << 20} {
		require.True(t, q.push(i, i%2 == 0))
		require.False(t, q.push(i, false))
	}
	for _, want := range []int{0, 63, 64, 127, 128, 100_000, 1 << 20} {
		i, snapshot, ok := q.pop()
		require.True(t, ok)
		require.Equal(t, want, i)
		require.Equal(t, want%2 == 0, snapshot)
	}
	require.Zero(t, q.length())
}

func TestConnectionThatBreaksOffInAMessageIsCountedAsGone(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dial()
	p.synced()
	c := b.broadcaster.snapshot()[0]
	_, err := p.ws.NetConn().Write([]byte{opText, 0x80 | 100, 1, 2, 3, 4, 'x'}) // the first of 100 bytes
	require.NoError(t, err)
	require.NoError(t, p.ws.NetConn().Close())
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Clients == 0 }, waitTimeout, 5*time.Millisecond)
	require.Equal(t, int64(1), b.broadcaster.counts.dialects[simpleDialect].ends[endedGone].Load())
	require.Equal(t, closing{code: closeGoneSilent}, *c.closing, "its writer is to send nothing more")
}

func TestMessageOfTheGreatestSizeIsRead(t *testing.T) {
	b := newBench(t, Limits{MessageBytes: 100})
	p := b.dial()
	head := `{"type":"x"}`
	p.send(head + strings.Repeat(" ", 100-len(head)))
	p.expectError(codeUnknownType)
	p.send(head + strings.Repeat(" ", 101-len(head)))
	p.expectClose(closeTooBig)
}

func TestReplayedReadingsAreCountedAndTheNewestComesOnce(t *testing.T) {
	b := quietBench(t, Limits{})
	at := time.Now().UnixMilli() + 1000 // after the portal's start
	for i := range int64(3) {
		b.push(entry("d", at+i, 1))
	}
	for since, want := range map[int64]int{at - 1: 3, at: 2, at + 1: 1, at + 2: 0} {
		c := silentClient(b)
		missed, err := b.broadcaster.router.apply(c, request{Type: typeSubscribe, DeviceIDs: &[]string{"d", "unknown"}, Since: &since})
		require.NoError(t, err)
		require.False(t, missed)
		readings := 0
		for more := true; more; {
			var one batch
			one, more = gathered(c)
			readings += one.readings
		}
		require.Equal(t, want, readings)
	}
}

func TestMessagesOfTheDashboardAreCountedByTheirFate(t *testing.T) {
	b := newBenchWith(t, Limits{}, quickPublisher())
	d := b.dashboard()
	for i := range 3 {
		require.Equal(t, "pong", d.ask(wants{Type: "ping", ID: fmt.Sprint(i)}).Type)
	}
	require.Equal(t, "error", d.ask(wants{Type: "odd", ID: "x"}).Type)
	n := &b.broadcaster.counts
	require.Eventually(t, func() bool { return n.accepted.Load() == 3 && n.rejected.Load() == 1 }, waitTimeout, time.Millisecond)
}

// TestSubscribingAgainAndAgainTakesNoMemory: a client that subscribes to everything 240 times, with 2,000 open alarms, and
// reads nothing holds each alarm once at most, and is closed.
func TestSubscribingAgainAndAgainTakesNoMemory(t *testing.T) {
	const alarms, rounds, most = 2000, 240, 16 << 20
	b := newBench(t, Limits{WriteStallTimeout: 2 * time.Second, CloseTimeout: waitTimeout, RatePerSecond: 10_000, RateBurst: 10_000})
	for i := range alarms {
		b.raise(fmt.Sprint("a", i), "d1", telemetry.AlertActive, int64(i))
	}
	p := b.dial()
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Clients == 1 }, waitTimeout, time.Millisecond)
	c := b.broadcaster.snapshot()[0]
	holds := func() (entries, bytes int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, q := range c.alerts {
			bytes += len(q.alert.Raw)
		}
		return cap(c.alerts), bytes
	}
	for range rounds {
		p.send(`{"type":"subscribe_all"}`)
		p.send(`{"type":"unsubscribe"}`)
		entries, bytes := holds()
		require.LessOrEqual(t, entries, 4*alarms)
		require.Less(t, bytes, most)
	}
	p.send(`{"type":"subscribe_all"}`)
	ts := int64(alarms)
	require.Eventually(t, func() bool { // what the kernel holds is used up at some time
		for range 20 {
			ts++
			b.raise(fmt.Sprint("b", ts), "d1", telemetry.AlertActive, ts)
		}
		_, bytes := holds()
		require.Less(t, bytes, most)
		return b.broadcaster.Stats().ClosedSlow == 1
	}, waitTimeout, 20*time.Millisecond)
	p.expectClose(CloseSlow)
}
