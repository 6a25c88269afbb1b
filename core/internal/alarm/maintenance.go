package alarm

import (
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// maintenanceLag is the most, in ms, by which a device whose readings come late may be under
// maintenance beyond its end by the clock.
const maintenanceLag = minute

// Maintenance returns the maintenance that the device is under, nil for none. It is immutable.
func (s State) Maintenance() *telemetry.Maintenance {
	if s.mem == nil {
		return nil
	}
	return s.mem.Maintenance
}

// Maintain applies a command that begins, changes or ends the maintenance of a device, at the
// clock's now (ms), and puts the outcome into its entry of the audit trail, which is written behind those of
// the transitions. The state changed if that is OutcomeApplied. Unlike Command it does not know commands
// that were applied before: the caller does.
func (rs *Rules) Maintain(s State, c *telemetry.AlarmCommand, now int64, entry *telemetry.AuditEntry, dst []Transition) (State, []Transition) {
	x := step{rules: rs, s: s, out: dst, detected: now}
	entry.Outcome, entry.Reason = x.maintain(c, now)
	if entry.Outcome == telemetry.OutcomeApplied {
		entry.Event = telemetry.EventMaintenance
		if c.Action == telemetry.ActionEndMaintenance {
			entry.Event = telemetry.EventMaintenanceOver
		}
	}
	s, dst, _ = x.end()
	return s, dst
}

func (x *step) maintain(c *telemetry.AlarmCommand, now int64) (telemetry.Outcome, string) {
	was := x.s.Maintenance()
	switch {
	case c.Action == telemetry.ActionEndMaintenance && was == nil:
		return telemetry.OutcomeNothing, "it is not under maintenance"
	case c.Action == telemetry.ActionEndMaintenance:
		x.endMaintenance(change{at: c.At, actor: c.Actor, by: c.By, note: c.Note})
	case c.Until <= now:
		return telemetry.OutcomeRefused, "the end of the maintenance is past"
	case was != nil && was.Until == c.Until && was.Reason == c.Note:
		return telemetry.OutcomeNothing, "it is under maintenance until then already"
	default:
		x.beginMaintenance(c)
	}
	return telemetry.OutcomeApplied, ""
}

// beginMaintenance shelves the alarms of the device, but for those that are shelved already.
func (x *step) beginMaintenance(c *telemetry.AlarmCommand) {
	m := x.own()
	next := &telemetry.Maintenance{By: c.By, At: c.At, Until: c.Until, Reason: c.Note}
	if m.Maintenance != nil {
		next.At = m.Maintenance.At // it goes on
	}
	m.Maintenance = next
	for i := range m.Alarms {
		a := &m.Alarms[i]
		if a.Past || a.State == telemetry.AlarmNormal || a.Shelved != nil && !a.Shelved.Maintenance {
			continue
		}
		a.DeviceID = c.DeviceID // states of the first version lack it
		a.Shelved = shelf(next)
		x.emit(i, change{event: telemetry.EventShelved, from: a.State, at: c.At, actor: c.Actor, by: c.By, note: c.Note})
	}
}

// endMaintenance ends the maintenance of the device; how has when and by whom. What still holds is an alarm
// like any other from then on.
func (x *step) endMaintenance(how change) {
	m := x.own()
	m.Maintenance = nil
	for i := len(m.Alarms) - 1; i >= 0; i-- {
		a := &m.Alarms[i]
		if a.Shelved == nil || !a.Shelved.Maintenance {
			continue
		}
		a.Shelved = nil
		if a.State != telemetry.AlarmNormal {
			how.event, how.from = telemetry.EventUnshelved, a.State
			x.emit(i, how)
		}
		x.drop(i, how.at)
	}
}

// shelfAt returns how an alarm raised at an event time is shelved by the maintenance of its device, nil if
// it is not. The event time decides: when the reading arrives does not matter.
func (s *State) shelfAt(at int64) *telemetry.Shelved {
	if m := s.Maintenance(); m != nil && at < m.Until {
		return shelf(m)
	}
	return nil
}

func shelf(m *telemetry.Maintenance) *telemetry.Shelved {
	return &telemetry.Shelved{By: m.By, At: m.At, Until: m.Until, Reason: m.Reason, Maintenance: true}
}

// shelvedByHand reports whether an operator shelved this alarm itself: that outlives the incident.
func (a *Alarm) shelvedByHand() bool { return a.Shelved != nil && !a.Shelved.Maintenance }

// unseen reports whether a was raised under maintenance, so that operators were not called.
func (a *Alarm) unseen() bool {
	return a.Shelved != nil && a.Shelved.Maintenance && a.RaisedAt >= a.Shelved.At
}

// underMaintenance explains why an alarm cannot be unshelved alone.
func (a *Alarm) underMaintenance() string {
	return "its device is under maintenance until " + time.UnixMilli(a.Shelved.Until).UTC().Format(time.RFC3339)
}
