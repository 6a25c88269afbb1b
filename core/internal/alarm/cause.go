package alarm

import (
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// deviceOffline is the type of the watchdog's alarm of a silent device.
const deviceOffline = "device_offline"

// graver returns the kind of condition that explains one of kind k: beyond the worse limit a value
// is beyond the milder one, too. Empty for kinds that nothing explains.
func graver(k Kind) Kind {
	switch k {
	case High:
		return HighHigh
	case Low:
		return LowLow
	default:
		return ""
	}
}

// relate brings the alarms into line with each other, at event time at: an alarm of a limit is
// suppressed while that of the worse limit of the same sensor holds, and alarms of readings are
// uncertain while their device is offline. Both follow from the state alone, so that it does not
// matter where and when it is restored.
func (x *step) relate(at int64) {
	if x.s.mem == nil {
		return
	}
	offline := x.s.holding(deviceOffline)
	for i := range x.s.mem.Alarms {
		a := &x.s.mem.Alarms[i]
		if !a.holds() || a.Past || a.Source != telemetry.SourceRule || a.DeviceID == "" {
			continue
		}
		x.relateCause(i, at)
		x.relateSilence(i, offline, at)
	}
}

func (x *step) relateCause(i int, at int64) {
	a := &x.s.mem.Alarms[i]
	switch cause := x.cause(a); {
	case cause == nil && a.Suppressed != nil:
		x.own().Alarms[i].Suppressed = nil
		x.emit(i, change{event: telemetry.EventUnsuppressed, from: a.State, at: max(at, a.Timestamp)})
	case cause != nil && (a.Suppressed == nil || a.Suppressed.ByAlarm != cause.AlertID):
		at = max(at, a.Since, cause.Since)
		id := cause.AlertID
		x.own().Alarms[i].explain(id, at)
		x.emit(i, change{event: telemetry.EventSuppressed, from: a.State, at: at})
	}
}

// explain suppresses a under the alarm with an id.
func (a *Alarm) explain(by string, at int64) {
	a.Suppressed = &telemetry.Suppressed{ByAlarm: by, At: at}
	a.ParentAlarmID = by
}

// relateSilence: an alarm is uncertain from when its device is offline until a reading that is newer
// than the silence, or the end of the silence. offline is the index of its alarm, -1 for none.
func (x *step) relateSilence(i, offline int, at int64) {
	a := &x.s.mem.Alarms[i]
	uncertain := a.Uncertain
	switch {
	case offline < 0:
		uncertain = false
	case x.s.lastOf(a.Threshold.Parameter) <= x.s.mem.Alarms[offline].Since:
		uncertain = true
		at = max(at, x.s.mem.Alarms[offline].Since)
	case x.r != nil:
		uncertain = false
	}
	if uncertain == a.Uncertain {
		return
	}
	x.own().Alarms[i].Uncertain = uncertain
	event := telemetry.EventConfirmed
	if uncertain {
		event = telemetry.EventUncertain
	}
	x.emit(i, change{event: event, from: a.State, at: max(at, a.Timestamp)})
}

// place gives a new alarm of a rule its place among the others.
func (x *step) place(a *Alarm, at int64) {
	if a.Source != telemetry.SourceRule {
		return
	}
	if cause := x.cause(a); cause != nil {
		a.explain(cause.AlertID, at)
	}
	offline := x.s.holding(deviceOffline)
	a.Uncertain = offline >= 0 && a.LastSeen <= x.s.mem.Alarms[offline].Since
}

// cause returns the alarm of the worse limit that explains a, nil for none. One that is out of
// service explains nothing: an operator judged its limit useless.
func (x *step) cause(a *Alarm) *Alarm {
	want := graver(x.kindOf(a))
	if want == "" {
		return nil
	}
	for i := range x.s.mem.Alarms {
		b := &x.s.mem.Alarms[i]
		if b.holds() && !b.Past && b.OutOfService == nil && b.Source == telemetry.SourceRule &&
			b.Threshold.Parameter == a.Threshold.Parameter && x.kindOf(b) == want {
			return b
		}
	}
	return nil
}

// kindOf returns the kind of an alarm with one condition, empty for others. Alarms of former
// versions lack it; their rule has it.
func (x *step) kindOf(a *Alarm) Kind {
	if a.Kind != "" {
		if a.Combine != "" {
			return ""
		}
		return Kind(a.Kind)
	}
	if r := x.rules.byID[a.Rule]; r != nil && r.n == 1 {
		return r.conds[0].Kind
	}
	return ""
}

// InAlarm reports whether an alarm of readings holds that is about a sensor: its value is not one
// to compare others with.
func (s *State) InAlarm(sensor string) bool {
	if s.mem == nil {
		return false
	}
	for i := range s.mem.Alarms {
		a := &s.mem.Alarms[i]
		if !a.holds() || a.Past || a.Source != telemetry.SourceRule {
			continue
		}
		if about(&a.Measure, &a.Threshold, sensor) || a.Other != nil && about(&a.Other.Measure, &a.Other.Threshold, sensor) {
			return true
		}
	}
	return false
}

func about(m *telemetry.Measure, t *telemetry.Threshold, sensor string) bool {
	return t.Parameter == sensor && m.Kind != string(BatteryLow) && m.Kind != string(SignalWeak)
}

// ownUnit is unitOf, but shares nothing with the reading.
func (x *step) ownUnit(c *cond) string { return strings.Clone(x.unitOf(c)) }
