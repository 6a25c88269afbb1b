package clock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	t0 = int64(1_700_000_000_000)

	second = int64(1_000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	// dead is where a clock without a battery starts: 2000-01-01.
	dead = int64(946_684_800_000)
)

// sent is one reading: when it was taken and received by a right clock, and the timestamp
// that its device gave it.
type sent struct{ taken, received, ts int64 }

// device sends readings and keeps what became of them.
type device struct {
	t     *testing.T
	clock clock.Clock
	got   []result
}

func (d *device) reset() { *d = device{t: d.t} }

type result struct {
	sent
	clock.Placed
}

func (d *device) send(s sent) result {
	r := result{s, d.clock.Place(s.ts, s.received)}
	d.got = append(d.got, r)
	return r
}

// run sends readings from one time to another, every interval, with a clock that is off and
// a delay of up to 300 ms.
func (d *device) run(from, to, every, off int64) {
	for t := from; t < to; t += every {
		d.send(sent{taken: t, received: t + 20 + t*7919%280, ts: t + off})
	}
}

// burst sends the readings of a time that is over, a few ms apart from at on.
func (d *device) burst(at, from, to, every, off int64) {
	for t := from; t < to; t += every {
		d.send(sent{taken: t, received: at, ts: t + off})
		at += 5
	}
}

// firstLive returns how long after from the first live reading was received; -1: none.
func (d *device) firstLive(from int64) int64 {
	for _, r := range d.got {
		if r.taken >= from && !r.Old {
			return r.received - from
		}
	}
	return -1
}

// check requires every reading taken from a time on to be live or old, with an offset and a
// plant time that are right to the ms given.
func (d *device) check(from int64, old bool, offset, exact int64) {
	d.t.Helper()
	n := 0
	for _, r := range d.got {
		if r.taken < from {
			continue
		}
		n++
		require.Equal(d.t, old, r.Old, "after %s", since(r.taken))
		require.InDelta(d.t, offset, r.Offset, float64(exact), "after %s", since(r.taken))
		require.InDelta(d.t, r.taken, r.At, float64(exact), "after %s", since(r.taken))
	}
	require.NotZero(d.t, n)
}

func since(ms int64) time.Duration { return time.Duration(ms-t0) * time.Millisecond }

// clocks is the table of cases in docs/api.md.
var clocks = []struct {
	name string
	play func(*device)
}{
	{"a right clock", func(d *device) {
		d.run(t0, t0+hour, 5*second, 0)
		d.check(t0, false, 0, 0)
	}},
	{"3 s ahead is right", func(d *device) {
		d.run(t0, t0+minute, second, 3*second)
		require.Equal(d.t, t0+3*second, d.got[0].At, "as the device says")
		require.Zero(d.t, d.got[59].Offset)
		require.EqualValues(d.t, 0, d.firstLive(t0)/second)
	}},
	{"9 s late is right", func(d *device) {
		for i := range int64(20) {
			d.send(sent{t0 + i*second, t0 + i*second + 9*second, t0 + i*second})
		}
		d.check(t0, false, 0, 0)
	}},
	{"UTC for local time: 8 h ahead from the first reading on", func(d *device) {
		d.run(t0, t0+hour, 5*second, 8*hour)
		d.check(t0, false, 8*hour, 300)
	}},
	{"8 h behind, live by the second reading", func(d *device) {
		d.run(t0, t0+hour, 5*second, -8*hour)
		d.check(t0+5*second, false, -8*hour, 600)
		require.True(d.t, d.got[0].Old)
	}},
	{"5 h behind every second, live after 3 s", func(d *device) {
		d.run(t0, t0+minute, second, -5*hour)
		require.LessOrEqual(d.t, d.firstLive(t0), 5*second)
		d.check(t0+4*second, false, -5*hour, 600)
	}},
	{"5 h behind every ten minutes, live by the second reading", func(d *device) {
		d.run(t0, t0+hour, 10*minute, -5*hour)
		require.True(d.t, d.got[0].Old)
		d.check(t0+10*minute, false, -5*hour, 2000)
	}},
	{"starts in 1970", func(d *device) {
		d.run(t0, t0+minute, 5*second, -t0)
		require.Equal(d.t, d.got[0].received, d.got[0].At, "when it was taken is unknown")
		d.check(t0+5*second, false, -t0, 600)
	}},
	{"goes back to 2000 while live", func(d *device) {
		for _, every := range []int64{second, 2 * second, 5 * second} {
			d.reset()
			d.run(t0, t0+hour, every, 0)
			d.run(t0+hour, t0+2*hour, every, dead-t0-hour)
			require.Less(d.t, d.firstLive(t0+hour), 6*second, every)
			d.check(t0+hour+6*second, false, dead-t0-hour, 600)
		}
	}},
	{"goes back to 2000, every ten minutes", func(d *device) {
		d.run(t0, t0+hour, 10*minute, 0)
		d.run(t0+hour, t0+3*hour, 10*minute, dead-t0-hour)
		d.check(t0+hour+10*minute, false, dead-t0-hour, 2000)
	}},
	{"the hour at the end of daylight saving", func(d *device) {
		d.run(t0, t0+hour, 5*second, hour)
		d.run(t0+hour, t0+2*hour, 5*second, 0)
		d.check(t0+hour, false, 0, 0)
		d.run(t0+2*hour, t0+3*hour, 5*second, -hour)
		require.Less(d.t, d.firstLive(t0+2*hour), 6*second)
		d.check(t0+2*hour+6*second, false, -hour, 600)
	}},
	{"the same in a clock that is hours ahead", func(d *device) {
		d.run(t0, t0+hour, second, 9*hour)
		d.run(t0+hour, t0+2*hour, second, 8*hour)
		require.Less(d.t, d.firstLive(t0+hour), 6*second)
		d.check(t0+hour+6*second, false, 8*hour, 600)
	}},
	{"put right: at once, whatever it was", func(d *device) {
		for _, off := range []int64{-t0, dead - t0, -5 * hour, -minute, minute, 8 * hour} {
			d.reset()
			d.run(t0, t0+minute, 5*second, off)
			d.run(t0+minute, t0+2*minute, 5*second, 0)
			d.check(t0+minute, false, 0, 0)
		}
	}},
	{"put right in a device that sends ten times a second", func(d *device) {
		for i := range int64(200) {
			off := 8 * hour
			if i >= 100 {
				off = 0
			}
			d.send(sent{t0 + i*100, t0 + i*100 + 20, t0 + i*100 + off})
		}
		require.LessOrEqual(d.t, d.firstLive(t0+10*second), 4*second)
		d.check(t0+14*second, false, 0, 0)
	}},
	{"one timestamp from the future", func(d *device) {
		d.run(t0, t0+minute, 5*second, 0)
		require.Equal(d.t, t0+minute+50, d.send(sent{t0 + minute, t0 + minute + 50, t0 + 8*hour}).At)
		d.run(t0+minute+5*second, t0+2*minute, 5*second, 0)
		d.check(t0+minute+5*second, false, 0, 0)
	}},
	{"a clock that stands still", func(d *device) {
		for i := range int64(100) {
			d.send(sent{t0 + i*5*second, t0 + i*5*second + 50, dead})
		}
		require.LessOrEqual(d.t, d.firstLive(t0), 11*second)
		for _, r := range d.got {
			require.InDelta(d.t, r.taken, r.At, 50, "no two are taken for one")
		}
	}},
	{"was off for hours with its clock stopped", func(d *device) {
		d.run(t0, t0+minute, 5*second, 0)
		d.run(t0+5*hour, t0+6*hour, 5*second, -5*hour+minute)
		require.Less(d.t, d.firstLive(t0+5*hour), minute, "it might have sent what it had kept")
		d.check(t0+5*hour+minute, false, -5*hour+minute, 600)
	}},
	{"its own backlog after a pause", func(d *device) {
		d.run(t0, t0+minute, 5*second, 0)
		d.burst(t0+hour, t0+minute, t0+hour-10*second, 5*second, 0)
		d.check(t0+minute, true, 0, 0)
		d.run(t0+hour+3*second, t0+2*hour, 5*second, 0)
		d.check(t0+hour+3*second, false, 0, 0)
	}},
	{"a slow backlog: twice the pace", func(d *device) {
		for i := range int64(600) {
			d.send(sent{t0 + i*5*second, t0 + hour + i*2500, t0 + i*5*second})
		}
		d.check(t0, true, 0, 0)
	}},
	{"the backlog of a device that is unknown", func(d *device) {
		d.burst(t0+30*day, t0, t0+day, minute, 0)
		d.check(t0, true, 0, 0)
		d.run(t0+30*day+minute, t0+30*day+hour, 5*second, 0)
		d.check(t0+30*day+minute, false, 0, 0)
	}},
	{"the backlog of a clock that is 8 h ahead", func(d *device) {
		d.run(t0, t0+minute, 5*second, 8*hour)
		d.burst(t0+10*hour, t0+minute, t0+10*hour-12*second, 5*second, 8*hour)
		d.check(t0+minute, true, 8*hour, 300)
		d.run(t0+10*hour+3*second, t0+11*hour, 5*second, 8*hour)
		d.check(t0+10*hour+3*second, false, 8*hour, 300)
	}},
	{"live readings and old ones in turns", func(d *device) {
		for _, off := range []int64{0, 8 * hour, -8 * hour} {
			d.reset()
			d.run(t0, t0+minute, second, off)
			for i := range 10 * minute / second {
				now := t0 + minute + i*second
				live := d.send(sent{now, now + 20, now + off})
				old := d.send(sent{now - hour, now + 400, now - hour + off})
				require.False(d.t, live.Old, i)
				require.True(d.t, old.Old, i)
				require.InDelta(d.t, now-hour, old.At, 600, i)
				require.InDelta(d.t, off, live.Offset, 600, i)
				require.InDelta(d.t, off, old.Offset, 600, i)
			}
		}
	}},
	{"an old reading again and again", func(d *device) {
		d.run(t0, t0+minute, 5*second, 0)
		for i := range int64(4) {
			d.send(sent{t0 + minute, t0 + hour + i*3*second, t0 + minute})
		}
		d.check(t0+minute, true, 0, 0)
	}},
	{"one old reading just before the clock goes back", func(d *device) {
		d.run(t0, t0+minute, 5*second, 0)
		d.send(sent{t0, t0 + minute + 10, t0 - hour})
		d.run(t0+minute+second, t0+hour, 5*second, dead-t0)
		require.LessOrEqual(d.t, d.firstLive(t0+minute+second), 11*second)
		d.check(t0+minute+12*second, false, dead-t0, 600)
	}},
	{"a minute's readings at once", func(d *device) {
		for _, off := range []int64{0, -5 * hour} {
			d.reset()
			for m := range int64(10) {
				d.burst(t0+m*minute+59*second+100, t0+m*minute, t0+(m+1)*minute, second, off)
			}
			last := d.got[len(d.got)-1]
			require.False(d.t, last.Old, off)
			require.InDelta(d.t, off, last.Offset, 600)
			for _, r := range d.got[120:] {
				require.InDelta(d.t, r.taken, r.At, 1100)
				if late := r.received - r.taken; late < clock.Late || late > clock.Late+second {
					require.Equal(d.t, late > clock.Late, r.Old, "%d ms late", late)
				}
			}
		}
	}},
	{"gains a second an hour", func(d *device) { drift(d, 1.0/3600) }},
	{"loses a second an hour", func(d *device) { drift(d, -1.0/3600) }},
	{"two devices with one name", func(d *device) {
		for i := range int64(100) {
			now := t0 + i*5*second
			d.send(sent{now, now + 20, now})
			d.send(sent{now, now + 1020, now + second - hour})
		}
		for i, r := range d.got {
			require.Equal(d.t, i%2 == 1, r.Old, i)
			require.Zero(d.t, r.Offset)
		}
	}},
}

func TestClocks(t *testing.T) {
	for _, tt := range clocks {
		t.Run(tt.name, func(t *testing.T) { tt.play(&device{t: t}) })
	}
}

// drift runs a clock for ten days, from an hour off.
func drift(d *device, rate float64) {
	d.t.Helper()
	for _, start := range []int64{-hour, hour} {
		d.reset()
		for now := t0; now < t0+5*day; now += 5 * minute {
			d.send(sent{now, now + 20 + now*7919%280, now + start + int64(rate*float64(now-t0))})
		}
		last := int64(0)
		for _, r := range d.got[1:] {
			require.False(d.t, r.Old, since(r.taken))
			require.InDelta(d.t, r.taken, r.At, 1300, since(r.taken))
			require.Greater(d.t, r.At, last)
			last = r.At
		}
	}
}

func TestStoredOffsetIsUsedAtOnce(t *testing.T) {
	d := device{t: t, clock: clock.Restore(-5 * hour)}
	require.Equal(t, -5*hour, d.clock.Offset())
	d.run(t0, t0+minute, 5*second, -5*hour)
	d.check(t0, false, -5*hour, 300)
	d = device{t: t, clock: clock.Restore(-5 * hour)}
	d.run(t0, t0+minute, 5*second, 0)
	d.check(t0, false, 0, 0)
}

func TestFits(t *testing.T) {
	var c clock.Clock
	require.False(t, c.Fits(t0, t0), "nothing is known")
	c.Place(t0, t0)
	require.True(t, c.Fits(t0+hour, t0+hour+clock.Late))
	require.True(t, c.Fits(t0+hour+clock.Ahead, t0+hour))
	require.False(t, c.Fits(t0+hour, t0+hour+clock.Late+1))
	require.False(t, c.Fits(t0+hour+clock.Ahead+1, t0+hour))
	c = clock.Restore(8 * hour)
	require.True(t, c.Fits(t0+8*hour, t0))
	require.False(t, c.Fits(t0, t0))
}
