package processor

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/anomaly"
	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/neighbours"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// detectVersion is the version of a record in detect-state. One of another is not read.
	detectVersion = 1
	// budgetPrefix starts the keys of budgets; a building's name follows. No device's id contains it.
	budgetPrefix = "budget|"
	// markKey is that of a partition's mark.
	markKey = "mark|"
	// markEvery is the time in ms between two marks of a detector that has caught up.
	markEvery = 60_000
	// stopBytes bounds the states that are written at a stop, for all partitions of a process.
	stopBytes = 16 << 20
)

// snapshotHead is the first part of a record in detect-state; that of the detector follows.
type snapshotHead struct {
	Position int64          `json:"position"` // offset in device-data of the first reading that it does not know
	Building string         `json:"building"`
	Offset   int64          `json:"clock_offset_ms,omitempty"`
	Written  int64          `json:"written"` // plant time of its newest reading
	Clock    int64          `json:"clock"`   // ms by the clock
	Held     bool           `json:"held,omitempty"`
	Streams  int            `json:"streams"`
	Record   int64          `json:"record,omitempty"` // ms: when the newest record before Position was written
	Alarms   anomaly.Device `json:"alarms,omitzero"`

	Neighbours *neighbours.State `json:"neighbours,omitempty"`
}

// mark is how far a partition's states go. Offsets are in device-data.
type mark struct {
	Known  int64 `json:"known"`            // no state lacks a reading before this offset
	Record int64 `json:"record"`           // ms: when about the record at Known was written
	Judged int64 `json:"judged,omitempty"` // while the detector is behind: alarms were raised for what is before this offset; 0: for all that is committed
}

var errSnapshot = errors.New("not a state of this version")

func encodeSnapshot(h *snapshotHead, d *detect.Device) ([]byte, error) {
	state, err := d.Encode()
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding a detector's state: %w", err)
	}
	out := binary.AppendUvarint([]byte{detectVersion}, uint64(len(head)))
	return append(append(out, head...), state...), nil
}

func decodeSnapshot(data []byte) (h snapshotHead, d detect.Device, err error) {
	if len(data) == 0 || data[0] != detectVersion {
		return h, d, errSnapshot
	}
	size, n := binary.Uvarint(data[1:])
	if n <= 0 || size > uint64(len(data)-1-n) {
		return h, d, errSnapshot
	}
	rest := data[1+n:]
	if err := json.Unmarshal(rest[:size], &h); err != nil {
		return h, d, fmt.Errorf("reading a detector's state: %w", err)
	}
	d, err = detect.Decode(rest[size:])
	return h, d, err
}

// encode adds the listed states to out, and the mark when it is due. next is the offset that the task continues from.
func (s *detectStage) encode(out *batch, next, now int64) {
	next = s.reached(next)
	for _, d := range s.changed {
		if x := d.detect; x != nil && x.listed {
			s.write(d, next, now, out)
		}
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	s.encodeMark(out)
	for name, b := range s.buildings {
		if !b.changed {
			continue
		}
		b.changed = false
		data, err := json.Marshal(&b.budget)
		if err != nil {
			s.log.Error("budget of anomaly alarms not encodable, not stored", "building", name, "err", err)
			continue
		}
		out.detect[budgetPrefix+name] = data
	}
}

// note moves the mark to where the states go: the first reading that one of them lacks, or next if none does.
func (s *detectStage) note(devices map[string]*device, next, now int64) {
	if s.mode == detectOff {
		return
	}
	known, record := s.reached(next), s.record
	for _, d := range devices {
		if x := d.detect; x != nil && x.lacks && x.since < known {
			known, record = x.since, x.sinceRecord
		}
	}
	if known > s.mark.Known {
		s.mark.Known, s.mark.Record = known, record
		s.markDue, s.marked = true, now
	}
}

func (s *detectStage) encodeMark(out *batch) {
	if s.behind == nil && !s.markDue {
		return
	}
	s.markDue = false
	s.mark.Judged = 0
	if s.behind != nil {
		s.mark.Judged = max(s.behind.judged, s.behind.next)
	}
	data, err := json.Marshal(&s.mark)
	if err != nil {
		s.log.Error("mark of the detector's states not encodable, not stored", "err", err)
		return
	}
	out.detect[markKey] = data
}

// write adds the state of d to out and returns its size. next is the first reading that the detector does not know.
func (s *detectStage) write(d *device, next, now int64, out *batch) int {
	x := d.detect
	x.listed = false
	x.settle()
	x.position, x.record = max(x.position, next), max(x.record, s.record)
	h := snapshotHead{
		Position: x.position, Building: x.building, Offset: s.offset(d), Written: x.Seen(), Clock: now, Held: x.held, Streams: x.streams, Alarms: x.alarms,
		Record: x.record, Neighbours: x.near.State(),
	}
	data, err := encodeSnapshot(&h, &x.Device)
	if err != nil {
		s.log.Error("detector's state not encodable, not stored", "device", d.id, "err", err)
		return 0
	}
	out.detect[d.id] = data
	x.read, x.lacks, x.written, x.clock = 0, false, h.Written, now
	x.phase = snapshotReadings
	return len(data)
}

// stop adds the states that lack something to out, up to a size, and the mark; the rest is read again.
func (s *detectStage) stop(devices map[string]*device, limit int, next, now int64, out *batch) {
	at := s.reached(next)
	size, left := 0, 0
	for _, d := range devices {
		switch {
		case d.detect == nil || !d.detect.lacks:
		case size < limit:
			size += s.write(d, at, now, out)
		default:
			left++
		}
	}
	s.note(devices, next, now)
	if left > 0 {
		s.log.Info("states of the detector left to be learnt again", "devices", left)
	}
}

// loadDetect restores the states of the detector. A device whose record is unreadable learns anew.
func (s *session) loadDetect(t *task, states map[string][]byte) {
	if t.detects.mode != detectOn {
		for _, d := range t.devices {
			if len(d.alarm.Anomalies()) > 0 {
				t.detects.orphans = append(t.detects.orphans, d)
			}
		}
	}
	if t.detects.mode == detectOff {
		return
	}
	t.detects.loadMark(states[markKey])
	for key, data := range states {
		if key == markKey {
			continue
		}
		if name, ok := strings.CutPrefix(key, budgetPrefix); ok {
			t.detects.loadBudget(name, data)
			continue
		}
		h, state, err := decodeSnapshot(data)
		d, known := t.devices[key]
		if err != nil || !known {
			s.log.Warn("detector's state unreadable or of no device, it learns anew", "device", key, "partition", t.partition, "err", err)
			continue
		}
		d.detect = &detected{
			Device: state, alarms: h.Alarms, phase: snapshotReadings, written: h.Written, clock: h.Clock,
			position: max(h.Position, t.detects.mark.Known), record: max(h.Record, t.detects.mark.Record),
			offset: h.Offset, streams: h.Streams, held: h.Held, restored: h.Neighbours,
		}
		t.detects.enter(d.detect, h.Building)
		t.detects.streams.Add(int64(h.Streams))
	}
}

// loadMark restores the mark. Without one every state goes as far as it says itself.
func (s *detectStage) loadMark(data []byte) {
	if data == nil {
		return
	}
	if err := json.Unmarshal(data, &s.mark); err != nil {
		s.log.Warn("mark of the detector's states unreadable, more is read again", "err", err)
		s.mark = mark{}
	}
}

func (s *detectStage) loadBudget(name string, data []byte) {
	b := new(building)
	if old := s.buildings[name]; old != nil {
		b = old
	}
	if err := json.Unmarshal(data, &b.budget); err != nil {
		s.log.Warn("budget of anomaly alarms unreadable, it starts anew", "building", name, "err", err)
		b.budget = anomaly.Budget{}
	}
	s.buildings[name] = b
}

// endOrphans clears the alarms that the detector raised in a mode that is no longer set.
func (t *task) endOrphans(now int64) {
	for _, d := range t.detects.orphans {
		for _, alertType := range d.alarm.Anomalies() {
			t.alarms.watch(d, alarm.Finding{
				Device: d.id, Type: alertType, Since: now, Now: now, Source: telemetry.SourceAnomaly, Message: "the detector raises no alarms any more",
			}, t.out)
		}
	}
	t.detects.orphans = nil
}
