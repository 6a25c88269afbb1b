package gateway

import "time"

// The rate is measured over rateWindow from samples at least rateStep apart, and known
// after rateLeast.
const (
	rateWindow = 5 * time.Minute
	rateLeast  = 5 * time.Second
	rateStep   = 5 * time.Second
)

// rate measures the bytes stored per second over the last minutes. The zero value is
// ready to use.
type rate struct {
	samples []sample // oldest first
}

type sample struct {
	at    time.Time
	bytes uint64 // stored since the start
}

// add samples the bytes stored so far.
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

// noHorizon is the horizon of a buffer that does not fill: no input, or the rate is
// unknown.
const noHorizon = -1

// horizon returns the seconds until a buffer is full if nothing is trimmed.
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
