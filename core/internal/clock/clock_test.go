package clock_test

import (
	"math/rand/v2"
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

// seen is one reading of a sequence: when it was received, in ms after the sequence began,
// and its offset.
type seen struct{ after, offset int64 }

// TestBounds has sequences of a device whose clock was right until 10 s before (back), or
// ten hours before (off: they may be what it kept), or is known to be off.
func TestBounds(t *testing.T) {
	const h = hour
	tests := []struct {
		name  string
		known int64 // offset
		pause int64
		seq   []seen
		want  string // old or live, each
		end   int64
	}{
		{"back for 3 s", 0, 10 * second, []seen{{0, -h}, {3000, -h}}, "ol", -h},
		{"back for less", 0, 10 * second, []seen{{0, -h}, {2999, -h}}, "oo", 0},
		{"back with as much jitter as is allowed", 0, 10 * second, []seen{{0, -h}, {3000, -h + 1150}}, "ol", -h + 1150},
		{"back with more: a new start", 0, 10 * second, []seen{{0, -h}, {3000, -h + 1151}, {6000, -h + 1151}}, "ool", -h + 1151},
		{"back with the longest delay", 0, 10 * second, []seen{{0, -h}, {20_000, -h - 10_000}}, "ol", -h},
		{"back and delayed for longer", 0, 10 * second, []seen{{0, -h}, {40_000, -h - 10_001}}, "oo", 0},
		{"a delayed one in between", 0, 10 * second, []seen{{0, -h}, {2000, -h - 10_000}, {4000, -h}}, "ool", -h},
		{"hardly newer each time", 0, 10 * second, []seen{{0, -h}, {10_000, -h - 6000}}, "oo", 0},
		{"another clock in the next arrival", 0, 10 * second, []seen{{0, -h}, {1001, -5 * h}, {4001, -5 * h}}, "ool", -5 * h},
		{"another clock in the same arrival", 0, 10 * second, []seen{{0, -h}, {1000, -5 * h}, {4000, -5 * h}, {7000, -5 * h}}, "oool", -5 * h},
		{"an older one together with it", 0, 10 * second, []seen{{0, -5 * h}, {0, -6 * h}, {3000, -5 * h}}, "ool", -5 * h},
		{"an older one before it", 0, 10 * second, []seen{{0, -6 * h}, {0, -5 * h}, {3000, -5 * h}}, "ool", -5 * h},
		{"the gateway's clock goes back", 0, 10 * second, []seen{{0, -5 * h}, {-100, -5 * h}, {2899, -5 * h}, {2900, -5 * h}}, "oool", -5 * h},
		{"still for 10 s", 0, 10 * second, []seen{{0, -h}, {5000, -h - 5000}, {10_000, -h - 10_000}}, "ool", -h - 10_000},
		{"still for less", 0, 10 * second, []seen{{0, -h}, {5000, -h - 5000}, {9999, -h - 9999}}, "ooo", 0},
		{"still in two arrivals", 0, 10 * second, []seen{{0, -h}, {15_000, -h - 15_000}, {16_000, -h - 16_000}}, "ool", -h - 16_000},
		{"off for 30 s", 0, 10 * h, []seen{{0, -5 * h}, {10_000, -5 * h}, {20_000, -5 * h}, {30_000, -5 * h}}, "oool", -5 * h},
		{"off for less", 0, 10 * h, []seen{{0, -5 * h}, {10_000, -5 * h}, {20_000, -5 * h}, {29_999, -5 * h}}, "oooo", 0},
		{"off in three arrivals", 0, 10 * h, []seen{{0, -5 * h}, {15_000, -5 * h}, {30_000, -5 * h}, {45_000, -5 * h}}, "oool", -5 * h},
		{"off in close arrivals", 0, 10 * h, []seen{{0, -5 * h}, {1000, -5 * h}, {2000, -5 * h}, {30_000, -5 * h}}, "oool", -5 * h},
		{"off in a burst", 0, 10 * h, []seen{{0, -5 * h}, {10_000, -5 * h}, {10_100, -5 * h}, {10_200, -5 * h}, {30_000, -5 * h}}, "ooooo", 0},
		{"off with as much jitter as is allowed", 0, 10 * h, []seen{{0, -5 * h}, {10_000, -5 * h}, {20_000, -5 * h}, {30_000, -5*h + 1300}}, "oool", -5*h + 1300},
		{"off with more", 0, 10 * h, []seen{{0, -5 * h}, {10_000, -5 * h}, {20_000, -5 * h}, {30_000, -5*h + 1301}}, "oooo", 0},
		{"right with the longest delay", 0, 10 * second, []seen{{0, -10_000}}, "l", 0},
		{"delayed for longer", 0, 10 * second, []seen{{0, -10_001}}, "o", 0},
		{"ahead at most", 0, 10 * second, []seen{{0, 5000}}, "l", 0},
		{"ahead of that", 0, 10 * second, []seen{{0, 5001}}, "l", 5001},
		{"put right, late", 8 * h, 10 * second, []seen{{0, -5000}}, "l", 0},
		{"put right, later", 8 * h, 10 * second, []seen{{0, -5001}}, "o", 8 * h},
		{"put right, ahead", 8 * h, 10 * second, []seen{{0, 2500}}, "l", 0},
		{"put right, further ahead", 8 * h, 10 * second, []seen{{0, 2501}}, "o", 8 * h},
		{"put right after a while", 8 * h, 500, []seen{{0, 0}}, "l", 0},
		{"put right, or one of a burst", 8 * h, 499, []seen{{0, 0}}, "o", 8 * h},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := clock.Restore(tt.known)
			c.Place(t0+tt.known, t0)
			got := ""
			for _, s := range tt.seq {
				received := t0 + tt.pause + s.after
				kind := "l"
				if c.Place(received+s.offset, received).Old {
					kind = "o"
				}
				got += kind
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.end, c.Offset())
		})
	}
}

func TestTimestampSentTwiceChangesNoRightClock(t *testing.T) {
	var c clock.Clock
	c.Place(t0, t0)
	require.Equal(t, clock.Placed{At: t0}, c.Place(t0, t0+8*second))
}

func TestFirstDelayAfterARestartChangesNoOffset(t *testing.T) {
	c := clock.Restore(-5 * hour)
	require.Equal(t, -5*hour, c.Place(t0-5*hour-9*second, t0).Offset)
}

func TestTimeOfAClockNeverSetIsThatReceived(t *testing.T) {
	const year2001 = 978_307_200_000
	for ts, at := range map[int64]int64{5: t0, year2001 - 1: t0, year2001: year2001 - 8*hour} {
		c := clock.Restore(8 * hour)
		c.Place(t0-minute+8*hour, t0-minute)
		require.Equal(t, clock.Placed{At: at, Offset: 8 * hour, Old: true}, c.Place(ts, t0))
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

// TestSameReadingsGiveTheSameTimes: a replay gets the same times, from any point on too,
// once a stored offset is confirmed.
func TestSameReadingsGiveTheSameTimes(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var a, b clock.Clock
		for range 500 {
			received := t0 + rnd.Int64N(hour)
			ts := received - rnd.Int64N(2*hour) + rnd.Int64N(2*hour)
			require.Equal(t, a.Place(ts, received), b.Place(ts, received))
			require.Equal(t, a, b)
		}
	}
}

// TestConfirmedClockStaysLive: whatever the offset and the jitter of the delays, no reading
// is taken for an old one once the clock is known, and plant time never goes back and is
// never wrong by more than the jitter.
func TestConfirmedClockStaysLive(t *testing.T) {
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		off := rnd.Int64N(20*day) - 10*day
		if rnd.IntN(4) == 0 {
			off = rnd.Int64N(2*minute) - minute
		}
		every := []int64{200, second, 5 * second, minute, 10 * minute}[rnd.IntN(5)]
		jitter := 1 + rnd.Int64N(8*second)
		var c clock.Clock
		known, newest, received := 0, int64(0), int64(0)
		regimes, offset := 0, int64(0)
		for i := range int64(400) {
			taken := t0 + i*every
			received = max(received, taken+rnd.Int64N(jitter))
			p := c.Place(taken+off, received)
			if p.Old && known == 0 {
				continue
			}
			require.Equal(t, known == 0 && i > 0, p.Found, "seed %d, reading %d", seed, i)
			known++
			require.False(t, p.Old, "seed %d, reading %d", seed, i)
			if known == 1 || (p.Offset == 0) != (offset == 0) {
				regimes++
				newest = p.At
			}
			offset = p.Offset
			require.GreaterOrEqual(t, p.At, newest, "seed %d, reading %d: offset %d of %d", seed, i, p.Offset, off)
			newest = p.At
			if p.Offset != 0 {
				require.LessOrEqual(t, p.At, received, "seed %d", seed)
				require.GreaterOrEqual(t, p.At, taken-1, "seed %d", seed)
			}
			if off >= -clock.Late/2 && off <= clock.Ahead/2 {
				require.Equal(t, taken+off, p.At, "seed %d", seed)
			}
		}
		require.Greater(t, known, 300, "seed %d", seed)
		require.LessOrEqual(t, regimes, 2, "seed %d: at the edge of the tolerance the first delay may hide the offset", seed)
	}
}

// TestBacklogNeverBecomesAnOffset: a device with a right clock, or one that is known to be
// wrong, sends old readings in bursts, in any order, between live ones.
func TestBacklogNeverBecomesAnOffset(t *testing.T) {
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		off := []int64{0, -3 * hour, 8 * hour}[rnd.IntN(3)]
		every := []int64{second, 5 * second, minute}[rnd.IntN(3)]
		c := clock.Restore(off)
		received := t0
		send := func(taken int64, old bool) {
			p := c.Place(taken+off, received)
			require.False(t, p.Found, "seed %d", seed)
			require.Equal(t, old, p.Old, "seed %d at %s: taken %s before", seed, since(received), time.Duration(received-taken)*time.Millisecond)
			require.InDelta(t, off, p.Offset, float64(2*second), "seed %d", seed)
			require.InDelta(t, taken, p.At, float64(2*second), "seed %d", seed)
		}
		for range 15 {
			for range 1 + rnd.IntN(5) {
				received += every
				send(received-20, false)
			}
			gap := rnd.Int64N(2 * hour)
			from := received + every
			received += gap + every
			for taken := from; taken < received-12*second; taken += every * (1 + rnd.Int64N(3)) {
				received += rnd.Int64N(20) // a hundred a second
				send(taken, true)
			}
			for range rnd.IntN(20) { // from a memory card
				received += rnd.Int64N(50)
				send(received-minute-rnd.Int64N(5*day), true)
			}
		}
	}
}

func BenchmarkPlace(b *testing.B) {
	var c clock.Clock
	b.ReportAllocs()
	now := t0
	for b.Loop() {
		now += 5000
		c.Place(now-hour, now)
	}
}
