package fleet

import (
	"math"
	"math/rand/v2"
)

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), which makes similar inputs
// look independent.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

const golden = 0x9e3779b97f4a7c15

// hash joins a key and a counter.
func hash(key, n uint64) uint64 { return mix(key + (n+1)*golden) }

// unit maps random bits to [0, 1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// between maps the n-th random number of key to [lo, hi).
func between(key, n uint64, lo, hi float64) float64 { return lo + (hi-lo)*unit(hash(key, n)) }

// drift is smooth noise in [-1, 1]: random values every period ms, joined by smoothsteps.
func drift(key uint64, t, period int64) float64 {
	n, x := slot(t, period)
	x = x * x * (3 - 2*x)
	a := 2*unit(hash(key, uint64(n))) - 1
	b := 2*unit(hash(key, uint64(n+1))) - 1
	return a + (b-a)*x
}

// slot returns the number of the period that contains t, and the elapsed part of it.
func slot(t, period int64) (n int64, part float64) {
	n = t / period
	return n, float64(t-n*period) / float64(period)
}

// cycle is a sine of the given period in ms.
func cycle(t, period int64, phase float64) float64 {
	_, x := slot(t, period)
	return math.Sin(2 * math.Pi * (x + phase))
}

// splitMix is a random source that is free to seed, so that every reading has its own
// sequence.
type splitMix struct{ state uint64 }

// Uint64 implements rand.Source.
func (s *splitMix) Uint64() uint64 {
	s.state += golden
	return mix(s.state)
}

// whiteNoise draws normal numbers that depend only on the arguments of the last aim.
type whiteNoise struct {
	src *splitMix
	rng *rand.Rand
}

func newWhiteNoise() whiteNoise {
	src := &splitMix{}
	return whiteNoise{src: src, rng: rand.New(src)}
}

func (w whiteNoise) aim(key uint64, t int64) { w.src.state = hash(key, uint64(t)) }

// normal returns a number of mean 0 and deviation sigma, cut at four deviations.
func (w whiteNoise) normal(sigma float64) float64 {
	return sigma * max(-4, min(4, w.rng.NormFloat64()))
}
