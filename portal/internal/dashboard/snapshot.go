package dashboard

import (
	"cmp"
	"slices"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// makeSnapshots makes the snapshots that clients wait for.
func (p *Publisher) makeSnapshots() {
	p.mu.Lock()
	wanted := p.wanted
	p.wanted = nil
	for _, t := range wanted {
		t.wanted = false // requests from now on get a later one
	}
	p.mu.Unlock()
	if len(wanted) == 0 {
		return
	}
	now := p.model.Now()
	p.freshen(wanted, now)
	for _, t := range wanted {
		p.keep(t, now, p.snapshotOf(t))
	}
}

// freshen scans the devices again when the last scan is too old for the wanted topics.
func (p *Publisher) freshen(wanted []*topic, now int64) {
	old := now - p.limits.Every.Milliseconds()*3/2
	fleet, sensors, tallied := false, false, p.tallies.on && p.tallies.by != nil
	for _, t := range wanted {
		switch t.kind {
		case kindFleet:
			fleet = fleet || p.scanned <= old
		case kindBuilding:
			fleet = fleet || p.scanned <= old || !tallied
			p.tallies.on = true
		case kindFact:
			fleet = fleet || p.scanned <= old || p.facts[t.arg] == nil
		case kindSensor:
			sensors = sensors || p.decoded <= old || p.columns.all[t.arg] == nil
		default: // no device is looked at for it
		}
	}
	if fleet || sensors {
		p.scanAndPublish(now, sensors)
	}
}

// made is a snapshot's data and the number of the last delta in it.
type made struct {
	seq   uint64
	parts [][]byte
}

// keep stores a snapshot and wakes the clients that wait for it.
func (p *Publisher) keep(t *topic, now int64, m made) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.made++
	t.snapshot = &snapshot{number: t.made, seq: m.seq, at: now, frames: snapshotFrames(t, m.seq, now, m.parts)}
	for _, sub := range t.subs {
		if sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(true)
		}
	}
}

// snapshotOf makes a snapshot. Only alerts are published by another goroutine; for all
// other topics the number can be read first.
func (p *Publisher) snapshotOf(t *topic) made {
	if t.kind == kindAlerts {
		return p.alertSnapshot()
	}
	p.mu.Lock()
	m := made{seq: t.seq}
	p.mu.Unlock()
	switch t.kind {
	case kindFleet:
		m.parts = p.fleetSnapshot()
	case kindSensor:
		m.parts = p.columnSnapshot(p.columns.all[t.arg])
	case kindFact:
		m.parts = p.columnSnapshot(p.facts[t.arg])
	case kindDevice:
		m.parts = [][]byte{p.deviceSnapshot(t.arg)}
	case kindBuilding:
		data, _ := p.buildingData(t.arg)
		m.parts = [][]byte{data}
	case kindSensors:
		p.inventory = p.figures(t.kind)
		m.parts = [][]byte{p.inventory}
	default:
		m.parts = [][]byte{p.figures(t.kind)}
	}
	return m
}

func (p *Publisher) fleetSnapshot() [][]byte {
	out := newPacker(p.maxData())
	for i := range p.cells {
		if c := &p.cells[i]; c.shown {
			p.buf = c.appendRow(p.buf[:0])
			out.add("devices", p.buf)
		}
	}
	return out.finish(`{"devices":[]}`)
}

func (p *Publisher) columnSnapshot(x *column) [][]byte {
	out := newPacker(p.maxData())
	if x != nil {
		for i := range x.entries {
			if x.entries[i].kind != absent {
				p.buf = x.appendTo(p.buf[:0], i)
				out.add("values", p.buf)
			}
		}
	}
	return out.finish(`{"values":[]}`)
}

func (p *Publisher) alertSnapshot() made {
	p.mu.Lock()
	m := made{seq: p.alerts.seq}
	all := make([]*state.Alert, 0, len(p.open))
	for _, a := range p.open {
		all = append(all, a)
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(x, y *state.Alert) int {
		return cmp.Or(cmp.Compare(x.Timestamp, y.Timestamp), cmp.Compare(x.AlertID, y.AlertID))
	})
	out := newPacker(p.maxData())
	for _, a := range all {
		out.add("alerts", p.alertText(a))
	}
	m.parts = out.finish(`{"alerts":[]}`)
	return m
}

func (p *Publisher) deviceSnapshot(id string) (data []byte) {
	now := p.model.Now()
	p.model.View(func() {
		d := p.model.Device(id)
		if d == nil {
			data = append(data, `{"received":0,"time":0,"clock_offset_ms":0,"backfill":false,"gateway":"","reading":null,`+
				`"state":4,"priority":0,"name":"","description":"","tags":[],"revision":0,"interval_ms":0}`...)
			return
		}
		priority := p.signsOf(d).priority
		data = p.appendDevice(nil, d)
		data = append(data[:len(data)-1], `,"state":`...)
		data = strconv.AppendInt(data, int64(p.stateOf(d, now)), 10)
		data = append(data, `,"priority":`...)
		data = strconv.AppendInt(data, int64(priority), 10)
		meta := d.Meta()
		data = appendText(append(data, `,"name":`...), meta.Name)
		data = appendText(append(data, `,"description":`...), meta.Description)
		data = appendTexts(append(data, `,"tags":`...), meta.Tags)
		data = strconv.AppendInt(append(data, `,"revision":`...), meta.Revision, 10)
		data = strconv.AppendInt(append(data, `,"interval_ms":`...), d.IntervalMS(), 10)
		data = append(appendMaintenance(data, d.Maintenance(now)), '}')
	})
	return data
}

// appendMaintenance appends ,"maintenance":{"by":…,"at":…,"until":…,"reason":…}, nothing for nil.
func appendMaintenance(dst []byte, m *telemetry.Maintenance) []byte {
	if m == nil {
		return dst
	}
	dst = appendText(append(dst, `,"maintenance":{"by":`...), m.By)
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = strconv.AppendInt(append(dst, `,"until":`...), m.Until, 10)
	return append(appendText(append(dst, `,"reason":`...), m.Reason), '}')
}

// appendDevice appends {"received":…,"time":…,"clock_offset_ms":…,"backfill":…,"gateway":…,"reading":…}
// and the flaws of the reading, if it has any. It is called within a View.
func (p *Publisher) appendDevice(dst []byte, d *state.Device) []byte {
	received, at, backfill := int64(0), int64(0), false
	if d.HasReading() {
		received, at, backfill = d.Received(), d.Timestamp(), d.Backfill()
	}
	dst = strconv.AppendInt(append(dst, `{"received":`...), received, 10)
	dst = strconv.AppendInt(append(dst, `,"time":`...), at, 10)
	dst = strconv.AppendInt(append(dst, `,"clock_offset_ms":`...), d.ClockOffset(), 10)
	dst = strconv.AppendBool(append(dst, `,"backfill":`...), backfill)
	dst = appendText(append(dst, `,"gateway":`...), d.Gateway())
	if !d.HasReading() {
		return append(dst, `,"reading":null}`...)
	}
	if flaws := d.Flaws(); len(flaws) > 0 {
		dst = appendTexts(append(dst, `,"flaws":`...), flaws)
	}
	dst = append(dst, `,"reading":`...)
	dst = append(dst, d.Payload()...)
	return append(dst, '}')
}
