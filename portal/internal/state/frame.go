package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// statusRoom is more than core adds to a reading: to each sensor a status, the digits of a
// converted number and a longer unit, see wire.AppendChanged.
const statusRoom = telemetry.MaxSensors * 192

var (
	errTooLarge = errors.New("reading too large")
	errNotJSON  = errors.New("payload is not a JSON object in UTF-8")
	errDeviceID = errors.New("device id invalid, or not the payload's")
	errRefused  = errors.New("entries refused")
)

// applyStep is how many entries are applied before the model's lock is released.
const applyStep = 64

// batch are entries that were checked, and the scratch for their values.
type batch struct {
	entries  []wire.FrameEntry
	readings [applyStep]telemetry.Reading
	used     int   // of readings
	restored bool  // the entries are what another portal had
	refused  int   // since the lock was released
	refusal  error // the first one of the frame
}

// ApplyFrame applies a live frame. It returns how many entries were applied, and an error
// when some were refused or the frame is damaged; the others, and those before the damage,
// are applied.
//
// The values of an entry are taken as the frame has them. Only an entry without values, from an
// older core, has its JSON decoded.
func (m *Model) ApplyFrame(f *wire.Frame) (applied int, err error) { return m.apply(f, false) }

// Restore applies a frame with readings that another portal had as the newest, or this one before a
// restart. They give way to newer ones as any reading does, and count as no readings that arrived.
func (m *Model) Restore(f *wire.Frame) (applied int, err error) { return m.apply(f, true) }

func (m *Model) apply(f *wire.Frame, restored bool) (applied int, err error) {
	m.applying.Lock()
	defer m.applying.Unlock()
	b := &m.batch
	b.restored = restored
	defer b.clear() // it points into the frame
	first, refused := true, 0
	for more := true; more; first = false {
		more = b.fill(f)
		m.applyEntries(f.Gateway, first, b)
		applied, refused = applied+len(b.entries), refused+b.refused
	}
	if refused > 0 {
		err = fmt.Errorf("%d %w, first: %w", refused, errRefused, b.refusal)
	}
	return applied, errors.Join(f.Err(), err)
}

// fill reads the next entries of a frame, without the model's lock, and reports whether there
// may be more.
func (b *batch) fill(f *wire.Frame) (more bool) {
	b.entries, b.refused = b.entries[:0], 0
	for len(b.entries) < applyStep {
		r := &b.readings[len(b.entries)]
		b.used = max(b.used, len(b.entries)+1)
		e, ok := f.NextInto(r)
		if !ok {
			return false
		}
		if err := check(&e, r); err != nil {
			if b.refused++; b.refusal == nil {
				b.refusal = fmt.Errorf("device %.80q: %w", e.Device, err)
			}
			continue
		}
		b.entries = append(b.entries, e)
	}
	return true
}

func (b *batch) clear() {
	clear(b.entries[:cap(b.entries)])
	for i := range b.readings[:b.used] {
		r := &b.readings[i]
		clear(r.Sensors[:cap(r.Sensors)])
		clear(r.Flaws[:cap(r.Flaws)])
		*r = telemetry.Reading{Sensors: r.Sensors[:0], Flaws: r.Flaws[:0]}
	}
	b.entries, b.used, b.refused, b.refusal = b.entries[:0], 0, 0, nil
}

// check returns why an entry must not be applied. r is scratch for the values of one without.
func check(e *wire.FrameEntry, r *telemetry.Reading) error {
	switch {
	case len(e.Payload) > wire.MaxReadingBytes+statusRoom:
		return errTooLarge
	case len(e.Payload) == 0:
		return errNotJSON
	case !telemetry.ValidDeviceID(e.Device):
		return errDeviceID
	case e.Reading != nil:
		return nil
	}
	return decode(e, r)
}

// decode decodes the payload of an entry without values. It is checked whole: an older core, and
// anyone who reaches the hub, can publish one.
func decode(e *wire.FrameEntry, r *telemetry.Reading) error {
	if wire.DecodeReading(e.Payload, r, nil) == nil {
		if e.Device != r.DeviceID {
			return errDeviceID
		}
		e.Reading = r
		return nil
	}
	// Too long by core's additions only, or accepted by a newer core.
	var v struct {
		DeviceID string `json:"device_id"`
	}
	switch {
	case !utf8.Valid(e.Payload) || json.Unmarshal(e.Payload, &v) != nil:
		return errNotJSON
	case e.Device != v.DeviceID:
		return errDeviceID
	}
	return nil
}

// applyEntries applies the entries that were checked. first says that they begin a frame.
func (m *Model) applyEntries(gateway string, first bool, b *batch) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	gateway = m.gatewayName(gateway)
	m.updated = m.updated[:0]
	for i := range b.entries {
		m.applyEntry(&b.entries[i], gateway, now, b.restored)
	}
	m.count(b, first)
	if len(m.updated) > 0 {
		for _, o := range m.observers {
			o.Readings(m.updated)
		}
	}
}

// count counts entries that were applied.
func (m *Model) count(b *batch, first bool) {
	if b.restored {
		m.counts.Restored += int64(len(m.updated))
		return
	}
	if first {
		m.counts.Frames++
	}
	m.counts.Readings += int64(len(b.entries))
	m.counts.Refused += int64(b.refused)
}

func (m *Model) applyEntry(e *wire.FrameEntry, gateway string, now int64, restored bool) {
	switch {
	case restored:
	case e.Backfill:
		m.counts.Backfilled++
		m.received.Add(now, 1) // its age says how long it waited, not how fast we are
	default:
		m.received.AddAge(now, now-e.Received)
	}
	if m.removals.includes(e.Device, e.Received) {
		if !restored {
			m.counts.Removed++
		}
		return
	}
	d := m.add(e.Device)
	if !d.newer(e) {
		if !restored {
			m.counts.Outdated++
		}
		return
	}
	d.apply(e, gateway, &m.shapes)
	d.restored = restored
	m.updates++
	d.seq = m.updates
	m.updated = append(m.updated, d)
	if m.recorder != nil {
		m.recorder.Record(d, d.payload, now)
	}
}

// gatewayName returns a copy of name that is kept once.
func (m *Model) gatewayName(name string) string {
	if s, ok := m.names[name]; ok {
		return s
	}
	s := strings.Clone(name)
	if len(m.names) < maxGateways {
		m.names[s] = s
	}
	return s
}
