package dashboard

import (
	"cmp"
	"math"
	"slices"
	"strconv"

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
		case kindSensor:
			sensors = sensors || p.decoded <= old
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
		m.parts = p.sensorSnapshot(t.param)
	case kindDevice:
		m.parts = [][]byte{p.deviceSnapshot(t.arg)}
	case kindBuilding:
		data, _ := p.buildingData(t.arg)
		m.parts = [][]byte{data}
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

func (p *Publisher) sensorSnapshot(sensor int) [][]byte {
	out := newPacker(p.maxData())
	for i := range p.cells {
		if c := &p.cells[i]; !math.IsNaN(c.values[sensor]) {
			p.buf = c.appendValue(p.buf[:0], i, sensor)
			out.add("values", p.buf)
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
		if d == nil || !d.Known() {
			data = []byte(`{"received":0,"backfill":false,"gateway":"","reading":null,"state":0,"priority":0}`)
			return
		}
		priority, _ := p.attention(d)
		data = appendDevice(nil, d)
		data = append(data[:len(data)-1], `,"state":`...)
		data = strconv.AppendInt(data, int64(p.stateOf(d, now)), 10)
		data = append(data, `,"priority":`...)
		data = strconv.AppendInt(data, int64(priority), 10)
		data = append(data, '}')
	})
	return data
}

// appendDevice appends {"received":…,"backfill":…,"gateway":…,"reading":…}. It is called
// within a View.
func appendDevice(dst []byte, d *state.Device) []byte {
	dst = append(dst, `{"received":`...)
	if !d.HasReading() {
		dst = append(dst, `0,"backfill":false,"gateway":`...)
		dst = appendText(dst, d.Gateway())
		return append(dst, `,"reading":null}`...)
	}
	dst = strconv.AppendInt(dst, d.Received(), 10)
	dst = append(dst, `,"backfill":`...)
	dst = strconv.AppendBool(dst, d.Backfill())
	dst = append(dst, `,"gateway":`...)
	dst = appendText(dst, d.Gateway())
	dst = append(dst, `,"reading":`...)
	dst = append(dst, d.Payload()...)
	return append(dst, '}')
}
