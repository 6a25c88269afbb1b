package fanout

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// unconnected is a broadcaster whose clients a test empties by hand.
func unconnected(tb testing.TB, limits Limits) *bench {
	tb.Helper()
	m := state.New(state.Options{})
	b, err := New(Options{Model: m, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Limits: limits})
	require.NoError(tb, err)
	return &bench{tb: tb, model: m, broadcaster: b}
}

// received is a message of the simple dialect with its extensions.
type received struct {
	message

	Seq         int64  `json:"seq"`
	ClockOffset int64  `json:"clock_offset_ms"`
	DeviceID    string `json:"device_id"`
}

// next returns the messages of one batch, and whether there are more.
func (c *client) next(tb testing.TB) (out []received, more bool) {
	tb.Helper()
	var b batch
	more, _ = c.gatherNews(&b)
	for buf := b.buf; len(buf) > 0; {
		end := frameEnd(buf, 1)
		head := map[byte]int{126: 4, 127: 10}[buf[1]]
		text := buf[max(head, 2):end]
		var m received
		require.NoError(tb, json.Unmarshal(text, &m))
		out = append(out, m)
		buf = buf[end:]
	}
	return out, more
}

// visitor is a client that reconnects: what it has got, and its position.
type visitor struct {
	*client

	newest map[string]string // by device
	seq    int64
}

func (v *visitor) see(m received) {
	if m.Type != "device_data" {
		return
	}
	var id struct {
		DeviceID string `json:"device_id"`
	}
	if json.Unmarshal(m.Payload, &id) == nil {
		v.newest[id.DeviceID] = string(m.Payload)
	}
	if m.Seq != 0 {
		v.seq = m.Seq
	}
}

// connect opens another connection and subscribes to everything.
func (v *visitor) connect(b *bench) (missed bool) {
	b.tb.Helper()
	v.client = silentClient(b)
	v.seqs = true
	req := request{Type: typeSubscribeAll}
	if v.seq != 0 {
		req.Since = &v.seq
	}
	missed, err := b.broadcaster.router.apply(v.client, req)
	require.NoError(b.tb, err)
	return missed
}

// read takes a batch and sees at most so many messages of it. It reports whether there are more.
func (v *visitor) read(tb testing.TB, most int) (more bool) {
	tb.Helper()
	got, more := v.next(tb)
	for _, m := range got[:min(most, len(got))] {
		v.see(m)
	}
	return more
}

// clocks makes readings of devices whose clocks are anything.
type clocks struct {
	r *rand.Rand
	n int
}

// next returns a reading: mostly in order, at times of a clock that was put forward or back.
func (k *clocks) next(devices int) wire.FrameEntry {
	k.n++
	now := time.Now().UnixMilli()
	e := wire.FrameEntry{Device: fmt.Sprint("d", k.r.IntN(devices)), Timestamp: now + k.r.Int64N(2000) - 1000, Received: now + int64(k.n)}
	switch k.r.IntN(10) {
	case 0:
		e.Timestamp -= k.r.Int64N(10 * 3_600_000)
	case 1:
		e.Timestamp += k.r.Int64N(10 * 3_600_000)
	case 2:
		e.Backfill = true
	}
	if k.r.IntN(3) == 0 {
		e.ClockOffset = []int64{-now, -8 * 3_600_000, 8 * 3_600_000}[k.r.IntN(3)]
	}
	e.Payload = reading(e.Device, max(e.Timestamp+e.ClockOffset, 0), 4000+k.r.IntN(8000))
	return e
}

// TestAfterAReconnectEveryDeviceIsUpToDateWhateverItsClock lets a client read as slowly as it
// likes and lose its connection between any two messages. When it is back and has read
// everything it has the newest reading of each device, or got not_recoverable.
func TestAfterAReconnectEveryDeviceIsUpToDateWhateverItsClock(t *testing.T) {
	resumed := 0
	for seed := range uint64(60) {
		k := &clocks{r: rand.New(rand.NewPCG(seed, 1))}
		b := unconnected(t, Limits{})
		v := &visitor{newest: map[string]string{}}
		push := func() {
			for range k.r.IntN(4) {
				var entries []wire.FrameEntry
				for range k.r.IntN(8) + 1 {
					entries = append(entries, k.next(20))
				}
				b.apply(entries...)
				if k.r.IntN(3) > 0 {
					b.broadcaster.router.distribute()
				}
			}
		}
		for range 1 + k.r.IntN(4) {
			require.False(t, v.connect(b), "everything of the last minute is held")
			for range k.r.IntN(6) {
				push()
				v.read(t, 1<<30)
			}
			push()
			v.read(t, k.r.IntN(10)) // the connection is lost in the middle of a batch
			if v.seq != 0 {
				resumed++
			}
			push()
		}
		require.False(t, v.connect(b))
		b.broadcaster.router.distribute()
		for v.read(t, 1<<30) {
		}
		for _, d := range b.model.Devices() {
			require.Equal(t, string(d.Payload()), v.newest[d.ID], "seed %d: %s", seed, d.ID)
		}
	}
	require.Greater(t, resumed, 40)
}

func TestPositionWaitsForTheReadingsOfANewSubscription(t *testing.T) {
	b := unconnected(t, Limits{})
	c := silentClient(b)
	c.seqs = true
	c.ask(t, typeSubscribe, "d1")
	seqs := func() (out []bool) {
		b.broadcaster.router.distribute()
		for more := true; more; {
			var got []received
			got, more = c.next(t)
			for _, m := range got {
				out = append(out, m.Seq != 0)
			}
		}
		return out
	}
	b.apply(entry("d1", 1000, 1), entry("d2", 1000, 1), entry("d3", 1000, 1))
	require.Equal(t, []bool{true}, seqs())
	c.ask(t, typeSubscribe, "d2", "d3")
	b.apply(entry("d1", 2000, 1))
	require.Equal(t, []bool{false, false, true}, seqs())
	b.apply(entry("d1", 3000, 1), entry("d2", 3000, 1))
	require.Equal(t, []bool{true, true}, seqs())
}

func TestPositionsArriveOnlyWhenAskedForAndGrow(t *testing.T) {
	b := newBench(t, Limits{})
	read := func(p *peer) (m received) {
		require.NoError(t, p.ws.SetReadDeadline(time.Now().Add(waitTimeout)))
		require.NoError(t, p.ws.ReadJSON(&m))
		return m
	}
	plain, p := b.dial(), b.dial()
	plain.send(`{"type":"subscribe_all"}`)
	plain.synced()
	p.send(`{"type":"subscribe_all","seq":true}`)
	p.synced()
	last, grew := int64(0), 0
	for ts := int64(0); grew < 20; ts++ {
		require.Less(t, ts, int64(1000), "it grows")
		e := entry("d1", 1000+ts, 1)
		e.ClockOffset = -ts
		b.push(e)
		m := read(p)
		require.Equal(t, -ts, m.ClockOffset)
		// A message that is sent before its reading counts as distributed has the position before it.
		require.GreaterOrEqual(t, m.Seq, last)
		require.Less(t, m.Seq, int64(1)<<53, "exact in JavaScript")
		if m.Seq > last {
			require.Greater(t, m.Seq, int64(leastPosition))
			last = m.Seq
			grew++
		}
		m = read(plain)
		require.Zero(t, m.Seq)
		require.Zero(t, m.ClockOffset)
	}
}

func TestPositionOfAnotherRunIsNotRecoverable(t *testing.T) {
	for range 20 { // bases are random
		old, b := unconnected(t, Limits{}), unconnected(t, Limits{})
		for _, x := range []*bench{old, b} {
			x.apply(entry("d1", 1000, 1), entry("d2", 1000, 1))
			x.broadcaster.router.distribute()
		}
		v := &visitor{newest: map[string]string{}, seq: int64(old.broadcaster.router.base + 1)}
		require.True(t, v.connect(b))
		got, _ := v.next(t)
		require.Len(t, got, 2, "the newest of each")
	}
}

// TestTimeIsNoPositionWhereClocksAreWrong: `since` as a time goes by plant time; it says nothing
// about a device whose clock is wrong, or when it is itself of one that is fast.
func TestTimeIsNoPositionWhereClocksAreWrong(t *testing.T) {
	b := unconnected(t, Limits{})
	at := time.Now().UnixMilli() + 1000
	slow := entry("slow", at+10, 1)
	slow.ClockOffset = -3_600_000
	b.apply(entry("right", at, 1), entry("right", at+10, 1), slow)
	ask := func(device string, since int64) (readings int, missed bool) {
		c := silentClient(b)
		missed, err := b.broadcaster.router.apply(c, request{Type: typeSubscribe, DeviceIDs: &[]string{device}, Since: &since})
		require.NoError(t, err)
		got, _ := c.next(t)
		return len(got), missed
	}
	for _, c := range []struct {
		device   string
		since    int64
		readings int
		missed   bool
	}{
		{"right", at - 1, 2, false},
		{"right", at, 1, false},
		{"right", at + 10, 0, false},
		{"slow", at + 10, 1, true},
		{"right", at + 8*3_600_000, 1, true},
	} {
		readings, missed := ask(c.device, c.since)
		require.Equal(t, c.readings, readings, "%+v", c)
		require.Equal(t, c.missed, missed, "%+v", c)
	}
}

func TestClientIsNotifiedOfARemovedDevice(t *testing.T) {
	b := newBench(t, Limits{})
	b.push(entry("d1", 1000, 1), entry("d2", 1000, 1), entry("d3", 1000, 1))
	all, one, other, plain := b.dial(), b.dial(), b.dial(), b.dial()
	subscribe := map[*peer]string{
		all: `{"type":"subscribe_all","seq":true}`, one: `{"type":"subscribe","device_ids":["d1"],"seq":true}`,
		other: `{"type":"subscribe","device_ids":["d2"],"seq":true}`, plain: `{"type":"subscribe","device_ids":["d1"]}`,
	}
	for p, text := range subscribe {
		p.send(text)
		for range map[*peer]int{all: 3, one: 1, other: 1, plain: 1}[p] {
			require.Equal(t, "device_data", p.read().Type)
		}
		p.quiet()
	}
	b.model.Remove("d1", 0)
	for _, p := range []*peer{all, one} {
		var m received
		require.NoError(t, p.ws.ReadJSON(&m))
		require.Equal(t, typeRemoved, m.Type)
		require.Equal(t, "d1", m.DeviceID)
	}
	b.push(entry("d4", 2000, 1)) // has the index of d1 now, or later
	b.push(entry("d1", 3000, 1)) // is back, as a new one
	all.expectDevice("d4", 2000)
	for _, p := range []*peer{all, one, plain} {
		p.expectDevice("d1", 3000)
		p.quiet()
	}
	other.quiet()
}

// TestIndexOfARemovedDeviceIsFreeOnlyWhenNoQueueHasIt: a client must never get the reading of
// another device.
func TestIndexOfARemovedDeviceIsFreeOnlyWhenNoQueueHasIt(t *testing.T) {
	b := unconnected(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribe, "old")
	b.apply(entry("old", 1000, 1))
	b.model.Remove("old", 0)
	b.apply(entry("new", 1000, 1))
	require.Len(t, b.model.Devices(), 2, "the index is still in the inbox")
	b.broadcaster.router.distribute()
	b.apply(entry("next", 1000, 1))
	require.Len(t, b.model.Devices(), 2, "it is free")
	b.broadcaster.router.distribute()
	got, _ := c.next(t)
	require.Empty(t, got, "the queue had the index of old")
	b.apply(entry("old", 2000, 1))
	b.broadcaster.router.distribute()
	b.model.Remove("next", 0) // while the reading of old waits
	b.broadcaster.router.distribute()
	got, _ = c.next(t)
	require.Len(t, got, 1)

	c.ask(t, typeSubscribe, "new")
	b.model.Remove("new", 0) // before the router knows, its snapshot is in the queue
	got, _ = c.next(t)
	require.Empty(t, got)
}
