package meter

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

func TestRecentLooksAtWholeSeconds(t *testing.T) {
	var m Meter
	for s := range int64(20) {
		m.Add(t0+s*1000, 100)
	}
	require.InDelta(t, 100, m.Recent(t0+20_000).PerSecond, 0.001)
	require.InDelta(t, 100, m.Recent(t0+19_500).PerSecond, 0.001, "the running second does not count")
	require.InDelta(t, 50, m.Recent(t0+25_000).PerSecond, 0.001)
	require.Zero(t, m.Recent(t0+60_000).PerSecond)
	require.Equal(t, int64(2000), m.Total())

	var young Meter
	young.Add(t0, 100)
	young.Add(t0+1000, 100)
	require.InDelta(t, 100, young.Recent(t0+2000).PerSecond, 0.001, "since two seconds only")
}

func TestQuantiles(t *testing.T) {
	var m Meter
	for i := range int64(1000) {
		m.AddAge(t0, i%100) // 0…99 ms, evenly
	}
	r := m.Recent(t0 + 1000)
	require.Equal(t, int64(1000), r.Aged)
	require.InDelta(t, 49.5, r.Mean, 0.001)
	require.InDelta(t, 50, r.P50, 5)
	require.InDelta(t, 99, r.P99, 5)
}

func TestAgesBelowZeroAndBeyondTheLastClass(t *testing.T) {
	var m Meter
	m.AddAge(t0, -5)
	require.LessOrEqual(t, m.Recent(t0+1000).P99, 1.0)
	require.Zero(t, m.Recent(t0+1000).Mean)
	m.AddAge(t0, 10_000_000)
	require.InDelta(t, 60_000, m.Recent(t0+1000).P99, 0.001)
	require.Zero(t, (&Meter{}).Recent(t0).Aged)
}

func TestQuantileInterpolatesWithinItsClass(t *testing.T) {
	for _, c := range []struct {
		ages     []int64
		p50, p99 float64
	}{
		{[]int64{0}, 0.5, 0.99},
		{[]int64{1}, 0.5, 0.99},
		{[]int64{2}, 1.5, 1.99},
		{[]int64{9}, 9, 9.98},
		{[]int64{1, 1, 10, 10}, 1, 9.96},
		{[]int64{1, 10, 10, 10}, 8 + 2.0/3, 8 + 2*2.96/3},
		{[]int64{50_000}, 45_000, 59_700},
	} {
		var m Meter
		for _, age := range c.ages {
			m.AddAge(t0, age)
		}
		r := m.Recent(t0 + 1000)
		require.InDelta(t, c.p50, r.P50, 1e-9, "%v", c.ages)
		require.InDelta(t, c.p99, r.P99, 1e-9, "%v", c.ages)
	}
}

func TestEventsWithAndWithoutAge(t *testing.T) {
	var m Meter
	m.Add(t0, 3)
	require.Equal(t, Recent{PerSecond: 3}, m.Recent(t0+1000), "without ages there is no mean")
	m.AddAge(t0+500, 8)
	require.Equal(t, int64(4), m.Total())
	require.Equal(t, Recent{PerSecond: 4, Aged: 1, Mean: 8, P50: 7, P99: 7.98}, m.Recent(t0+1000))
	require.InDelta(t, 2, m.Recent(t0+2000).PerSecond, 0)
	require.InDelta(t, 0.4, m.Recent(t0+10_000).PerSecond, 0)
	require.Zero(t, m.Recent(t0+11_000).Aged)
}

func TestHistogramAgreesWithWhatWasAdded(t *testing.T) {
	var m Meter
	for _, age := range []int64{1, 2, 3, 30, 70_000} {
		m.AddAge(t0, age)
	}
	var out dto.Metric
	desc := prometheus.NewDesc("x_seconds", "x", nil, nil)
	require.NoError(t, m.Histogram(desc).Write(&out))
	h := out.GetHistogram()
	require.Equal(t, uint64(5), h.GetSampleCount())
	require.InDelta(t, 70.036, h.GetSampleSum(), 0.0001)
	got := map[float64]uint64{}
	for _, b := range h.GetBucket() {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	require.Equal(t, uint64(2), got[0.002])
	require.Equal(t, uint64(3), got[0.005])
	require.Equal(t, uint64(4), got[0.05])
	require.Equal(t, uint64(4), got[60])
}

func BenchmarkAddAge(b *testing.B) {
	var m Meter
	for i := range b.N {
		m.AddAge(t0+int64(i/1000), int64(i%300))
	}
}
