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

// ApplyFrame applies a live frame. It returns how many entries were applied, and an error
// when some were refused or the frame is damaged; the others, and those before the damage,
// are applied.
//
// Anyone who reaches the hub can publish a frame, and its payloads are passed on unchanged
// in answers that must stay valid JSON, so each is checked first, without the model's lock.
func (m *Model) ApplyFrame(f *wire.Frame) (int, error) {
	m.applying.Lock()
	defer m.applying.Unlock()
	m.entries = m.entries[:0]
	refused, first := 0, error(nil)
	for e, ok := f.Next(); ok; e, ok = f.Next() {
		m.entries = append(m.entries, e)
		last := len(m.entries) - 1
		if err := m.check(&m.entries[last]); err != nil {
			if refused++; first == nil {
				first = fmt.Errorf("device %.80q: %w", e.Device, err)
			}
			m.entries = m.entries[:last]
		}
	}
	m.applyEntries(f.Gateway, refused)
	if refused > 0 {
		first = fmt.Errorf("%d %w, first: %w", refused, errRefused, first)
	}
	n := len(m.entries)
	clear(m.entries) // they point into the frame
	return n, errors.Join(f.Err(), first)
}

// check returns why an entry must not be applied, and passes a good one to Options.Decoded.
func (m *Model) check(e *wire.FrameEntry) error {
	if len(e.Payload) > wire.MaxReadingBytes+statusRoom {
		return errTooLarge
	}
	decoded := wire.DecodeReading(e.Payload, &m.reading, nil) == nil
	id := m.reading.DeviceID
	if !decoded { // too long by core's additions only, or accepted by a newer core
		var v struct {
			DeviceID string `json:"device_id"`
		}
		if !utf8.Valid(e.Payload) || json.Unmarshal(e.Payload, &v) != nil {
			return errNotJSON
		}
		id = v.DeviceID
	}
	if e.Device != id || !telemetry.ValidDeviceID(id) {
		return errDeviceID
	}
	if decoded && m.decoded != nil {
		m.decoded(e, &m.reading)
	}
	return nil
}

// applyEntries applies the entries that were checked.
func (m *Model) applyEntries(gateway string, refused int) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	gateway = m.gatewayName(gateway)
	m.updated = m.updated[:0]
	for i := range m.entries {
		m.applyEntry(&m.entries[i], gateway, now)
	}
	m.counts.Frames++
	m.counts.Readings += int64(len(m.entries))
	m.counts.Refused += int64(refused)
	if len(m.updated) > 0 {
		for _, o := range m.observers {
			o.Readings(m.updated)
		}
	}
}

func (m *Model) applyEntry(e *wire.FrameEntry, gateway string, now int64) {
	if e.Backfill {
		m.counts.Backfilled++
		m.received.Add(now, 1) // its age says how long it waited, not how fast we are
	} else {
		m.received.AddAge(now, now-e.Received)
	}
	d := m.add(e.Device)
	if !d.newer(e) {
		m.counts.Outdated++
		return
	}
	d.apply(e, gateway)
	m.updates++
	d.seq = m.updates
	m.updated = append(m.updated, d)
	if m.recorder != nil {
		m.recorder.Record(d, now)
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
