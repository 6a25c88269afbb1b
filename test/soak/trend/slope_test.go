package trend_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/soak/trend"
)

const mb = 1 << 20

// course is fifteen minutes of a value, every two seconds.
func course(value func(at time.Duration) float64) []trend.Point {
	var out []trend.Point
	for at := time.Duration(0); at <= 15*time.Minute; at += 2 * time.Second {
		out = append(out, trend.Point{At: at, Value: value(at)})
	}
	return out
}

// sawtooth is memory that fills with garbage until the next collection.
func sawtooth(at, period time.Duration, height float64) float64 {
	return height * float64(at%period) / float64(period)
}

func TestGrowth(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	leak := func(at time.Duration) float64 { return 200*mb + at.Minutes()*mb } // 60 MB an hour
	step := func(when time.Duration) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			if at < when {
				return 200 * mb
			}
			return 300 * mb
		}
	}
	for _, tc := range []struct {
		name     string
		points   []trend.Point
		from, to float64 // MB an hour
	}{
		{"flat", course(func(time.Duration) float64 { return 200 * mb }), 0, 0},
		{"flat, garbage collected every 20 s", course(func(at time.Duration) float64 { return 100*mb + sawtooth(at, 20*time.Second, 100*mb) }), -15, 15},
		{"flat, garbage collected every 47 s", course(func(at time.Duration) float64 { return 100*mb + sawtooth(at, 47*time.Second, 100*mb) }), -15, 15},
		{"flat with noise", course(func(time.Duration) float64 { return 200*mb + noise.Float64()*20*mb }), -15, 15},
		{"leak of 1 MB a minute", course(leak), 59.9, 60.1},
		{"leak under a sawtooth", course(func(at time.Duration) float64 { return leak(at) + sawtooth(at, 20*time.Second, 100*mb) }), 45, 75},
		{"leak with noise", course(func(at time.Duration) float64 { return leak(at) + noise.Float64()*20*mb }), 45, 75},
		{"leak in steps of 1 MB", course(func(at time.Duration) float64 { return leak(at.Truncate(time.Minute)) }), 45, 75},
		{"step early", course(step(2 * time.Minute)), 0, 0},
		{"step in the middle", course(step(450 * time.Second)), 0, 0},
		{"step late", course(step(13 * time.Minute)), 0, 0},
		{"fills, then stays", course(func(at time.Duration) float64 { return leak(min(at, 6*time.Minute)) }), 0, 0},
		{"falls", course(func(at time.Duration) float64 { return 400*mb - at.Minutes()*mb }), -61, -59},
		{"garbage piles up, then it is collected", course(func(at time.Duration) float64 {
			if at > 14*time.Minute {
				return 200 * mb
			}
			return leak(at)
		}), 0, 0},
		{"starts again", course(func(at time.Duration) float64 { return leak(at % (5 * time.Minute)) }), -math.MaxFloat64, 0},
		{"one point", []trend.Point{{Value: 5}}, 0, 0},
		{"no points", nil, 0, 0},
		{"points at one time", make([]trend.Point, 100), 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _ := trend.Growth(tc.points)
			require.GreaterOrEqual(t, got/mb, tc.from)
			require.LessOrEqual(t, got/mb, tc.to)
		})
	}
}

func TestRise(t *testing.T) {
	_, rise := trend.Growth(course(func(at time.Duration) float64 { return at.Minutes() }))
	require.InDelta(t, 10, rise, 1e-9, "from minute 0 to minute 10, where the last third starts")
}
