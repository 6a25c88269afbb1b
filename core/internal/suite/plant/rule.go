package plant

import (
	"time"

	"industrial-iot-monitor/core/internal/detect"
)

// Rule makes alarms of verdicts: one begins when Score or State has been at least On for OnDelay, and
// ends when State has been below Off for OffDelay. Without delays the first such verdict decides.
type Rule struct {
	On, Off           float64
	OnDelay, OffDelay time.Duration
}

// DefaultRule is that of ordinary sensitivity. An alarm holds for five minutes, so that a fault that
// comes and goes is one alarm.
func DefaultRule() Rule { return Rule{On: 0.5, Off: 0.35, OffDelay: 5 * time.Minute} }

// latch is what a Rule remembers of a sensor.
type latch struct {
	on      bool
	pending bool  // the change to the other state is waiting for its delay
	since   int64 // ms, from when on it waits
}

// step applies the verdict at time at (ms). It reports whether an alarm begins or ends with it.
func (r *Rule) step(l *latch, at int64, v *detect.Verdict) (begins, ends bool) {
	// As in core: an alarm begins with news from a sensor whose days are known.
	wants, delay := !v.Learning && (v.Score >= r.On || l.pending && v.State >= r.On), r.OnDelay
	if l.on {
		wants, delay = v.State < r.Off && v.Score < r.On, r.OffDelay
	}
	switch {
	case !wants:
		l.pending = false
	case !l.pending:
		l.pending, l.since = true, at
	}
	if !wants || at-l.since < delay.Milliseconds() {
		return false, false
	}
	l.on, l.pending = !l.on, false
	return l.on, !l.on
}
