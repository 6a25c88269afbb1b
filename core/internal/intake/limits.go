package intake

import (
	"math"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Range is where a parameter is normal, both ends included. A missing end is infinite.
type Range struct {
	Low, High float64
	Unit      string // of both; empty: that of the sensor's kind
}

func (r Range) unlimited() bool { return math.IsInf(r.Low, -1) && math.IsInf(r.High, 1) }

// Limits are the ranges of sensors by name.
type Limits map[string]Range

// in returns the limits in the units of a catalogue.
func (l Limits) in(c *sensors.Catalogue) Limits {
	if l == nil || c == nil {
		return l
	}
	converted := make(Limits, len(l))
	for name, r := range l {
		r.Low, _ = c.Convert(name, r.Unit, r.Low)
		r.High, _ = c.Convert(name, r.Unit, r.High)
		converted[name] = r
	}
	return converted
}

// status returns the status of s. It has no hysteresis: a status is where the value is, an
// alarm is what to do about it. A device's own status stands for a sensor without
// limits; a missing one is added.
func (l Limits) status(s *telemetry.Sensor) string {
	limit, limited := l[s.Name]
	switch {
	case limited && s.Number > limit.High:
		return telemetry.StatusHigh
	case limited && s.Number < limit.Low:
		return telemetry.StatusLow
	case s.Status != "" && (!limited || limit.unlimited()):
		return s.Status
	default:
		return telemetry.StatusNormal
	}
}
