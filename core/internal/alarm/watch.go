package alarm

import (
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// Watch takes in a condition that was judged outside. Calling it again with the same
// says nothing new.
//
// While w.Parent names the alarm that explains this one, the alarm is suppressed; when
// it ends so, it is normal at once, as nobody was told of it. The caller goes on naming
// the parent for a grace after that one has cleared, and what still holds then comes
// forward with w.Parent empty.
//
// A rule of kind offline whose type is w.Type sets severity and on-delay; where such
// rules exist and none of them fits the device, there is no alarm. Two incidents of one
// type must differ in Since.
func (rs *Rules) Watch(s State, w Watch, dst []Transition) (State, []Transition, bool) {
	x := step{rules: rs, s: s, out: dst, detected: w.Now}
	r, wanted := rs.offline(&w)
	i := x.s.find(w.Type)
	holding := i >= 0 && x.s.mem.Alarms[i].holds()
	switch {
	case w.Holds && wanted && holding:
		x.rewatch(i, r, &w)
	case w.Holds && wanted:
		x.watched(i, r, &w)
	case holding && !w.Holds:
		a := &x.s.mem.Alarms[i]
		at := max(w.Since, a.Since)
		text := w.Message
		if text == "" {
			text = strings.ReplaceAll(w.Type, "_", " ") + " is over"
		}
		x.own().Alarms[i].LastSeen = max(a.LastSeen, at)
		x.clear(i, at, w.Value, text)
	case holding:
		a := &x.s.mem.Alarms[i]
		x.clear(i, max(w.Now, a.Since), a.CurrentValue, "the rule "+a.Rule+" is gone or not for this device")
	}
	return x.end()
}

// offline returns the rule for a watched condition, nil when none has anything to say,
// and whether an alarm is wanted.
func (rs *Rules) offline(w *Watch) (*rule, bool) {
	for _, r := range rs.byType[w.Type] {
		if r.If.Kind == Offline && (r.anywhere || r.Where.fits(w.Device, w.Model, w.Location)) {
			return r, true
		}
	}
	return nil, !rs.watched[w.Type]
}

// watched raises an alarm, once its on-delay is over.
func (x *step) watched(i int, r *rule, w *Watch) {
	at := w.Since
	a := Alarm{
		Alert: telemetry.Alert{
			DeviceID: w.Device, AlertType: w.Type, Severity: w.severity(r), Message: w.Message, Status: telemetry.AlertActive,
			Threshold: w.Threshold, CurrentValue: w.Value, PeakValue: w.Value, Source: w.Source,
			DetectedAt: w.Now, OccurrenceCount: 1, Location: w.Location, Gateway: w.Gateway,
		},
	}
	if a.Source == "" {
		a.Source = telemetry.SourceWatchdog
	}
	if a.Message == "" {
		a.Message = strings.ReplaceAll(w.Type, "_", " ")
	}
	if strings.HasPrefix(w.Threshold.Operator, "<") {
		a.Fold = negated
	}
	if r != nil {
		a.Rule, a.RuleVersion, a.OnDelayMS = r.ID, r.version, r.onDelay
		at += r.onDelay
		if w.Now < at {
			return
		}
	}
	if i >= 0 { // not before the end of the last occurrence
		at = max(at, x.s.mem.Alarms[i].ClearedAt)
	}
	a.Priority = priority(a.Severity)
	a.RaisedAt, a.Since, a.LastSeen = at, at, max(at, w.Now)
	a.AlertID = AlertID(w.Device, w.Type, at)
	if w.Parent != "" {
		a.Suppressed = &telemetry.Suppressed{ByAlarm: w.Parent, At: at}
		a.ParentAlarmID = w.Parent
	}
	x.open(a, at)
}

// rewatch is for an alarm that holds already: it may have got another parent, or worse.
func (x *step) rewatch(i int, r *rule, w *Watch) {
	a := &x.s.mem.Alarms[i]
	from := a.State
	if a.worse(w.Value) {
		a = &x.own().Alarms[i]
		a.PeakValue = w.Value
		x.keep = true
	}
	if s := w.severity(r); s != a.Severity {
		a = &x.own().Alarms[i]
		a.Severity, a.Priority, a.CurrentValue = s, priority(s), w.Value
		a.LastSeen = max(a.LastSeen, w.Now)
		if w.Message != "" {
			a.Message = w.Message
		}
		x.emit(i, change{event: telemetry.EventEscalated, from: from, at: w.Now, value: &w.Value})
		a = &x.s.mem.Alarms[i]
	}
	switch {
	case w.Parent == "" && a.Suppressed != nil:
		x.own().Alarms[i].Suppressed = nil
		x.emit(i, change{event: telemetry.EventUnsuppressed, from: from, at: w.Now})
	case w.Parent != "" && (a.Suppressed == nil || a.Suppressed.ByAlarm != w.Parent):
		a = &x.own().Alarms[i]
		a.Suppressed = &telemetry.Suppressed{ByAlarm: w.Parent, At: w.Now}
		a.ParentAlarmID = w.Parent
		x.emit(i, change{event: telemetry.EventSuppressed, from: from, at: w.Now})
	}
}

func (w *Watch) severity(r *rule) telemetry.Severity {
	switch {
	case r != nil:
		return r.Severity
	case w.Severity != "":
		return w.Severity
	default:
		return telemetry.SeverityMedium
	}
}
