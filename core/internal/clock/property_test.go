package clock_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/clock"
)

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
