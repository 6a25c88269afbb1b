package series

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestPackedValuesAreExactToAThousandthOfTheirDistance: whatever the size of the values.
func TestPackedValuesAreExactToAThousandthOfTheirDistance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		scale := math.Pow(10, float64(r.IntN(30)-15))
		p := newPacking(r.NormFloat64() * scale)
		for range 10 {
			v := p.reference + r.NormFloat64()*scale*math.Pow(10, float64(r.IntN(9)-4))
			require.True(t, p.fits(v))
			got := p.value(p.pack(v))
			require.InDelta(t, v, got, 2e-3*math.Abs(v-p.reference)+1e-9*math.Abs(p.reference), "around %g", p.reference)
		}
		require.InDelta(t, p.reference, p.value(p.pack(p.reference)), 0)
	}
}

// TestReadingsOfTheUsualSensorsComeBackAsSent: they have few digits.
func TestReadingsOfTheUsualSensorsComeBackAsSent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ mean, spread, steps float64 }{
		{25, 2, 10}, {50, 5, 10}, {1013.25, 1, 100}, {2980, 100, 1}, {4_194_303.5, 50, 2}, {0, 100, 1}, {600, 200, 1},
	} {
		round := func(v float64) float64 { return math.Round(v*c.steps) / c.steps }
		p := newPacking(round(c.mean))
		for range 1000 {
			v := round(c.mean + c.spread*(2*r.Float64()-1))
			require.True(t, p.fits(v))
			require.InDelta(t, v, p.value(p.pack(v)), 1e-9, "%+v", c)
		}
	}
}

func TestCodesOfAllValues(t *testing.T) {
	p := newPacking(0)
	require.True(t, p.fits(0))
	require.Equal(t, code(0), p.pack(0))
	require.True(t, p.fits(5), "the first value that is not 0 sets the scale")
	require.False(t, p.fits(1e11))
	require.False(t, p.fits(-1e11))
	require.True(t, p.fits(-8e9))
	require.InDelta(t, -8e9, p.value(p.pack(-8e9)), 1e7)
	require.Zero(t, p.value(p.pack(1e-12)), "too near for a code")
	for c := range 1 << 16 {
		if code(c) != none {
			require.False(t, math.IsNaN(p.value(code(c))))
			require.NotEqual(t, none, p.pack(p.value(code(c))))
		}
	}
}

// TestSpikeLeavesTheOtherValuesAsTheyAre: the scale of a course does not follow its largest value.
func TestSpikeLeavesTheOtherValuesAsTheyAre(t *testing.T) {
	p := newPacking(25.3)
	for _, v := range []float64{25.4, 1e9, 25.5, -4e8, 25.1} {
		require.True(t, p.fits(v))
		require.InEpsilon(t, v, p.value(p.pack(v)), 1e-3)
	}
	require.InDelta(t, 25.4, p.value(p.pack(25.4)), 1e-9)
}

// TestCounterIsExactHourAfterHour: the reference follows it.
func TestCounterIsExactHourAfterHour(t *testing.T) {
	s := New(Options{})
	c := &device{begins: 1_640_995_200_000}
	at, energy := c.begins, 1_000_000.0
	for range 5 * 720 {
		s.add(c, at, &telemetry.Reading{Sensors: telemetry.Sensors{{Name: "energy", Number: energy, Unit: "kWh"}}})
		at, energy = at+5000, energy+0.5
	}
	last := energy - 0.5
	s.devices["d"] = c
	table, _ := s.Device("d", Query{From: at - 305_000, To: at, Points: 1000})
	require.InDelta(t, last, *table.Values["energy"].Mean[len(table.Time)-1], 1)
	table, _ = s.Device("d", Query{From: at - 3_600_000, To: at, Points: 1000})
	for i, highest := range table.Values["energy"].Max {
		require.InDelta(t, last-float64((at-5000-table.Time[i]-45_000)/5000)*0.5, *highest, 1.5, "step %d", i)
	}
}

// TestImpossibleJumpStartsTheSeriesAnew: a code cannot express both.
func TestImpossibleJumpStartsTheSeriesAnew(t *testing.T) {
	s := New(Options{})
	c := &device{begins: 1_640_995_200_000}
	s.devices["d"] = c
	for i, v := range []float64{1e-9, 2e-9, 1e30, 2e30} {
		s.add(c, c.begins+int64(i)*5000, &telemetry.Reading{Sensors: telemetry.Sensors{{Name: "x", Number: v}}})
	}
	table, _ := s.Device("d", Query{From: c.begins, To: c.begins + 20_000, Points: 100})
	require.Equal(t, []int64{c.begins + 12_500, c.begins + 17_500}, table.Time)
	require.InEpsilon(t, 2e30, *table.Values["x"].Mean[1], 1e-3)
}
