package gateway

import "time"

// rateWindow is over how long the rate of storing is measured, rateLeast what must have
// passed before it is known, rateStep how often it is looked at.
const (
	rateWindow = 5 * time.Minute
	rateLeast  = 5 * time.Second
	rateStep   = 5 * time.Second
)

// rate measures how many bytes a second are stored, over the last minutes. The zero
// value is ready.
type rate struct {
	samples []sample // oldest first
}

type sample struct {
	at    time.Time
	bytes uint64 // stored since the start
}

// add takes note of how much was stored until now.
func (r *rate) add(now time.Time, bytes uint64) {
	if n := len(r.samples); n > 0 && now.Sub(r.samples[n-1].at) < rateStep {
		return
	}
	for len(r.samples) > 1 && now.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
	r.samples = append(r.samples, sample{now, bytes})
}

// perSecond returns the rate, false while it is not known yet.
func (r *rate) perSecond(now time.Time, bytes uint64) (float64, bool) {
	if len(r.samples) == 0 {
		return 0, false
	}
	took := now.Sub(r.samples[0].at)
	if took < rateLeast {
		return 0, false
	}
	return float64(bytes-r.samples[0].bytes) / took.Seconds(), true
}

// noHorizon says that a buffer is not going to be full: nothing comes in, or the rate
// is not known yet.
const noHorizon = -1

// horizon returns in how many seconds a buffer is full if nothing leaves it.
func horizon(held, limit uint64, perSecond float64) int64 {
	if perSecond <= 0 {
		return noHorizon
	}
	if held >= limit {
		return 0
	}
	const longest = 100 * 365 * 24 * 3600
	return int64(min(float64(limit-held)/perSecond, longest))
}
