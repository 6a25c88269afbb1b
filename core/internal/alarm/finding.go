package alarm

import (
	"cmp"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// Apply applies a finding. Repeating it has no effect.
//
// While f.Parent names the alarm that explains this one, the alarm is suppressed; if it
// ends so, it is normal at once, since no notification was sent. The caller keeps naming
// the parent for a grace period after that one has cleared; an alarm that still holds
// then is unsuppressed by an empty f.Parent.
//
// A rule of kind offline whose type is f.Type sets severity and on-delay; if such rules
// exist and none matches the device, there is no alarm. Two incidents of one type must
// differ in Since.
func (rs *Rules) Apply(s State, f Finding, dst []Transition) (State, []Transition, bool) {
	x := step{rules: rs, s: s, out: dst, detected: cmp.Or(f.Detected, f.Now)}
	r, wanted := rs.offline(&f)
	i := x.s.find(f.Type)
	holding := i >= 0 && x.s.mem.Alarms[i].holds()
	switch {
	case f.Holds && wanted && holding:
		x.updateFinding(i, r, &f)
	case f.Holds && wanted:
		x.raiseFinding(i, r, &f)
	case holding && !f.Holds:
		a := &x.s.mem.Alarms[i]
		at := max(f.Since, a.Since)
		text := f.Message
		if text == "" {
			text = strings.ReplaceAll(f.Type, "_", " ") + " is over"
		}
		x.own().Alarms[i].LastSeen = max(a.LastSeen, at)
		x.clear(i, at, f.Value, text)
	case holding:
		a := &x.s.mem.Alarms[i]
		x.clear(i, max(f.Now, a.Since), a.CurrentValue, "the rule "+a.Rule+" is gone or not for this device")
	}
	x.relate(f.Since)
	return x.end()
}

// offline returns the rule for a finding, nil for none, and whether an alarm is wanted.
func (rs *Rules) offline(f *Finding) (*rule, bool) {
	for _, r := range rs.byType[f.Type] {
		if r.If.Kind == Offline && (r.anywhere || r.Where.fits(f.Device, f.Model, f.Location)) {
			return r, true
		}
	}
	return nil, !rs.offlineTypes[f.Type]
}

// raiseFinding raises an alarm, once its on-delay has passed.
func (x *step) raiseFinding(i int, r *rule, f *Finding) {
	at := f.Since
	a := Alarm{
		Alert: telemetry.Alert{
			DeviceID: f.Device, AlertType: f.Type, Severity: f.severity(r), Message: f.Message, Status: telemetry.AlertActive,
			Threshold: f.Threshold, CurrentValue: f.Value, PeakValue: f.Value, Source: f.Source,
			Measure: telemetry.Measure{Kind: f.Type}, SilentSince: f.SilentSince,
			DetectedAt: x.detected, OccurrenceCount: 1, Location: f.Location, Gateway: f.Gateway,
		},
	}
	if a.Source == "" {
		a.Source = telemetry.SourceWatchdog
	}
	if a.Message == "" {
		a.Message = strings.ReplaceAll(f.Type, "_", " ")
	}
	if strings.HasPrefix(f.Threshold.Operator, "<") {
		a.Fold = negated
	}
	if f.Anomaly != nil {
		a.Anomaly, a.Measure = f.Anomaly, telemetry.Measure{Kind: string(Anomaly), Unit: f.Unit}
		_, a.RuleVersion, _ = x.rules.Rule(f.Rule)
		a.Rule = f.Rule
	}
	if r != nil {
		a.Rule, a.RuleVersion, a.OnDelayMS = r.ID, r.version, r.onDelay
		at += r.onDelay
		if f.Now < at {
			return
		}
	}
	if i >= 0 { // not before the end of the last occurrence
		at = max(at, x.s.mem.Alarms[i].ClearedAt)
	}
	a.Priority = priority(a.Severity)
	a.RaisedAt, a.Since, a.LastSeen = at, at, max(at, f.Now)
	a.AlertID = AlertID(f.Device, f.Type, at)
	if f.Parent != "" {
		a.explain(f.Parent, at)
	}
	x.open(a, at)
}

// updateFinding updates an alarm that holds: its parent, severity or peak.
func (x *step) updateFinding(i int, r *rule, f *Finding) {
	a := &x.s.mem.Alarms[i]
	from := a.State
	if a.worse(f.Value) {
		a = &x.own().Alarms[i]
		a.PeakValue = f.Value
		x.keep = true
	}
	if s := f.severity(r); s != a.Severity {
		a = &x.own().Alarms[i]
		a.Severity, a.Priority, a.CurrentValue = s, priority(s), f.Value
		if f.Anomaly != nil {
			a.Anomaly = f.Anomaly
		}
		a.LastSeen = max(a.LastSeen, f.Now)
		if f.Message != "" {
			a.Message = f.Message
		}
		x.emit(i, change{event: telemetry.EventEscalated, from: from, at: f.Now, value: &f.Value})
		a = &x.s.mem.Alarms[i]
	}
	switch {
	case f.Parent == "" && a.Suppressed != nil:
		x.own().Alarms[i].Suppressed = nil
		x.emit(i, change{event: telemetry.EventUnsuppressed, from: from, at: f.Now})
	case f.Parent != "" && (a.Suppressed == nil || a.Suppressed.ByAlarm != f.Parent):
		a = &x.own().Alarms[i]
		a.explain(f.Parent, f.Now)
		x.emit(i, change{event: telemetry.EventSuppressed, from: from, at: f.Now})
	}
}

func (f *Finding) severity(r *rule) telemetry.Severity {
	switch {
	case r != nil:
		return r.Severity
	case f.Severity != "":
		return f.Severity
	default:
		return telemetry.SeverityMedium
	}
}
