// Package transform sets the status of each sensor from the limits in force and leaves
// every other byte of a reading as the device sent it. It does no I/O and nothing in it
// blocks.
package transform

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Statuses of an analog sensor. There is no hysteresis in them: a status tells where
// the value is, an alarm tells what to do about it.
const (
	Normal = "normal"
	High   = "high"
	Low    = "low"
)

// Range is where a parameter is normal, both ends included. An end that does not exist
// is infinite.
type Range struct{ Low, High float64 }

// Unlimited returns the range of a parameter without limits.
func Unlimited() Range { return Range{Low: math.Inf(-1), High: math.Inf(1)} }

func (r Range) unlimited() bool { return math.IsInf(r.Low, -1) && math.IsInf(r.High, 1) }

// Limits holds the range of each parameter, indexed by it.
type Limits [telemetry.NumAnalog]Range

// status returns what to write for m. The device knows best about a parameter without
// limits; only where it said nothing is there something to add.
func (l *Limits) status(p telemetry.Parameter, m *telemetry.Measurement) string {
	limit := &l[p]
	switch {
	case m.Value > limit.High:
		return High
	case m.Value < limit.Low:
		return Low
	case m.Status != "" && limit.unlimited():
		return m.Status
	default:
		return Normal
	}
}

// Apply sets the statuses in r and returns raw with them written in. layout must be
// that of raw. Where nothing changes the result is raw itself; otherwise it is built in
// dst's room.
func (l *Limits) Apply(dst, raw []byte, r *telemetry.Reading, layout *wire.Layout) []byte {
	var write [telemetry.NumAnalog]string
	changed := false
	for p := range telemetry.NumAnalog {
		m := &r.Sensors.Analog[p]
		if !m.Present {
			continue
		}
		if want := l.status(p, m); want != m.Status {
			m.Status, write[p], changed = want, want, true
		}
	}
	if !changed {
		return raw
	}
	return wire.AppendWithStatus(dst[:0], raw, layout, &write)
}
