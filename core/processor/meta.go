package processor

import (
	"encoding/json"
	"fmt"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// describe applies a command to change the description of a device. A device may be
// described before its first reading.
func (t *task) describe(c *telemetry.AlarmCommand) {
	m, gone := t.life.metas[c.DeviceID], t.life.removals[c.DeviceID]
	if slices.Contains(m.Commands, c.CommandID) || slices.Contains(gone.Commands, c.CommandID) {
		return // it was applied before
	}
	entry := t.entryOf(c)
	next, changed := c.Describe.Apply(m)
	switch want := c.Describe.IfRevision; {
	case want != nil && *want != m.Revision:
		entry.Outcome = telemetry.OutcomeConflict
		entry.Reason = fmt.Sprintf("the description has revision %d, not %d", m.Revision, *want)
		next = m
	case !changed:
		entry.Outcome, entry.Reason = telemetry.OutcomeNothing, "it reads so already"
	default:
		entry.Outcome, entry.Event = telemetry.OutcomeApplied, telemetry.EventDescribed
		next.DeviceID, next.By, next.At = c.DeviceID, c.By, c.At
		next.Revision = max(m.Revision, gone.Revision) + 1
	}
	if next.Revision > 0 {
		shown := next
		shown.Commands = nil
		entry.Meta = &shown
		next.Commands = newest(slices.Concat(m.Commands, []string{c.CommandID}))
		t.life.write(next, t.out)
	}
	t.alarms.audit(&entry, t.out)
}

// write keeps the description of a device and adds its record to out.
func (l *lifeStage) write(m telemetry.DeviceMeta, out *batch) {
	l.metas[m.DeviceID] = m
	data, err := json.Marshal(m)
	if err != nil {
		l.log.Error("description of a device not encodable, not stored", "device", m.DeviceID, "err", err)
		return
	}
	out.metas[m.DeviceID] = data
}

// restoreMeta keeps a record of device-meta.
func (l *lifeStage) restoreMeta(key string, data []byte) {
	var m telemetry.DeviceMeta
	if err := json.Unmarshal(data, &m); err != nil || m.DeviceID != key || !telemetry.ValidDeviceID(key) {
		l.log.Error("description of a device unreadable, ignored", "device", key, "err", err)
		return
	}
	l.metas[key] = m
}
