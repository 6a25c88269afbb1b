package processor

import (
	"industrial-iot-monitor/internal/telemetry"
)

// maintain applies a command that begins or ends the maintenance of a device.
func (t *task) maintain(c *telemetry.AlarmCommand, now int64) {
	d, known := t.devices[c.DeviceID]
	if !known {
		d = &device{id: c.DeviceID}
	}
	state, changes, entry, keep := t.alarms.rules.Maintain(d.alarm, c, now, t.alarms.changes[:0])
	if keep {
		if !known {
			d = t.addDevice(c.DeviceID)
		}
		d.alarm = state
	}
	t.alarms.changes = changes
	t.alarms.publish(d, keep, t.out)
	if !keep {
		return // it was applied before
	}
	entry.Building = d.presence.Location().Building
	t.life.maintain(d.id, d.alarm.Maintenance(), t.out)
	if m := t.life.metas[d.id]; m.Revision > 0 || m.Maintenance != nil {
		m.Commands = nil
		entry.Meta = &m
	}
	t.alarms.audit(&entry, t.out)
}

// followMaintenance shows which devices are under maintenance: the alarm states decide, and the
// records in device-meta follow in the same transaction. One that ended by itself has an
// entry of its own in the audit trail.
func (t *task) followMaintenance() {
	for _, d := range t.alarms.changed {
		if !d.alarmChanged {
			continue // removed since
		}
		was := t.life.metas[d.id].Maintenance
		if t.life.maintain(d.id, d.alarm.Maintenance(), t.out) && was != nil && d.alarm.Maintenance() == nil {
			t.alarms.audit(&telemetry.AuditEntry{
				Time: was.Until, DeviceID: d.id, Building: d.presence.Location().Building, Event: telemetry.EventMaintenanceOver,
			}, t.out)
		}
	}
}

// maintain notes the maintenance of a device, nil for none, and reports whether that is news.
func (l *lifeStage) maintain(id string, m *telemetry.Maintenance, out *batch) bool {
	meta := l.metas[id]
	if m == meta.Maintenance || m != nil && meta.Maintenance != nil && *m == *meta.Maintenance {
		return false
	}
	meta.DeviceID, meta.Maintenance = id, m
	if m == nil && meta.Revision == 0 {
		delete(l.metas, id)
		out.metas[id] = nil // nothing else was written about it
		return true
	}
	l.write(meta, out)
	return true
}
