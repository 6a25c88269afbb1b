package alarm

import (
	"fmt"
	"slices"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// aheadBy bounds how far into the future of its receive time a reading may put its
// device. Without it, a clock that was minutes fast and then put right would make every
// reading look late until real time has caught up.
const aheadBy = 5_000

// Input is one reading and where it came from.
type Input struct {
	Reading  *telemetry.Reading
	Gateway  string
	Received int64 // ms, when it was received
	Waited   int64 // ms it waited in the gateway's buffer before it was written to Kafka
}

// Step judges one reading. It returns the new state, the alerts to write appended to
// dst, and whether the state changed in a way that must be kept: a transition or a new
// peak.
//
// A parameter whose newest reading is as old as this one, or younger, is passed over:
// a late reading neither raises nor clears. One that waited too long clears but does
// not raise.
func (rs *Rules) Step(s State, in Input, dst []telemetry.Alert) (State, []telemetry.Alert, bool) {
	x := step{rules: rs, in: in, s: s, quietUntil: s.Changed, alerts: dst}
	ts := in.Reading.Timestamp
	for p := range telemetry.NumAnalog {
		m := &in.Reading.Sensors.Analog[p]
		if !m.Present || ts <= x.s.Last[p] {
			continue
		}
		x.s.Last[p] = min(ts, in.Received+aheadBy)
		if len(x.s.Active) > 0 {
			x.follow(p, m)
		}
		for i := range rs.by[p] {
			if r := &rs.by[p][i]; r.broken(m.Value) && x.mayRaise(r) {
				x.raise(r, m)
			}
		}
	}
	return x.s, x.alerts, x.changed
}

// step is the work on one reading.
type step struct {
	rules      *Rules
	in         Input
	s          State
	quietUntil int64
	alerts     []telemetry.Alert
	changed    bool
}

// own makes s.Active safe to write to: until then it is the caller's.
func (x *step) own() {
	if !x.changed {
		x.s.Active, x.changed = slices.Clone(x.s.Active), true
	}
}

// follow keeps the peaks of the raised alarms of p and clears those that are over,
// also one whose rule is gone: an alarm must have a way out.
func (x *step) follow(p telemetry.Parameter, m *telemetry.Measurement) {
	for i := 0; i < len(x.s.Active); {
		in := &x.s.Active[i]
		if in.Parameter != p {
			i++
			continue
		}
		if r := x.rules.find(p, in.Type); r == nil || r.relieved(m.Value) {
			x.own()
			x.clear(i, m)
			continue
		}
		if in.beats(m.Value) {
			x.own()
			x.s.Active[i].Peak = m.Value
		}
		i++
	}
}

// beats reports whether v is further beyond the limit than the peak.
func (in *Incident) beats(v float64) bool {
	if in.Operator == Above {
		return v > in.Peak
	}
	return v < in.Peak
}

// mayRaise also refuses a reading that is not younger than the last transition: such a
// one was seen before, and the alarm it raised has its end already.
func (x *step) mayRaise(r *Rule) bool {
	return x.in.Waited <= x.rules.maxWait && x.in.Reading.Timestamp > x.quietUntil && !x.s.active(r.Type)
}

func (x *step) raise(r *Rule, m *telemetry.Measurement) {
	x.own()
	ts := x.in.Reading.Timestamp
	in := Incident{
		AlertID: AlertID(x.in.Reading.DeviceID, r.Type, ts), Type: r.Type, Parameter: r.Parameter,
		Operator: r.Operator, Value: r.Value, Severity: r.Severity, RaisedAt: ts, Peak: m.Value,
	}
	x.s.Active = append(x.s.Active, in)
	x.s.Changed = ts
	side := "above"
	if r.Operator == Below {
		side = "below"
	}
	a := x.alert(&in, m)
	a.Status = telemetry.AlertActive
	a.Message = fmt.Sprintf("%s %s is %s %s", r.Parameter, quantity(m.Value, m.Unit), side, quantity(r.Value, m.Unit))
	x.alerts = append(x.alerts, a)
}

func (x *step) clear(i int, m *telemetry.Measurement) {
	in := x.s.Active[i]
	x.s.Active = slices.Delete(x.s.Active, i, i+1)
	x.s.Changed = max(x.s.Changed, x.in.Reading.Timestamp)
	side := "below"
	if in.Operator == Below {
		side = "above"
	}
	a := x.alert(&in, m)
	a.Status, a.ClearedAt = telemetry.AlertCleared, x.in.Reading.Timestamp
	a.Message = fmt.Sprintf("%s %s is back %s %s, peak %s", in.Parameter,
		quantity(m.Value, m.Unit), side, quantity(in.Value, m.Unit), quantity(in.Peak, m.Unit))
	x.alerts = append(x.alerts, a)
}

func (x *step) alert(in *Incident, m *telemetry.Measurement) telemetry.Alert {
	r := x.in.Reading
	return telemetry.Alert{
		AlertID: in.AlertID, DeviceID: r.DeviceID, AlertType: in.Type, Severity: in.Severity,
		Timestamp:    r.Timestamp,
		Threshold:    telemetry.Threshold{Parameter: in.Parameter.String(), Operator: in.Operator, Value: in.Value},
		CurrentValue: m.Value,
		RaisedAt:     in.RaisedAt, PeakValue: in.Peak,
		Location: r.Location, Gateway: x.in.Gateway,
	}
}

// quantity writes a value with its unit, with at most two decimals.
func quantity(v float64, unit string) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	if unit == "" {
		return s
	}
	return s + " " + unit
}
