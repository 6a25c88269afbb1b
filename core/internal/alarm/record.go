package alarm

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	minute = 60_000 // in ms, as all times here
	// chatterRaises raises within a minute are chatter.
	chatterRaises = 3
	// staleAfter is how long an alarm may hold before it is stale.
	staleAfter = 24 * 60 * minute
	// pastSlack is how much later than the longest wait a fresh reading may arrive.
	pastSlack = minute
)

// pastDue returns when, by the clock, to stop waiting for a fresh reading.
func (x *step) pastDue() int64 {
	return x.in.Received + x.in.Waited + x.rules.maxWait + 2*pastSlack
}

// raise makes an alarm of a condition that has held for its on-delay.
func (x *step) raise(r *rule, c *cell, at int64) {
	lead := &r.conds[min(int(c.Lead), r.n-1)]
	text := c.Text
	if r.onDelay > 0 {
		text += " for " + FormatDuration(r.OnDelay)
	}
	a := Alarm{
		Alert: telemetry.Alert{
			AlertID: AlertID(c.Device, r.Type, at), DeviceID: c.Device, AlertType: r.Type, Severity: r.Severity, Message: text,
			Threshold: lead.threshold(c.Value), CurrentValue: c.Value, PeakValue: c.Peak,
			Measure: x.rules.measureOf(lead, c), Combine: r.combine(), Other: c.Other,
			Priority: priority(r.Severity), Source: telemetry.SourceRule, Rule: r.ID, RuleVersion: r.version,
			RaisedAt: at, DetectedAt: x.detected, LastSeen: c.At, OccurrenceCount: 1,
			Deadband: lead.Deadband, OnDelayMS: r.onDelay, OffDelayMS: r.offDelay,
			Location: c.Location, Gateway: c.Gateway,
			Status: telemetry.AlertActive, State: telemetry.AlarmUnacknowledged,
			Evidence: &telemetry.AlarmEvidence{Partition: c.Partition, FirstOffset: c.First, LastOffset: c.Newest},
		},
		Bits: c.Bits, Lead: c.Lead, Fold: lead.fold, Since: at,
	}
	x.s.Changed = max(x.s.Changed, at)
	if c.Waited > x.rules.maxWait {
		a.Past = true
		if x.r != nil {
			a.PastDue = x.pastDue()
		} else {
			a.PastDue = x.detected + x.rules.maxWait + 2*pastSlack
		}
		m := x.own()
		m.Alarms = append(m.Alarms, a)
		x.keep = true
		return
	}
	x.open(a, at)
}

// open announces an alarm. If one of its type returned and was not acknowledged, it is that
// alarm again; from one that is normal it takes over shelving and chatter.
func (x *step) open(a Alarm, at int64) {
	m := x.own()
	event, from := telemetry.EventRaised, telemetry.AlarmNormal
	i := x.s.find(a.AlertType)
	if i < 0 {
		m.Alarms = append(m.Alarms, Alarm{})
		i = len(m.Alarms) - 1
	} else if old := &m.Alarms[i]; old.State == telemetry.AlarmReturned {
		event, from = telemetry.EventRepeated, old.State
		a.AlertID, a.Revision, a.History = old.AlertID, old.Revision, old.History
		a.RaisedAt, a.DetectedAt, a.OccurrenceCount = old.RaisedAt, old.DetectedAt, old.OccurrenceCount+1
		a.Comments, a.Assignee = old.Comments, old.Assignee
		if a.Fold.score(old.PeakValue) > a.Fold.score(a.PeakValue) {
			a.PeakValue = old.PeakValue
		}
	}
	old := &m.Alarms[i]
	a.Shelved, a.Chattering = old.Shelved, old.Chattering
	a.Raises = recent(old.Raises, at)
	if !old.shelvedByHand() {
		a.Shelved = x.s.shelfAt(at)
	}
	a.OutOfService = x.s.outOfService(a.AlertType)
	a.Status, a.State = telemetry.AlertActive, telemetry.AlarmUnacknowledged
	x.place(&a, at)
	m.Alarms[i] = a
	x.emit(i, change{event: event, from: from, at: at, value: &a.CurrentValue})
	if !a.Chattering && len(a.Raises) >= chatterRaises {
		m.Alarms[i].Chattering = true
		x.emit(i, change{event: telemetry.EventChattering, from: telemetry.AlarmUnacknowledged, at: at})
	}
}

// recent returns the raises within a minute before at, and at, at most chatterRaises.
func recent(raises []int64, at int64) []int64 {
	kept := make([]int64, 0, chatterRaises)
	for _, t := range raises[max(0, len(raises)-chatterRaises+1):] {
		if at-t < minute {
			kept = append(kept, t)
		}
	}
	return append(kept, at)
}

// clear ends an alarm's present occurrence.
func (x *step) clear(i int, at int64, value float64, text string) {
	x.seen(i)
	a := &x.own().Alarms[i]
	if a.Source == telemetry.SourceRule {
		x.s.Changed = max(x.s.Changed, at)
	}
	if a.Past {
		x.history(i, at, value, text)
		return
	}
	from := a.State
	a.Status, a.State, a.ClearedAt = telemetry.AlertCleared, telemetry.AlarmReturned, at
	// An alarm that operators were not shown needs no acknowledgement.
	if from == telemetry.AlarmAcknowledged || a.Suppressed != nil || a.OutOfService != nil || a.unseen() {
		a.State = telemetry.AlarmNormal
	}
	a.Suppressed, a.Stale, a.Uncertain = nil, false, false
	a.Bits, a.OffDue, a.OffText = 0, 0, ""
	a.Message, a.CurrentValue = text, value
	x.emit(i, change{event: telemetry.EventCleared, from: from, at: at, value: &value})
	x.drop(i, at)
}

// history records an incident that had ended before it was found.
func (x *step) history(i int, at int64, value float64, text string) {
	a := &x.s.mem.Alarms[i]
	peak, first := a.PeakValue, a.CurrentValue
	a.Historical = true
	a.PeakValue = first
	x.emit(i, change{event: telemetry.EventRaised, from: telemetry.AlarmNormal, at: a.RaisedAt, value: &first})
	a.Status, a.State, a.ClearedAt = telemetry.AlertCleared, telemetry.AlarmNormal, at
	a.Message, a.CurrentValue, a.PeakValue = text, value, peak
	x.emit(i, change{event: telemetry.EventCleared, from: telemetry.AlarmUnacknowledged, at: at, value: &value})
	x.remove(i)
}

// promote makes an incident of old readings an alarm, since it still holds.
func (x *step) promote(i int) {
	a := x.own().Alarms[i]
	x.remove(i)
	a.Past, a.PastDue = false, 0
	a.DetectedAt = x.detected
	x.open(a, a.RaisedAt)
}

// drop removes an alarm that is over, unless the next one needs something of it: its
// shelving, or its raises, to detect chatter.
func (x *step) drop(i int, at int64) {
	a := &x.s.mem.Alarms[i]
	if a.State != telemetry.AlarmNormal || a.shelvedByHand() || a.Chattering {
		return
	}
	if n := len(a.Raises); n == 0 || at-a.Raises[n-1] >= minute {
		x.remove(i)
	}
}

func (x *step) remove(i int) {
	m := x.own()
	m.Alarms = slices.Delete(m.Alarms, i, i+1)
}

// change describes a transition.
type change struct {
	event telemetry.AlarmEvent
	from  telemetry.AlarmState
	at    int64
	value *float64
	// Of a command to the alarm.
	command *telemetry.AlarmCommand
	// Of a command to the device.
	actor    telemetry.Actor
	by, note string
}

// emit appends the record of a transition of alarm i, which already has its new state.
func (x *step) emit(i int, c change) {
	x.seen(i)
	a := &x.own().Alarms[i]
	a.Revision++
	a.Event, a.Timestamp = c.event, c.at
	h := telemetry.AlarmChange{At: c.at, Event: c.event, State: a.State, Value: c.value, By: c.by, Note: c.note}
	audit := telemetry.AuditEntry{
		Time: c.at, DeviceID: a.DeviceID, AlertType: a.AlertType, AlertID: a.AlertID, Building: a.Location.Building, Rule: a.Rule, Revision: a.Revision,
		Event: c.event, From: c.from, To: a.State, Actor: c.actor, By: c.by, Note: c.note,
	}
	if c.command != nil {
		h.By, h.Note = c.command.By, c.command.Note
		audit.Actor, audit.By, audit.Note = c.command.Actor, c.command.By, c.command.Note
		audit.CommandID, audit.Action, audit.Outcome = c.command.CommandID, c.command.Action, telemetry.OutcomeApplied
	}
	// The slice is shared with emitted records: never written to.
	a.History = slices.Concat(a.History[max(0, len(a.History)-maxHistory+1):], []telemetry.AlarmChange{h})
	x.out = append(x.out, Transition{Alert: a.Alert, Audit: audit})
	x.keep = true
}

// seen updates last_seen: while an alarm holds, every reading of its signal confirms it.
func (x *step) seen(i int) {
	a := &x.s.mem.Alarms[i]
	if !a.holds() || a.Source != telemetry.SourceRule || a.OffDue != 0 {
		return
	}
	if last := x.s.lastOf(a.Threshold.Parameter); last > a.LastSeen {
		x.own().Alarms[i].LastSeen = last
	}
}
