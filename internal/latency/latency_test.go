package latency

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEmpty(t *testing.T) {
	var h Histogram
	require.Zero(t, h.Quantile(0.99))
	require.Zero(t, h.Mean())
	require.Zero(t, h.Count())
}

func TestBucketsAreMonotonicAndContinuous(t *testing.T) {
	for us := range uint64(100_000) {
		b := bucket(us)
		require.LessOrEqual(t, floor(b), us)
		require.Greater(t, floor(b+1), us)
	}
	require.Less(t, bucket(1<<63), buckets)
}

func TestQuantilesAreExactToThreePercent(t *testing.T) {
	var h, first, second Histogram
	var all []time.Duration
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		h.Record(d)
		if i%2 == 0 {
			first.Record(d)
		} else {
			second.Record(d)
		}
	}
	first.Merge(&second)
	require.Equal(t, h, first)

	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		require.InEpsilon(t, float64(want+time.Microsecond), float64(h.Quantile(q)), 0.035, "q=%v", q)
	}
	require.Equal(t, all[len(all)-1], h.Max())
	h.Reset()
	require.Zero(t, h.Count())
}

func TestNegativeCountsAsZero(t *testing.T) {
	var h Histogram
	h.Record(-time.Second)
	require.EqualValues(t, 1, h.Count())
	require.Zero(t, h.Mean())
}
