package intake

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
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

func (r Range) unlimited() bool { return math.IsInf(r.Low, -1) && math.IsInf(r.High, 1) }

// Limits are the ranges of sensors by name.
type Limits map[string]Range

// status returns the status of s. A device's own status stands for a sensor without
// limits; a missing one is added.
func (l Limits) status(s *telemetry.Sensor) string {
	limit, limited := l[s.Name]
	switch {
	case limited && s.Number > limit.High:
		return high
	case limited && s.Number < limit.Low:
		return low
	case s.Status != "" && (!limited || limit.unlimited()):
		return s.Status
	default:
		return normal
	}
}

// apply sets the statuses of the numbers in r and appends those that changed to changes.
func (l Limits) apply(r *telemetry.Reading, changes []wire.SensorChange) []wire.SensorChange {
	if l == nil {
		return changes
	}
	for i := range r.Sensors {
		s := &r.Sensors[i]
		if !s.Comparable() {
			continue
		}
		if status := l.status(s); status != s.Status {
			s.Status = status
			changes = append(changes, wire.SensorChange{Sensor: i, Status: status})
		}
	}
	return changes
}
