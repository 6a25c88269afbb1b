package alarm

import "industrial-iot-monitor/internal/telemetry"

// Removal is the end of a device.
type Removal struct {
	Actor  telemetry.Actor
	Device string
	By     string // empty: the system
	Note   string // of the operator
	// Message says why, in the last record of each alarm.
	Message string
	Now     int64 // by the clock, ms
}

// Remove closes the alarms of a device that is removed: each that is open or shelved gets one
// last record. An incident found in old readings becomes history. Nothing of s is needed
// afterwards, but for Seen: a later device of that id must not have incidents from before.
func Remove(s State, r Removal, dst []Transition) []Transition {
	x := step{s: s, out: dst, detected: r.Now}
	if s.mem == nil {
		return dst
	}
	for i := len(x.s.mem.Alarms) - 1; i >= 0; i-- {
		switch a := &x.s.mem.Alarms[i]; {
		case a.Past:
			x.own()
			x.history(i, max(r.Now, a.RaisedAt), a.CurrentValue, r.Message)
		case a.State != telemetry.AlarmNormal || a.Shelved != nil:
			x.close(i, r)
		}
	}
	return x.out
}

func (x *step) close(i int, r Removal) {
	x.seen(i)
	a := &x.own().Alarms[i]
	from, at := a.State, max(r.Now, a.Since)
	if a.holds() {
		a.ClearedAt = at
	}
	a.DeviceID = r.Device // states of the first version lack it
	a.Status, a.State, a.Message = telemetry.AlertCleared, telemetry.AlarmNormal, r.Message
	a.Suppressed, a.Shelved, a.Stale, a.Chattering, a.Uncertain = nil, nil, false, false, false
	x.emit(i, change{event: telemetry.EventRemoved, from: from, at: at})
	t := &x.out[len(x.out)-1]
	t.Audit.Actor, t.Audit.By, t.Audit.Note = r.Actor, r.By, r.Note
	last := &t.Alert.History[len(t.Alert.History)-1] // in a slice that emit made
	last.By, last.Note = r.By, r.Note
}

// Keeps reports whether s keeps a silent device from being forgotten: an alarm is open that is
// not about the silence or the clock of the device itself, an operator took something out of
// service, or it is under maintenance.
func (s State) Keeps() bool {
	if s.mem == nil {
		return false
	}
	if len(s.mem.OutOfService) > 0 || s.mem.Maintenance != nil {
		return true
	}
	for i := range s.mem.Alarms {
		if a := &s.mem.Alarms[i]; a.State != telemetry.AlarmNormal && a.Source != telemetry.SourceWatchdog {
			return true
		}
	}
	return false
}
