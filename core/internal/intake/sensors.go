package intake

import (
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// kinds finds the kinds of a reading's sensors.
type kinds struct {
	of     *sensors.Catalogue
	limits Limits // in the units of the catalogue
	// byPlace are the kinds found last, by a sensor's place in its reading: most readings
	// have the same sensors in the same places, and comparing a name is cheaper than
	// looking it up.
	byPlace [8]*sensors.Kind
}

// use changes the catalogue.
func (k *kinds) use(c *sensors.Catalogue, l Limits) {
	if k.of != c || k.limits == nil {
		*k = kinds{of: c, limits: l.in(c)}
	}
}

// kind returns the kind of the sensor called name in place i, nil if it has none.
func (k *kinds) kind(i int, name string) *sensors.Kind {
	if k.of == nil {
		return nil
	}
	if i >= len(k.byPlace) {
		return k.of.KindOf(name)
	}
	if last := k.byPlace[i]; last != nil && last.Name == name {
		return last
	}
	found := k.of.KindOf(name)
	k.byPlace[i] = found
	return found
}

// settle converts the numbers of the reading into the units of their kinds and sets their
// statuses. It fills in.changes with what differs from the message.
func (in *Intake) settle() {
	in.changes, in.Unknown = in.changes[:0], in.Unknown[:0]
	in.kinds.use(in.Sensors, in.Limits)
	for i := range in.Reading.Sensors {
		s := &in.Reading.Sensors[i]
		if s.Kind != telemetry.Number {
			continue
		}
		change := wire.SensorChange{Sensor: i}
		kind := in.kinds.kind(i, s.Name)
		status := telemetry.StatusUnitUnknown
		if in.convert(s, kind, &change) {
			status = in.status(s, kind)
		}
		if status != s.Status {
			s.Status, change.Status = status, status
		}
		if change.Status != "" || change.Unit != "" {
			in.changes = append(in.changes, change)
		}
	}
}

// convert brings the value of s into the unit of its kind and reports whether that unit is
// known. A value without a unit is in the kind's.
func (in *Intake) convert(s *telemetry.Sensor, kind *sensors.Kind, change *wire.SensorChange) bool {
	if kind == nil || kind.Unit == "" || s.Unit == kind.Unit || s.Unit == "" {
		return true
	}
	v, known := kind.Convert(s.Unit, s.Number)
	if !known {
		in.Unknown = append(in.Unknown, kind)
		return false
	}
	s.Number, s.Unit = v, kind.Unit
	change.Value, change.Unit = v, kind.Unit
	return true
}

// status returns the status of a number in a known unit: that of its limits. Without
// limits the device's own one stands, unless it calls an impossible value normal.
func (in *Intake) status(s *telemetry.Sensor, kind *sensors.Kind) string {
	if s.Status == telemetry.StatusUnitUnknown { // only core knows that
		s.Status = ""
	}
	if in.Limits == nil && in.Sensors == nil {
		return s.Status
	}
	status := in.kinds.limits.status(s)
	if status == telemetry.StatusNormal && kind != nil && !kind.Plausible(s.Number) {
		return telemetry.StatusImplausible
	}
	return status
}
