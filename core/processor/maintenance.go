package processor

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// maintain applies a command that begins or ends the maintenance of a device.
func (t *task) maintain(c *telemetry.AlarmCommand, now int64) {
	if slices.Contains(t.life.metas[c.DeviceID].Commands, c.CommandID) || slices.Contains(t.life.removals[c.DeviceID].Commands, c.CommandID) {
		return // it was applied before
	}
	meta, entry := t.life.metas[c.DeviceID], t.entryOf(c)
	meta.DeviceID, entry.Until = c.DeviceID, c.Until
	if d := t.devices[c.DeviceID]; d != nil {
		d.alarm, t.alarms.changes = t.alarms.rules.Maintain(d.alarm, c, now, &entry, t.alarms.changes[:0])
		t.alarms.publish(d, entry.Outcome == telemetry.OutcomeApplied, t.out)
		meta.Maintenance = d.alarm.Maintenance()
	} else {
		entry.Outcome, entry.Reason = telemetry.OutcomeRefused, "there is no such device"
	}
	shown := meta
	shown.Commands = nil
	entry.Meta = &shown
	meta.Commands = newest(slices.Concat(meta.Commands, []string{c.CommandID}))
	t.life.write(meta, t.out)
	t.alarms.audit(&entry, t.out)
}

// followMaintenance shows which devices are under maintenance: the alarm states decide, and the
// records in device-meta follow in the same transaction. One that ended by itself has an
// entry of its own in the audit trail.
func (t *task) followMaintenance() {
	for _, d := range t.alarms.changed {
		meta := t.life.metas[d.id]
		was, is := meta.Maintenance, d.alarm.Maintenance()
		if !d.alarmChanged || was == is || was != nil && is != nil && *was == *is {
			continue // or removed since
		}
		meta.DeviceID, meta.Maintenance = d.id, is
		t.life.write(meta, t.out)
		if is == nil {
			t.alarms.audit(&telemetry.AuditEntry{
				Time: was.Until, DeviceID: d.id, Building: d.presence.Location().Building, Event: telemetry.EventMaintenanceOver,
			}, t.out)
		}
	}
}
