package alarm

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Command applies an operator's command at the clock's now (ms). The entry has its outcome;
// if the command made transitions, the entry is the first one's Audit, so it needs to be
// written separately only when none was appended. Further ones are of alarms that the first
// explains, or no longer does. It is empty for a command that
// was applied before, and nothing needs to be written.
func (rs *Rules) Command(s State, c *telemetry.AlarmCommand, now int64, dst []Transition) (State, []Transition, telemetry.AuditEntry, bool) {
	if s.mem != nil && slices.ContainsFunc(s.mem.Done, func(d done) bool { return d.ID == c.CommandID }) {
		return s, dst, telemetry.AuditEntry{}, false
	}
	x := step{rules: rs, s: s, out: dst, detected: now}
	var outcome telemetry.Outcome
	var reason string
	if err := c.Check(); err != nil {
		outcome, reason = telemetry.OutcomeRefused, err.Error()
	} else {
		outcome, reason = x.apply(c, now)
	}
	m := x.own()
	m.Done = slices.Concat(m.Done[max(0, len(m.Done)-maxDone+1):], []done{{ID: c.CommandID, At: now}})
	entry := telemetry.AuditEntry{
		Actor: c.Actor, Time: c.At, DeviceID: c.DeviceID, AlertType: c.AlertType, AlertID: c.AlertID,
		By: c.By, CommandID: c.CommandID, Action: c.Action, Outcome: outcome, Reason: reason, Note: c.Note,
	}
	if len(x.out) > len(dst) {
		entry = x.out[len(dst)].Audit
	} else if i := x.s.find(c.AlertType); i >= 0 {
		a := &x.s.mem.Alarms[i]
		entry.AlertID, entry.From, entry.To = a.AlertID, a.State, a.State
		entry.Building, entry.Rule = a.Location.Building, a.Rule
	}
	if entry.Event == "" && outcome == telemetry.OutcomeApplied { // without an alarm
		entry.Event = telemetry.EventOutOfService
		switch c.Action { //nolint:exhaustive // the others need an alarm
		case telemetry.ActionInService:
			entry.Event = telemetry.EventInService
		case telemetry.ActionNotAnomaly:
			entry.Event = telemetry.EventNotAnomaly
		}
	}
	if c.Action == telemetry.ActionOutOfService || c.Action == telemetry.ActionInService {
		x.relate(c.At) // what the alarm explains
	}
	s, dst, _ = x.end()
	return s, dst, entry, true
}

// apply carries out c and returns the outcome and the reason.
func (x *step) apply(c *telemetry.AlarmCommand, now int64) (telemetry.Outcome, string) {
	i := x.s.find(c.AlertType)
	if i >= 0 && x.s.mem.Alarms[i].DeviceID == "" {
		x.own().Alarms[i].DeviceID = c.DeviceID // states of the first version lack it
	}
	switch c.Action {
	case telemetry.ActionOutOfService:
		return x.takeOut(i, c)
	case telemetry.ActionInService:
		return x.putBack(i, c)
	case telemetry.ActionNotAnomaly:
		return x.notAnomaly(i, c)
	default:
	}
	if i < 0 {
		return telemetry.OutcomeRefused, "there is no such alarm"
	}
	a := &x.s.mem.Alarms[i]
	if c.AlertID != "" && c.AlertID != a.AlertID {
		return telemetry.OutcomeRefused, "that alarm is over; the present one is " + a.AlertID
	}
	if a.State == telemetry.AlarmNormal && (c.Action != telemetry.ActionUnshelve || a.Shelved == nil) {
		return telemetry.OutcomeNothing, "the alarm is over"
	}
	switch c.Action {
	case telemetry.ActionAcknowledge:
		return x.acknowledge(i, c, now)
	case telemetry.ActionShelve:
		return x.shelve(i, c, now)
	case telemetry.ActionUnshelve:
		return x.unshelve(i, c, now)
	case telemetry.ActionComment:
		a = &x.own().Alarms[i]
		// The slice is shared with emitted records: never written to.
		a.Comments = slices.Concat(a.Comments[max(0, len(a.Comments)-maxComments+1):], []telemetry.Comment{{By: c.By, At: c.At, Text: c.Note}})
		return x.done(i, c, telemetry.EventCommented, a.State)
	case telemetry.ActionAssign:
		if a.Assignee == c.Assignee {
			return telemetry.OutcomeNothing, "it is assigned so already"
		}
		x.own().Alarms[i].Assignee = c.Assignee
		return x.done(i, c, telemetry.EventAssigned, a.State)
	default:
		return telemetry.OutcomeRefused, "unknown action " + string(c.Action)
	}
}

// done records what a command changed.
func (x *step) done(i int, c *telemetry.AlarmCommand, e telemetry.AlarmEvent, from telemetry.AlarmState) (telemetry.Outcome, string) {
	x.emit(i, change{event: e, from: from, at: c.At, command: c})
	return telemetry.OutcomeApplied, ""
}

func (x *step) acknowledge(i int, c *telemetry.AlarmCommand, now int64) (telemetry.Outcome, string) {
	a := &x.s.mem.Alarms[i]
	from := a.State
	if from == telemetry.AlarmAcknowledged {
		by := ""
		if a.Ack != nil {
			by = " by " + a.Ack.By
		}
		return telemetry.OutcomeNothing, "it is acknowledged already" + by
	}
	a = &x.own().Alarms[i]
	a.State = telemetry.AlarmAcknowledged
	if from == telemetry.AlarmReturned {
		a.State = telemetry.AlarmNormal
	}
	a.Ack = &telemetry.Ack{By: c.By, At: c.At, Note: c.Note}
	outcome, reason := x.done(i, c, telemetry.EventAcknowledged, from)
	x.drop(i, now)
	return outcome, reason
}

func (x *step) shelve(i int, c *telemetry.AlarmCommand, now int64) (telemetry.Outcome, string) {
	a := &x.s.mem.Alarms[i]
	switch {
	case c.Until <= now:
		return telemetry.OutcomeRefused, "the time until which to shelve is past"
	case a.shelvedByHand() && a.Shelved.Until == c.Until:
		return telemetry.OutcomeNothing, "it is shelved until then already"
	}
	a = &x.own().Alarms[i]
	a.Shelved = &telemetry.Shelved{By: c.By, At: c.At, Until: c.Until, Reason: c.Note}
	return x.done(i, c, telemetry.EventShelved, a.State)
}

func (x *step) unshelve(i int, c *telemetry.AlarmCommand, now int64) (telemetry.Outcome, string) {
	if x.s.mem.Alarms[i].Shelved == nil {
		return telemetry.OutcomeNothing, "it is not shelved"
	}
	if a := &x.s.mem.Alarms[i]; a.Shelved.Maintenance {
		return telemetry.OutcomeRefused, a.underMaintenance()
	}
	a := &x.own().Alarms[i]
	a.unshelve(x.s.shelfAt(c.At))
	outcome, reason := x.done(i, c, telemetry.EventUnshelved, a.State)
	x.drop(i, now)
	return outcome, reason
}

// unshelve ends the shelving by hand; shelf is that by the maintenance of the device, nil for none.
func (a *Alarm) unshelve(shelf *telemetry.Shelved) {
	a.Shelved = nil
	if a.State != telemetry.AlarmNormal {
		a.Shelved = shelf
	}
}

// takeOut takes a device's alarm type out of service, whether or not there is an alarm.
func (x *step) takeOut(i int, c *telemetry.AlarmCommand) (telemetry.Outcome, string) {
	if x.s.outOfService(c.AlertType) != nil {
		return telemetry.OutcomeNothing, "it is out of service already"
	}
	m := x.own()
	if len(m.OutOfService) >= maxOut {
		return telemetry.OutcomeRefused, "too many of the device's alarms are out of service"
	}
	out := telemetry.OutOfService{By: c.By, At: c.At, Reason: c.Note}
	m.OutOfService = append(m.OutOfService, outOfService{Type: c.AlertType, OutOfService: out})
	if i < 0 || m.Alarms[i].State == telemetry.AlarmNormal {
		return telemetry.OutcomeApplied, ""
	}
	m.Alarms[i].OutOfService = &out
	return x.done(i, c, telemetry.EventOutOfService, m.Alarms[i].State)
}

func (x *step) putBack(i int, c *telemetry.AlarmCommand) (telemetry.Outcome, string) {
	if x.s.outOfService(c.AlertType) == nil {
		return telemetry.OutcomeNothing, "it is in service"
	}
	m := x.own()
	m.OutOfService = slices.DeleteFunc(m.OutOfService, func(o outOfService) bool { return o.Type == c.AlertType })
	if i < 0 || m.Alarms[i].State == telemetry.AlarmNormal {
		return telemetry.OutcomeApplied, ""
	}
	m.Alarms[i].OutOfService = nil
	return x.done(i, c, telemetry.EventInService, m.Alarms[i].State)
}

// notAnomaly ends an alarm of which an operator says that what it is about is usual. It needs no
// acknowledgement. Without an alarm there is nothing to end: what follows for the detector is the
// caller's.
func (x *step) notAnomaly(i int, c *telemetry.AlarmCommand) (telemetry.Outcome, string) {
	if i < 0 || x.s.mem.Alarms[i].State == telemetry.AlarmNormal {
		if c.AlertID != "" && (i < 0 || c.AlertID != x.s.mem.Alarms[i].AlertID) {
			return telemetry.OutcomeRefused, "that alarm is over"
		}
		return telemetry.OutcomeApplied, ""
	}
	a := &x.own().Alarms[i]
	if c.AlertID != "" && c.AlertID != a.AlertID {
		return telemetry.OutcomeRefused, "that alarm is over; the present one is " + a.AlertID
	}
	from, at := a.State, max(c.At, a.Since)
	if a.holds() {
		a.ClearedAt = at
	}
	a.Status, a.State = telemetry.AlertCleared, telemetry.AlarmNormal
	a.Suppressed, a.Stale, a.Uncertain, a.Message = nil, false, false, "an operator says that it is usual"
	x.emit(i, change{event: telemetry.EventNotAnomaly, from: from, at: at, command: c})
	x.drop(i, at)
	return telemetry.OutcomeApplied, ""
}
