package processor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// removedMS is how long a removal is remembered: the time in which its command may be
	// repeated, and a gateway may deliver what it had received before.
	removedMS = 7 * 24 * 3_600_000
	// commandsKept is how many commands to one device are recognised when repeated.
	commandsKept = 16
	// forgetPerTick is how many silent devices are forgotten at a tick at most.
	forgetPerTick = 200
	// spareDevices is the number of devices from which on the room that they took is given
	// back when most are gone.
	spareDevices = 1024
	// removalPrefix starts the keys in alarm-state of removals. No device's id contains it.
	removalPrefix = "\x00removed:"
)

// cause is why a device was removed.
type cause string

const (
	byCommand cause = "command"
	forgotten cause = "forgotten"
	// unknown is the cause of a command for an id that core does not know: its records are
	// deleted nevertheless, in case a portal shows it.
	unknown cause = ""
)

// removal is the memory of a device that was removed by a command. Its record in
// alarm-state, beside the device's own, survives a restart.
type removal struct {
	At int64 `json:"removed_at"` // ms by the clock
	// Seen is the event time in ms up to which a device of that id raises no alarm: an
	// incident's id follows from its time, and must not be that of an old one.
	Seen     int64    `json:"seen_until"`
	Commands []string `json:"commands"`           // the newest until then, oldest first
	Revision int64    `json:"revision,omitempty"` // of what was written about the device
}

// lifeStage removes devices of a partition, and remembers that.
type lifeStage struct {
	log      *slog.Logger
	after    int64 // ms of silence until a device is forgotten, 0: never
	removals map[string]removal
	metas    map[string]telemetry.DeviceMeta

	silent   []string // devices to forget
	searched int64    // ms by the clock
	most     int      // devices since room was given back
}

func newLifeStage(log *slog.Logger, after time.Duration) lifeStage {
	return lifeStage{
		log: log, after: after.Milliseconds(),
		removals: make(map[string]removal), metas: make(map[string]telemetry.DeviceMeta),
	}
}

// late reports whether a reading is of a removed device and was received before the removal,
// or is only the news that it went offline: it does not bring the device back.
func (t *task) late(r *telemetry.Reading, o *intake.Origin) bool {
	if len(t.life.removals) == 0 {
		return false // the case of nearly every reading
	}
	gone, ok := t.life.removals[r.DeviceID]
	if !ok {
		return false
	}
	if r.Offline && len(r.Sensors) == 0 && t.devices[r.DeviceID] == nil {
		return true
	}
	return min(o.Received, o.Written) <= gone.At
}

// remove applies a command to remove a device.
func (t *task) remove(c *telemetry.AlarmCommand, now int64) {
	gone := t.life.removals[c.DeviceID]
	if slices.Contains(gone.Commands, c.CommandID) {
		return // it was applied before
	}
	d, known := t.devices[c.DeviceID]
	meta, described := t.life.metas[c.DeviceID]
	entry, why := t.entryOf(c), byCommand
	gone.At, gone.Seen = now, max(gone.Seen, now)
	gone.Commands = newest(slices.Concat(gone.Commands, meta.Commands, []string{c.CommandID}))
	gone.Revision = max(gone.Revision, meta.Revision)
	delete(t.life.metas, c.DeviceID)
	if known {
		gone.Seen = max(gone.Seen, d.alarm.Seen())
		t.release(d, alarm.Removal{Device: d.id, Actor: c.Actor, By: c.By, Note: c.Note, Message: "the device was removed", Now: now})
	}
	entry.Outcome, entry.Event = telemetry.OutcomeApplied, telemetry.EventRemoved
	if !known && !described {
		why = unknown
		entry.Outcome, entry.Event, entry.Reason = telemetry.OutcomeNothing, "", "there is no such device"
	}
	t.out.remove(c.DeviceID, why)
	t.life.remember(c.DeviceID, gone, t.out)
	t.alarms.audit(&entry, t.out)
}

// newest returns the newest of ids of commands.
func newest(ids []string) []string { return ids[max(0, len(ids)-commandsKept):] }

// entryOf returns the audit entry of a command to a device, without its outcome.
func (t *task) entryOf(c *telemetry.AlarmCommand) telemetry.AuditEntry {
	entry := telemetry.AuditEntry{
		Actor: c.Actor, Time: c.At, DeviceID: c.DeviceID, By: c.By, CommandID: c.CommandID, Action: c.Action, Note: c.Note,
	}
	if d, known := t.devices[c.DeviceID]; known {
		entry.Building = d.presence.Location().Building
	}
	return entry
}

// release closes the alarms of a device and frees what the stages hold of it.
func (t *task) release(d *device, r alarm.Removal) {
	t.alarms.changes = alarm.Remove(d.alarm, r, t.alarms.changes[:0])
	t.alarms.publish(d, false, t.out)
	t.drop(d)
	delete(t.life.metas, d.id)
}

// drop frees what the stages hold of a device.
func (t *task) drop(d *device) {
	t.windows.Unregister(&d.windows)
	if t.alarms.rooms != nil {
		t.alarms.rooms.Remove(&d.room)
	}
	t.detects.drop(d)
	t.presence.count(d.presence.Online(), false)
	t.presence.countClock(d.presence.ClockOffset(), 0)
	t.p.offsets.Set(d.id, 0)
	d.alarmChanged, d.stateChanged = false, false // nothing of it is written any more
	delete(t.alarms.stored, d)
	t.watchdog.forget(d.id)
	delete(t.devices, d.id)
}

// remember keeps a removal and adds its record to out.
func (l *lifeStage) remember(id string, r removal, out *batch) {
	l.removals[id] = r
	data, err := json.Marshal(r)
	if err != nil {
		l.log.Error("removal not encodable, not stored", "device", id, "err", err)
		return
	}
	out.alarms[removalPrefix+id] = data
}

// restore keeps a removal that was stored.
func (l *lifeStage) restore(id string, data []byte) {
	var r removal
	if err := json.Unmarshal(data, &r); err != nil {
		l.log.Error("removal unreadable, ignored", "device", id, "err", err)
		return
	}
	l.removals[id] = r
}

// forget removes devices that have been silent for too long, those silent longest first and a
// limited number at a time, and the removals that are over.
func (t *task) forget(now int64, behind bool) {
	l := &t.life
	l.most = max(l.most, len(t.devices))
	if now-l.searched > sweepMS {
		l.searched = now
		t.forgetRemovals(now)
		t.giveBack()
		if len(l.silent) == 0 {
			l.silent = t.search(now)
		}
	}
	if behind { // its readings may be unread
		return
	}
	n := min(len(l.silent), forgetPerTick)
	for _, id := range l.silent[:n] {
		if d := t.devices[id]; d != nil && t.isForgotten(d, now) {
			t.forgetDevice(d, now)
		}
	}
	l.silent = l.silent[n:]
}

// isForgotten reports whether d is to be forgotten. Nothing but its records shows how long it
// was silent: since when it is offline, and its newest reading.
func (t *task) isForgotten(d *device, now int64) bool {
	return t.life.after > 0 && d.presence.Offline() &&
		now-lastSign(d, now) > t.life.after && !d.alarm.Keeps()
}

func lastSign(d *device, now int64) int64 {
	return max(d.presence.Since(), min(d.presence.LastSeen(), now))
}

// search returns the devices to forget. Entries that never were a device, those of gateways
// and of commands to unknown devices, are dropped at once when nothing of them is stored.
func (t *task) search(now int64) []string {
	var found []*device
	for _, d := range t.devices {
		_, stored := t.alarms.stored[d]
		switch {
		case t.isForgotten(d, now):
			found = append(found, d)
		case !d.presence.Known() && !stored && !d.alarmChanged && d.alarm.Forgettable(now, rememberMS):
			t.drop(d)
		}
	}
	slices.SortFunc(found, func(a, b *device) int {
		return cmp.Or(cmp.Compare(lastSign(a, now), lastSign(b, now)), strings.Compare(a.id, b.id))
	})
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.id
	}
	return ids
}

func (t *task) forgetDevice(d *device, now int64) {
	silence := (time.Duration(t.life.after) * time.Millisecond).Round(time.Second)
	message := fmt.Sprintf("the device has sent nothing for more than %s and was forgotten", alarm.FormatDuration(silence))
	t.release(d, alarm.Removal{Device: d.id, Message: message, Now: now})
	t.out.remove(d.id, forgotten)
	t.alarms.audit(&telemetry.AuditEntry{
		Time: now, DeviceID: d.id, Building: d.presence.Location().Building, Event: telemetry.EventRemoved, Outcome: telemetry.OutcomeForgotten, Reason: message,
	}, t.out)
}

// forgetRemovals deletes the removals that are no longer needed.
func (t *task) forgetRemovals(now int64) {
	for id, r := range t.life.removals {
		if now-r.At > removedMS {
			delete(t.life.removals, id)
			t.out.alarms[removalPrefix+id] = nil
		}
	}
	if len(t.life.removals) == 0 {
		t.life.removals = make(map[string]removal) // a map does not shrink
	}
}

// giveBack frees the room of devices that are gone: a map does not shrink.
func (t *task) giveBack() {
	if t.life.most < spareDevices || len(t.devices) > t.life.most/4 {
		return
	}
	t.devices, t.alarms.stored, t.life.metas = shrunk(t.devices), shrunk(t.alarms.stored), shrunk(t.life.metas)
	t.alarms.changed, t.presence.changed = nil, nil
	t.life.most = len(t.devices)
}

func shrunk[K comparable, V any](m map[K]V) map[K]V {
	small := make(map[K]V, len(m))
	maps.Copy(small, m)
	return small
}
