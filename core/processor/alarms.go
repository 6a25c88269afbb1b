package processor

import (
	"encoding/json"
	"log/slog"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/rooms"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// rememberMS is how long a device's alarm state is kept after its last alarm cleared,
	// so that a late reading does not raise it again after a restart.
	rememberMS = 3_600_000
	// sweepMS is the time between two searches for alarm states to forget.
	sweepMS = 60_000
)

// alarmStage runs the alarm engine on the devices of a partition and adds the results to
// a batch.
type alarmStage struct {
	log   *slog.Logger
	file  *ruleFile
	rules *ruleSet     // in force
	rooms *rooms.Table // nil until a rule compares the sensors of a room

	changes []alarm.Transition // of the device at hand
	view    alarm.RoomView
	changed []*device            // alarm states to write
	stored  map[*device]struct{} // devices with a record in alarm-state
	swept   int64                // ms by the clock
}

// reload switches to the newest rules and reports whether they have changed.
func (a *alarmStage) reload() bool {
	latest := a.file.load()
	if latest == a.rules {
		return false
	}
	a.rules = latest
	if a.rules.NeedsRoom() && a.rooms == nil {
		a.rooms = rooms.New() // kept from then on: devices keep their places in it
	}
	if a.rooms != nil {
		a.rooms.Compare(a.rules.RoomParameters())
	}
	return true
}

// comparesRooms reports whether a rule compares the sensors of a room.
func (a *alarmStage) comparesRooms() bool { return a.rooms != nil && a.rules.NeedsRoom() }

// reading evaluates the rules on a reading of d.
func (a *alarmStage) reading(d *device, in alarm.Input, backfill bool, out *batch) {
	if !backfill && a.comparesRooms() {
		a.rooms.Put(&d.room, in.PlantTime(), in.Reading)
		in.Room = a.rooms.View(&d.room, &a.view)
	}
	var keep bool
	d.alarm, a.changes, keep = a.rules.Step(d.alarm, in, a.changes[:0])
	if a.comparesRooms() {
		a.rooms.Mark(&d.room, &d.alarm) // without changes, too: the alarm may be older than this process
	}
	a.publish(d, keep, out)
}

// tick runs the delays of d that are over.
func (a *alarmStage) tick(d *device, now int64, out *batch) {
	if due := d.alarm.Due(); due == 0 || due > now {
		return
	}
	var keep bool
	d.alarm, a.changes, keep = a.rules.Tick(d.alarm, now, a.changes[:0])
	a.publish(d, keep, out)
}

// watch applies a condition that the watchdog found.
func (a *alarmStage) watch(d *device, w alarm.Finding, out *batch) {
	var keep bool
	d.alarm, a.changes, keep = a.rules.Apply(d.alarm, w, a.changes[:0])
	a.publish(d, keep, out)
}

// publish adds the changes of d's alarms to out; keep also writes d's alarm state.
func (a *alarmStage) publish(d *device, keep bool, out *batch) {
	if keep && !d.alarmChanged {
		d.alarmChanged = true
		a.changed = append(a.changed, d)
	}
	if len(a.changes) > 0 && a.comparesRooms() {
		a.rooms.Mark(&d.room, &d.alarm)
	}
	for i := range a.changes {
		alert := &a.changes[i].Alert
		data, err := wire.EncodeAlert(alert)
		if err != nil {
			a.log.Error("alert not encodable, dropped", "alert", alert.AlertID, "err", err)
			continue
		}
		out.alerts = append(out.alerts, alertRecord{
			device: d.id, status: alert.Status, severity: alert.Severity, event: alert.Event, from: a.changes[i].Audit.From,
			quiet: quiet(alert), data: data,
		})
		a.audit(&a.changes[i].Audit, out)
	}
	clear(a.changes)
}

// quiet reports whether an alarm calls no operator: it is historical, put aside by an
// operator, or explained by another alarm.
func quiet(a *telemetry.Alert) bool {
	return a.Historical || a.Suppressed != nil || a.Shelved != nil || a.OutOfService != nil
}

// audit adds an entry to the audit trail.
func (a *alarmStage) audit(e *telemetry.AuditEntry, out *batch) {
	data, err := json.Marshal(e)
	if err != nil {
		a.log.Error("audit entry not encodable, dropped", "device", e.DeviceID, "err", err)
		return
	}
	r := auditRecord{device: e.DeviceID, data: data}
	if e.Outcome != telemetry.OutcomeForgotten {
		r.outcome = e.Outcome
	}
	out.audits = append(out.audits, r)
}

// encode adds the changed alarm states to out.
func (a *alarmStage) encode(out *batch) {
	for _, d := range a.changed {
		if !d.alarmChanged {
			continue // removed since
		}
		d.alarmChanged = false
		data, err := d.alarm.Encode()
		if err != nil {
			a.log.Error("alarm state not encodable, not stored", "device", d.id, "err", err)
			continue
		}
		out.alarms[d.id] = data
		a.stored[d] = struct{}{}
	}
	clear(a.changed)
	a.changed = a.changed[:0]
}

// sweep removes the stored alarm states that are no longer needed.
func (a *alarmStage) sweep(now int64, out *batch) {
	if now-a.swept <= sweepMS {
		return
	}
	a.swept = now
	for d := range a.stored {
		if d.alarm.Forgettable(now, rememberMS) {
			out.alarms[d.id] = nil
			delete(a.stored, d)
		}
	}
}
