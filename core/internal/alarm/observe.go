package alarm

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

// Observation is one reading as one rule sees it. Values, Raw and Holds have an entry for
// each condition; a value is nil when the reading has none for it.
type Observation struct {
	Values []*float64
	Raw    []*float64 // the sensors' own values
	Holds  []bool
	// Pending is how long an on- or off-delay has run after this reading, ms.
	Pending int64
	State   telemetry.AlarmState // after this reading
	Event   telemetry.AlarmEvent // of the first transition of the rule's type, empty for none
}

// Limit is the limit of a condition, in the units of an Observation.
type Limit struct {
	Parameter, Operator, Unit string
	Value, Deadband           float64

	Kind       Kind
	SensorUnit string // of the sensor's own values
}

// Limits returns the limits of the conditions of the rule with an id, in canonical units.
func (rs *Rules) Limits(id string) []Limit {
	c, ok := rs.byID[id]
	if !ok {
		return nil
	}
	out := make([]Limit, c.n)
	for i := range out {
		x := &c.conds[i]
		t := x.threshold(0)
		out[i] = Limit{Parameter: t.Parameter, Operator: t.Operator, Value: t.Value, Deadband: x.Deadband, Kind: x.Kind}
		if x.signal >= 0 {
			out[i].SensorUnit = rs.signals.list[x.signal].unit
			out[i].Unit = x.limitUnit(out[i].SensorUnit)
		}
		if x.look == atStill {
			out[i].Operator, out[i].Value, out[i].Unit = ">=", x.For.Seconds(), "s"
		}
	}
	return out
}

// Observe is Step, and also returns how the rule with an id saw the reading.
func (rs *Rules) Observe(s State, in Input, id string, dst []Transition) (State, []Transition, Observation) {
	before, given := len(dst), s.Clone()
	next, dst, _ := rs.Step(s, in, dst)
	r, ok := rs.byID[id]
	if !ok {
		return next, dst, Observation{}
	}
	o := rs.observe(r, given, in)
	o.State = telemetry.AlarmNormal
	ts := in.PlantTime()
	if i := next.find(r.Type); i >= 0 {
		o.State = next.mem.Alarms[i].State
	}
	if i := next.holding(r.Type); i >= 0 {
		a := &next.mem.Alarms[i]
		o.State = a.State
		if a.OffDue != 0 {
			o.Pending = ts - (a.OffDue - r.offDelay)
		}
	} else if k := next.cell(id); k >= 0 && next.mem.Cells[k].Due != 0 {
		o.Pending = ts - (next.mem.Cells[k].Due - r.onDelay)
	}
	for i := range dst[before:] {
		if a := &dst[before+i].Alert; a.AlertType == r.Type {
			o.Event = a.Event
			break
		}
	}
	return next, dst, o
}

// observe measures the conditions of r. It takes s over.
func (rs *Rules) observe(r *rule, s State, in Input) Observation {
	x := step{rules: rs, s: s, in: in, r: in.Reading, ts: in.PlantTime()}
	x.s.adopt(rs.signals)
	x.match()
	x.track()
	prior, back := uint8(0), false
	if i := s.holding(r.Type); i >= 0 {
		prior, back = s.mem.Alarms[i].Bits, true
	} else if k := s.cell(r.ID); k >= 0 {
		prior = s.mem.Cells[k].Bits
	}
	now, _ := x.truth(r, prior, back)
	o := Observation{Values: make([]*float64, r.n), Raw: make([]*float64, r.n), Holds: make([]bool, r.n)}
	for i := range r.n {
		c := &r.conds[i]
		o.Holds[i] = now&(1<<i) != 0
		if f := x.value(c.signal); f != nil {
			o.Raw[i] = &f.v
		}
		if v, known := x.measure(c); known {
			switch {
			case c.look == atStill:
				v /= 1000
			case c.fold == absolute:
				v = math.Abs(v)
			}
			o.Values[i] = &v
		}
	}
	return o
}
