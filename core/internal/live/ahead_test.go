package live

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/wire"
)

// ahead sends a pack of one reading and returns its frame entry.
func (f *aheadFeed) ahead(device string, received, ts int64, more string) (wire.FrameEntry, bool) {
	f.t.Helper()
	var b wire.PackBuilder
	b.Reset(1, 1)
	b.Add(wire.PackEntry{Device: device, Received: received, Payload: fmt.Appendf(nil,
		`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{}%s}`, device, ts, more)})
	f.a.show("gw-a", bytes.Clone(b.Finish()), f.now)
	g := f.a.p.gateways["gw-a"]
	var data []byte
	switch {
	case g != nil && g.frame != nil:
		data, g.frame, g.listed = bytes.Clone(g.frame.builder.Finish()), nil, false
		f.a.p.waiting = f.a.p.waiting[:0]
	case len(f.a.p.frames) > 0:
		data = bytes.Clone((<-f.a.p.frames).builder.Finish())
	default:
		return wire.FrameEntry{}, false
	}
	frame, err := wire.OpenFrame(data)
	require.NoError(f.t, err)
	e, ok := frame.Next()
	require.True(f.t, ok)
	return e, true
}

type aheadFeed struct {
	t   *testing.T
	a   *Ahead
	now int64
}

func newAheadFeed(t *testing.T) *aheadFeed {
	t.Helper()
	none := func() *sensors.Catalogue { return nil }
	return &aheadFeed{t: t, a: NewAhead(newPublisher(t), prometheus.NewRegistry(), intake.Limits{}, none), now: 1_700_000_000_000}
}

// TestReadingsSentAheadAreOnPlantTime: a device with a wrong clock is live on the screen
// while its gateway catches up, and its old readings are not shown as new ones.
func TestReadingsSentAheadAreOnPlantTime(t *testing.T) {
	const hour = 3_600_000
	f := newAheadFeed(t)
	send := func(device string, ts int64) wire.FrameEntry {
		e, ok := f.ahead(device, f.now-20, ts, "")
		require.True(t, ok)
		require.Equal(t, f.now-20, e.Received)
		return e
	}
	require.Equal(t, f.now-20, send("fast", f.now+8*hour).Timestamp)
	require.True(t, send("slow", f.now-5*hour).Backfill)
	require.Equal(t, f.now-30, send("right", f.now-30).Timestamp)
	f.now += 5000
	e := send("slow", f.now-5*hour)
	require.False(t, e.Backfill)
	require.InDelta(t, f.now, e.Timestamp, 100)
	require.InDelta(t, -5*hour, e.ClockOffset, 100)
	e = send("right", f.now-hour)
	require.True(t, e.Backfill)
	require.Equal(t, f.now-hour, e.Timestamp)
	require.Zero(t, send("right", f.now-30).ClockOffset)
	_, shown := f.ahead("right", f.now, f.now, `,"presence":"offline"`)
	require.False(t, shown)
}

func TestClocksAreBounded(t *testing.T) {
	var c clocks
	first := c.get("d0", 1)
	require.Same(t, first, c.get("d0", clocksIdle+1))
	require.NotSame(t, first, c.get("d0", 2*clocksIdle+2), "the outage is over")
	for i := range maxClocks {
		c.get(fmt.Sprint("d", i), 2*clocksIdle+2)
	}
	require.Len(t, c.devices, maxClocks)
	last := c.get("d7", 2*clocksIdle+2)
	require.Same(t, last, c.get("d7", 2*clocksIdle+2))
	c.get("new", 2*clocksIdle+2)
	require.Len(t, c.devices, 1)
}
