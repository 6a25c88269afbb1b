package clock_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/clock"
)

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
