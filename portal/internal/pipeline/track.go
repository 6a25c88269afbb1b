package pipeline

import (
	"math"

	"industrial-iot-monitor/internal/wire"
)

// Steps of courses, in ms: an hour and six hours are both 720 of them.
const (
	StepMS = wire.VitalsEvery
	WideMS = 6 * StepMS
	kept   = 720
)

// Range is how far back courses go.
type Range int

// Ranges.
const (
	Hour     Range = iota // in steps of StepMS
	SixHours              // in steps of WideMS
)

// Step returns the step of a range in ms.
func (r Range) Step() int64 { return [...]int64{StepMS, WideMS}[r] }

// sample is figures at one time. Those that are unknown are nil.
type sample struct{ rate, ms, p99, lag *float64 }

// cell is a step of a track in 32 bytes; a track has 46 KB. Unknown figures are not a number.
type cell struct {
	number             int64 // of the step
	rate, ms, p99, lag float32
	rates, times       uint8 // how many are in the means
}

// track is the last hours of a stage or a strip: for each range a ring of cells by their numbers.
type track [2][kept]cell

// add adds a sample that was taken at a time in ms: means of rates and times, the most of the others.
func (t *track) add(s sample, at int64) {
	for r := range t {
		n := at / Range(r).Step()
		c := &t[r][n%kept]
		if c.number != n {
			unknown := float32(math.NaN())
			*c = cell{number: n, rate: unknown, ms: unknown, p99: unknown, lag: unknown}
		}
		if Range(r) == Hour { // of two samples in a step the later one counts
			c.rates, c.times = 0, 0
			c.p99, c.lag = float32(math.NaN()), float32(math.NaN())
		}
		c.rate, c.rates = mean(c.rate, c.rates, s.rate)
		c.ms, c.times = mean(c.ms, c.times, s.ms)
		c.p99, c.lag = most(c.p99, s.p99), most(c.lag, s.lag)
	}
}

func mean(was float32, n uint8, v *float64) (float32, uint8) {
	switch {
	case v == nil && n == 0:
		return float32(math.NaN()), 0
	case v == nil || n == math.MaxUint8:
		return was, n
	case n == 0:
		return float32(*v), 1
	}
	return was + (float32(*v)-was)/float32(n+1), n + 1
}

func most(was float32, v *float64) float32 {
	if v == nil || float32(*v) < was {
		return was
	}
	return float32(*v)
}

// at returns the cell of a step, unknown if the track does not have it.
func (t *track) at(r Range, n int64) sample {
	c := &t[r][n%kept]
	if c.number != n || n == 0 {
		return sample{}
	}
	return sample{known(c.rate), known(c.ms), known(c.p99), known(c.lag)}
}

func known(v float32) *float64 {
	if math.IsNaN(float64(v)) {
		return nil
	}
	return rounded(float64(v))
}
