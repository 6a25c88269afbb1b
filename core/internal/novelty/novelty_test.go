package novelty

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// plantCourse is a made-up sensor: a daily rhythm, weekends half as strong, noise.
func plantCourse(rng *rand.Rand, at int64) float64 {
	day := float64(at%dayMS) / dayMS
	strength := 10.0
	if d := at / dayMS % 7; d == 2 || d == 3 { // 1970 began on a Thursday
		strength = 5
	}
	return 40 + strength*math.Sin(2*math.Pi*day) + rng.NormFloat64()/2
}

// play feeds a novelty with course, one value every interval ms, and returns the scores.
func play(n *Measure, set params, from, to, interval int64, course func(at int64) float64) []float64 {
	var out []float64
	for at := from; at < to; at += interval {
		out = append(out, n.step(&set, at, course(at)))
	}
	return out
}

const (
	minute = 60_000
	dayMS  = 86_400_000
	weekMS = 7 * dayMS
	monday = 4 * dayMS // 1970-01-05
)

// The scores until a moment are the same, whatever comes after it.
func TestKnowsOnlyThePast(t *testing.T) {
	course := func(fault bool) []float64 {
		rng := rand.New(rand.NewPCG(1, 1))
		return play(&Measure{}, defaults(), monday, monday+10*dayMS, 5*minute, func(at int64) float64 {
			v := plantCourse(rng, at)
			if fault && at > monday+9*dayMS {
				v = 900
			}
			return v
		})
	}
	same := 9*288 + 1
	require.Equal(t, course(false)[:same], course(true)[:same])
	require.Greater(t, course(true)[same], 0.9)
}

// Scores do not depend on a sensor's unit.
func TestHasNoScale(t *testing.T) {
	run := func(scale, offset float64) []float64 {
		rng := rand.New(rand.NewPCG(3, 1))
		return play(&Measure{}, defaults(), monday, monday+9*dayMS, 5*minute, func(at int64) float64 {
			v := plantCourse(rng, at)
			if at > monday+8*dayMS && at < monday+8*dayMS+40*minute {
				v += 15
			}
			return offset + scale*v
		})
	}
	small, large := run(1, 0), run(1024, -65536)
	for i := range small {
		require.InDelta(t, small[i], large[i], 1e-3, i)
	}
}

// Each part, alone, finds what it is for.
func TestParts(t *testing.T) {
	const fault = monday + 30*dayMS
	noise := func(rng *rand.Rand, _ int64) float64 { return 40 + rng.NormFloat64() }
	for name, c := range map[string]struct {
		part   part
		usual  func(rng *rand.Rand, at int64) float64
		form   func(usual float64) float64
		within int // values until it is told
	}{
		"a spike":                  {partValue, noise, func(u float64) float64 { return u + 8 }, 1},
		"a dip":                    {partValue, noise, func(u float64) float64 { return u - 8 }, 1},
		"a small shift that stays": {partLevel, noise, func(u float64) float64 { return u + 2 }, 20},
		"a calm":                   {partCalm, noise, func(u float64) float64 { return 40 + (u-40)/100 }, 60},
		"a value of another hour":  {partRhythm, plantCourse, func(float64) float64 { return 49 }, 1},
		"a jump":                   {partTrend, noise, func(u float64) float64 { return u + 12 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			rng, set := rand.New(rand.NewPCG(4, 1)), only(c.part)
			var n Measure
			alarms := 0
			for at := int64(monday); at < fault; at += 5 * minute {
				if n.step(&set, at, c.usual(rng, at)) >= 0.8 {
					alarms++
				}
			}
			require.Zero(t, alarms, "in 30 usual days")
			scores := play(&n, set, fault, fault+int64(c.within)*5*minute, 5*minute, func(at int64) float64 {
				return c.form(c.usual(rng, at))
			})
			require.GreaterOrEqual(t, slices.Max(scores), 0.5)
			require.Equal(t, c.part, n.farthest)
		})
	}
}

// only is the set with one part alone.
func only(keep part) params {
	set := defaults()
	for p := range set.Weight {
		if part(p) != keep {
			set.Weight[p] = 0
		}
	}
	return set
}

// More noise than ever is no calm.
func TestCalmIsOneSided(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	scores := play(&Measure{}, only(partCalm), monday, monday+12*dayMS, 5*minute, func(at int64) float64 {
		if at > monday+10*dayMS {
			return 10 * rng.NormFloat64()
		}
		return rng.NormFloat64()
	})
	require.Less(t, slices.Max(scores[10*288+1:]), 0.5)
}

// The first weekend is unlike all days before it, and no alarm; weekends have hours of their own.
func TestLearnsWeekends(t *testing.T) {
	alarms := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var n Measure
		for _, s := range play(&n, only(partRhythm), monday, monday+3*weekMS, 5*minute, func(at int64) float64 { return plantCourse(rng, at) }) {
			if s >= 0.5 {
				alarms++
			}
		}
		saturday := (2*24 + 6) % hours // 6 o'clock: days are counted from a Thursday
		require.InDelta(t, 45, n.origin+float64(n.week[saturday]), 1)
		require.InDelta(t, 50, n.origin+float64(n.week[saturday+48]), 1)
	}
	require.LessOrEqual(t, alarms, 15, "of ten streams in three weeks")
}

// Bins count whole seconds, and values of parts of a second are remembered, too.
func TestRemembersFastValues(t *testing.T) {
	var mean float32
	var seen uint16
	for i := range 1000 {
		remember(&mean, &seen, float64(i%2)*10, 0.2, 3000)
	}
	require.InDelta(t, 5, mean, 0.1)
}

// The figures are worked by hand.
func TestRange(t *testing.T) {
	var s span
	for _, x := range []float64{10, 20, 15} {
		require.Zero(t, s.step(3, x, 0, 1), "not judged yet")
	}
	require.InDelta(t, 0.5, s.step(3, 25, 0, 1), 1e-12, "5 above 10 to 20")
	require.InDelta(t, -2.0/3, s.step(3, 0, 0, 0.5), 1e-12, "10 below 10 to 25")
	require.InDelta(t, 5, s.low, 1e-12, "half of the way to 0")
	require.Zero(t, s.step(3, 15, 0.1, 1))
	require.Equal(t, []float64{6, 24}, []float64{s.low, s.high}, "a tenth of the way to the middle")
}

// A level that stays is told when it begins, and not again.
func TestIsToldOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	scores := play(&Measure{}, defaults(), monday, monday+12*dayMS, 5*minute, func(at int64) float64 {
		v := plantCourse(rng, at)
		if at >= monday+10*dayMS {
			v += 60
		}
		return v
	})
	begin, alarms := 10*288, 0
	require.Greater(t, scores[begin], 0.9)
	for _, s := range scores[begin:] {
		if s >= 0.5 {
			alarms++
		}
	}
	require.LessOrEqual(t, alarms, 3)
}

// Values come when they come: from 1 s to 10 min apart, with gaps of days.
func TestBearsIrregularIntervals(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	set := defaults()
	var n Measure
	alarms, values := 0, 0
	for at := int64(monday); at < monday+4*weekMS; {
		s := n.step(&set, at, plantCourse(rng, at))
		require.False(t, math.IsNaN(s))
		if values++; s >= 0.7 && at > monday+weekMS {
			alarms++
		}
		at += int64(1000 * math.Pow(600, rng.Float64()))
		if values%5000 == 0 {
			at += 2 * dayMS
		}
	}
	require.Greater(t, values, 10_000)
	require.LessOrEqual(t, alarms, 2, "in three weeks")
	require.Greater(t, n.step(&set, n.at+1000, 100), 0.9)
}

func TestOfWhatNeverMovesIsNone(t *testing.T) {
	for _, s := range play(&Measure{}, defaults(), monday, monday+dayMS, minute, func(int64) float64 { return 21.5 }) {
		require.Zero(t, s)
	}
}

// Scores and what is learnt are numbers, whatever finite values there are.
func TestIsANumber(t *testing.T) {
	wild := []float64{-math.MaxFloat64, 0, 1, -1, math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-300, 1e30, -1e30, 42}
	rng := rand.New(rand.NewPCG(7, 1))
	var n Measure
	scores := play(&n, defaults(), monday-minute, monday, minute, func(int64) float64 { return wild[0] })
	scores = append(scores, play(&n, defaults(), monday, monday+10*dayMS, minute, func(int64) float64 { return wild[rng.IntN(len(wild))] })...)
	for i, s := range scores {
		require.False(t, math.IsNaN(s) || s < 0 || s > 1, "%d: %v", i, s)
	}
	for p, r := range n.ranges {
		require.False(t, math.IsNaN(r.high-r.low) || math.IsInf(r.high-r.low, 0), "part %d", p)
	}
}

// A value that is out of all proportion leaves no trace in the sums once it is gone.
func TestSumsRecover(t *testing.T) {
	rng, wild := rand.New(rand.NewPCG(10, 1)), []float64{0.1, 7, 1e30, -3e29}
	var n Measure
	play(&n, defaults(), monday, monday+1, 1, func(int64) float64 { return 0 })
	play(&n, defaults(), monday+minute, monday+dayMS, minute, func(int64) float64 { return wild[rng.IntN(4)] })
	play(&n, defaults(), monday+dayMS, monday+dayMS+200*minute, minute, func(int64) float64 { return 3 })
	require.InDelta(t, 60, n.sum, 1e-6)
	require.InDelta(t, 0, n.steps, 1e-6)
}

// A range shrinks by a day as much if there is a value every 10 s as if there is one every 5 min,
// and by a value as much if they are rarer.
func TestForgetsByTime(t *testing.T) {
	left := func(interval int64) float64 {
		rng := rand.New(rand.NewPCG(11, 1))
		var n Measure
		play(&n, defaults(), monday, monday+6*dayMS, interval, func(at int64) float64 {
			if at < monday+dayMS {
				return float64(at / interval % 2 * 1000)
			}
			return 500 + rng.NormFloat64()
		})
		return (n.ranges[partValue].high - n.ranges[partValue].low) / 1000
	}
	require.InDelta(t, math.Exp(-5*288.0/7000), left(5*minute), 0.01)
	require.InDelta(t, math.Exp(-5*288.0/7000), left(10_000), 0.01)
	require.InDelta(t, math.Exp(-5*24.0/7000), left(60*minute), 0.01)
}

func BenchmarkNovelty(b *testing.B) {
	rng := rand.New(rand.NewPCG(8, 1))
	values := make([]float64, 8640)
	for i := range values {
		values[i] = plantCourse(rng, monday+int64(i)*10_000)
	}
	set := defaults()
	var n Measure
	at := int64(monday)
	for i := 0; b.Loop(); i++ {
		n.step(&set, at, values[i%len(values)])
		at += 10_000
	}
}
