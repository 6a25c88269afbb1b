package plant

import (
	"math/rand/v2"
	"slices"
)

// Estimate is a figure over all seeds with its 95 % confidence interval. With one seed there is none,
// and Low and High are Value.
type Estimate struct{ Value, Low, High float64 }

// resamples of the bootstrap.
const resamples = 1000

// Confidence returns a figure of the sum of the tallies, one per seed, and its confidence interval by
// the percentile bootstrap over seeds (Efron 1979). The same tallies give the same interval.
func Confidence(seeds []Tally, figure func(*Tally) float64) Estimate {
	var all Tally
	for i := range seeds {
		all.Add(&seeds[i])
	}
	out := Estimate{Value: figure(&all)}
	out.Low, out.High = out.Value, out.Value
	if len(seeds) < 2 {
		return out
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(seeds))))
	values := make([]float64, resamples)
	for n := range values {
		var drawn Tally
		for range seeds {
			drawn.Add(&seeds[rng.IntN(len(seeds))])
		}
		values[n] = figure(&drawn)
	}
	slices.Sort(values)
	out.Low, out.High = values[resamples*25/1000], values[resamples*975/1000]
	return out
}
