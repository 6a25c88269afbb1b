package intake

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

// Statuses of an analog sensor. They have no hysteresis: a status is where the value is,
// an alarm is what to do about it.
const (
	normal = "normal"
	high   = "high"
	low    = "low"
)

// Range is where a parameter is normal, both ends included. A missing end is infinite.
type Range struct{ Low, High float64 }

// Unlimited returns the range of a parameter without limits.
func Unlimited() Range { return Range{Low: math.Inf(-1), High: math.Inf(1)} }

func (r Range) unlimited() bool { return math.IsInf(r.Low, -1) && math.IsInf(r.High, 1) }

// Limits are the ranges of the parameters, indexed by parameter.
type Limits [telemetry.NumAnalog]Range

// status returns the status of m. A device's own status stands for a parameter without
// limits; a missing one is added.
func (l *Limits) status(p telemetry.Parameter, m *telemetry.Measurement) string {
	limit := &l[p]
	switch {
	case m.Value > limit.High:
		return high
	case m.Value < limit.Low:
		return low
	case m.Status != "" && limit.unlimited():
		return m.Status
	default:
		return normal
	}
}

// apply sets the statuses in r. It returns those that changed, and whether any did.
func (l *Limits) apply(r *telemetry.Reading) (statuses [telemetry.NumAnalog]string, changed bool) {
	if l == nil {
		return statuses, false
	}
	for p := range telemetry.NumAnalog {
		m := &r.Sensors.Analog[p]
		if !m.Present {
			continue
		}
		if status := l.status(p, m); status != m.Status {
			m.Status, statuses[p], changed = status, status, true
		}
	}
	return statuses, changed
}
