package dashboard

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"industrial-iot-monitor/portal/internal/state"
)

// makeSnapshots makes the snapshots that clients wait for.
func (b *Board) makeSnapshots() {
	b.mu.Lock()
	wanted := b.wanted
	b.wanted = nil
	for _, t := range wanted {
		t.wanted = false // who asks from now on gets a later one
	}
	b.mu.Unlock()
	if len(wanted) == 0 {
		return
	}
	now := b.plant.Now()
	b.freshen(wanted, now)
	for _, t := range wanted {
		b.keep(t, now, b.snapshotOf(t))
	}
}

// freshen scans the devices again when the last scan is too old for what is wanted.
func (b *Board) freshen(wanted []*topic, now int64) {
	old := now - b.limits.Every.Milliseconds()*3/2
	fleet, sensors, tallied := false, false, b.tallies.on && b.tallies.by != nil
	for _, t := range wanted {
		switch t.kind {
		case kindFleet:
			fleet = fleet || b.scanned <= old
		case kindBuilding:
			fleet = fleet || b.scanned <= old || !tallied
			b.tallies.on = true
		case kindSensor:
			sensors = sensors || b.decoded <= old
		default: // no device is looked at for it
		}
	}
	if fleet || sensors {
		b.scanAndTell(now, sensors)
	}
}

// made is a snapshot's data and the number of the last delta in it.
type made struct {
	seq   uint64
	parts [][]byte
}

// keep files a snapshot and wakes those who wait for it.
func (b *Board) keep(t *topic, now int64, m made) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.made++
	t.snapshot = &snapshot{number: t.made, seq: m.seq, at: now, frames: snapshotFrames(t, m.seq, now, m.parts)}
	for _, sub := range t.subs {
		if sub.fresh {
			sub.session.enqueue(sub)
			sub.session.client.Wake(true)
		}
	}
}

// snapshotOf makes a snapshot. Only alerts are published by somebody else than the
// goroutine that this is; so for all others the number may be read before.
func (b *Board) snapshotOf(t *topic) made {
	if t.kind == kindAlerts {
		return b.alertSnapshot()
	}
	b.mu.Lock()
	m := made{seq: t.seq}
	b.mu.Unlock()
	switch t.kind {
	case kindFleet:
		m.parts = b.fleetSnapshot()
	case kindSensor:
		m.parts = b.sensorSnapshot(t.param)
	case kindDevice:
		m.parts = [][]byte{b.deviceSnapshot(t.arg)}
	case kindBuilding:
		data, _ := b.buildingData(t.arg)
		m.parts = [][]byte{data}
	default:
		m.parts = [][]byte{b.figures(t.kind)}
	}
	return m
}

func (b *Board) fleetSnapshot() [][]byte {
	p := newPacker(b.dataMost())
	for i := range b.cells {
		if c := &b.cells[i]; c.shown {
			b.buf = c.appendRow(b.buf[:0])
			p.add("devices", b.buf)
		}
	}
	return p.finish(`{"devices":[]}`)
}

func (b *Board) sensorSnapshot(sensor int) [][]byte {
	p := newPacker(b.dataMost())
	for i := range b.cells {
		if c := &b.cells[i]; !math.IsNaN(c.values[sensor]) {
			b.buf = c.appendValue(b.buf[:0], i, sensor)
			p.add("values", b.buf)
		}
	}
	return p.finish(`{"values":[]}`)
}

func (b *Board) alertSnapshot() made {
	b.mu.Lock()
	m := made{seq: b.alerts.seq}
	all := make([]*state.Alert, 0, len(b.open))
	for _, a := range b.open {
		all = append(all, a)
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(x, y *state.Alert) int {
		return cmp.Or(cmp.Compare(x.Timestamp, y.Timestamp), cmp.Compare(x.AlertID, y.AlertID))
	})
	p := newPacker(b.dataMost())
	for _, a := range all {
		p.add("alerts", b.alertText(a))
	}
	m.parts = p.finish(`{"alerts":[]}`)
	return m
}

func (b *Board) deviceSnapshot(id string) (data []byte) {
	now := b.plant.Now()
	b.plant.View(func() {
		d := b.plant.Device(id)
		if d == nil || !d.Known() {
			data = []byte(`{"received":0,"backfill":false,"gateway":"","reading":null,"state":0,"priority":0}`)
			return
		}
		priority, _ := b.attention(d)
		data = appendDevice(nil, d)
		data = append(data[:len(data)-1], `,"state":`...)
		data = strconv.AppendInt(data, int64(b.stateOf(d, now)), 10)
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
