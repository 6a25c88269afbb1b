package processor

import (
	"encoding/json"

	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// follow makes the rules in force those of the readings to come.
func (t *task) follow() {
	b := t.p.rules.load()
	if b == t.book {
		return
	}
	t.book = b
	if b.rules.NeedsRoom() && t.rooms == nil {
		t.rooms = rooms.New() // kept from then on: devices have their places in it
	}
	// A rule may say something else now about what the clock has found.
	clear(t.told)
	for _, d := range t.devices {
		d.silence = verdict{}
	}
}

// comparing reports whether a rule compares the sensors of a room.
func (t *task) comparing() bool { return t.rooms != nil && t.book.rules.NeedsRoom() }

// keep puts d on the list of alarm states to write.
func (t *task) keep(d *device) {
	if !d.alarmed {
		d.alarmed = true
		t.alarmed = append(t.alarmed, d)
	}
}

// publish makes records of the changes of d's alarms.
func (t *task) publish(d *device) {
	for i := range t.changes {
		a := &t.changes[i].Alert
		data, err := wire.EncodeAlert(a)
		if err != nil {
			t.p.log.Error("alert cannot be encoded", "alert", a.AlertID, "err", err)
			continue
		}
		t.out.alerts = append(t.out.alerts, alertRecord{
			device: d.id, status: a.Status, severity: a.Severity, event: a.Event, quiet: quiet(a), data: data,
		})
		t.audit(&t.changes[i].Audit)
	}
	clear(t.changes)
}

// quiet reports whether nobody is to be called for an alarm: it is long over, somebody
// has put it aside, or another one explains it.
func quiet(a *telemetry.Alert) bool {
	return a.Historical || a.Suppressed != nil || a.Shelved != nil || a.OutOfService != nil
}

// audit makes a record of an entry.
func (t *task) audit(e *telemetry.AuditEntry) {
	data, err := json.Marshal(e)
	if err != nil {
		t.p.log.Error("audit entry cannot be encoded", "device", e.DeviceID, "err", err)
		return
	}
	t.out.audits = append(t.out.audits, auditRecord{device: e.DeviceID, outcome: e.Outcome, data: data})
}

// time lets the clock do its part with d's alarms.
func (t *task) time(d *device, now int64) {
	due := d.alarm.Due()
	if due == 0 || due > now {
		return
	}
	var keep bool
	d.alarm, t.changes, keep = t.book.rules.Tick(d.alarm, now, t.changes[:0])
	if keep {
		t.keep(d)
	}
	t.publish(d)
}

// shareRooms makes the rooms' figures new and tells the other members of them, and of
// the gateways whose alarms are here.
func (t *task) shareRooms(now int64) {
	var own []rooms.Values
	if t.comparing() {
		t.rooms.Rebuild(now, t.p.peers.Room(t.partition, now))
		own = t.rooms.Own()
	}
	t.p.peers.Tell(t.partition, t.downAlarms(), own)
}
