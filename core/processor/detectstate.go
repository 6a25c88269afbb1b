package processor

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/anomaly"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/core/internal/neighbours"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// detectVersion is the version of a record in detect-state. One of another is not read.
	detectVersion = 1
	// budgetPrefix starts the keys of budgets; a building's name follows. No device's id contains it.
	budgetPrefix = "budget|"
	// maxRelearn and relearnMS bound the readings that are read again after a stop that was not
	// clean: most states were written in the last 20 minutes before it, or have nothing to learn.
	maxRelearn = 3_000_000
	relearnMS  = 25 * 60_000
	// recordSlack is how many ms records may be out of the order of their times: bridges have clocks.
	recordSlack = 10_000
	// relearnPause is how long nothing may come before the rest of them is given up.
	relearnPause = 5 * time.Second
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

// encode adds the listed states to out: next is the offset of the first reading they do not know.
func (s *detectStage) encode(out *batch, next, now int64) {
	if s.partial {
		return
	}
	for _, d := range s.changed {
		if x := d.detect; x != nil && x.listed {
			s.write(d, next, now, out)
		}
	}
	clear(s.changed)
	s.changed = s.changed[:0]
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

// write adds the state of d to out and returns its size.
func (s *detectStage) write(d *device, next, now int64, out *batch) int {
	x := d.detect
	x.listed = false
	x.settle()
	h := snapshotHead{
		Position: next, Building: x.building, Offset: d.clock.Offset(), Written: x.Seen(), Clock: now, Held: x.held, Streams: x.streams, Alarms: x.alarms,
		Record: s.record, Neighbours: x.near.State(),
	}
	data, err := encodeSnapshot(&h, &x.Device)
	if err != nil {
		s.log.Error("detector's state not encodable, not stored", "device", d.id, "err", err)
		return 0
	}
	out.detect[d.id] = data
	x.read, x.written, x.clock = 0, h.Written, now
	x.phase = snapshotReadings
	return len(data)
}

// stop adds the states that have learnt something to out, up to a size; the rest is read again.
func (s *detectStage) stop(devices map[string]*device, limit int, next, now int64, out *batch) {
	size, left := 0, 0
	for _, d := range devices {
		switch {
		case s.partial:
		case d.detect == nil || d.detect.read == 0:
		case size < limit:
			size += s.write(d, next, now, out)
		default:
			left++
		}
	}
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
	for key, data := range states {
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
			position: h.Position, offset: h.Offset, streams: h.Streams, held: h.Held,
			record: h.Record, restored: h.Neighbours,
		}
		t.detects.record = max(t.detects.record, h.Record)
		t.detects.enter(d.detect, h.Building)
		t.detects.streams.Add(int64(h.Streams))
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

// relearn reads again what the restored states do not know of the readings before the offset end,
// and teaches the detector, so that it is where it was at the last commit. Nothing is raised: that
// a device raised, changed or cleared an alarm, moved to another building, or came under maintenance is
// in a state that was written with it, so that none of these is among what is read again.
func (t *task) relearn(ctx context.Context, end int64) bool {
	first, since, newest := t.unknown(end)
	if newest == 0 || end < 0 {
		return true
	}
	start := time.Now()
	from, n, err := t.readAgain(ctx, max(since, newest-relearnMS), end)
	if ctx.Err() != nil {
		t.detects.partial = true
		return false
	}
	if err != nil {
		t.p.log.Warn("readings not read again, the detector lacks them", "partition", t.partition, "from", from, "to", end, "err", err)
		return true
	}
	t.p.log.Info("detector restored", "partition", t.partition, "from", from, "to", end, "cut", max(0, from-first), "learnt", n,
		"took", time.Since(start).Round(time.Millisecond))
	return true
}

// unknown returns from which offset on there are readings that a state does not know, and from when on (ms)
// records are to be read again: a little earlier, for the values of neighbours. The newest state is of
// newest, 0 if there are none.
func (t *task) unknown(end int64) (first, since, newest int64) {
	first, since = end, t.detects.record
	for _, d := range t.devices {
		x := d.detect
		if x == nil {
			continue
		}
		first, since = min(first, x.position), min(since, x.record)
		if newest = max(newest, x.record); x.record == 0 { // of an older version
			newest = max(newest, x.clock)
		}
	}
	return first, since - neighbours.Window.Milliseconds() - recordSlack, newest
}

// readAgain reads the records from since (ms) to the offset end, unless these are too many.
func (t *task) readAgain(ctx context.Context, since, end int64) (from int64, n int, err error) {
	log, err := kafka.OpenLog(ctx, t.p.cfg.Brokers, t.p.cfg.DeviceData, clientID)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = log.Close() }() // nothing was written through it
	oldest, _, err := log.Bounds(t.partition)
	if err != nil {
		return 0, 0, err
	}
	first, err := log.At(t.partition, since)
	if err != nil {
		return 0, 0, err
	}
	from = max(first, oldest, end-maxRelearn)
	if from >= end {
		return from, 0, nil
	}
	pc, err := log.Consume(t.partition, from)
	if err != nil {
		return from, 0, err
	}
	defer kafka.Discard(pc)
	again := newRelearning(t)
	quiet := time.NewTimer(relearnPause)
	defer quiet.Stop()
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok || m.Offset >= end {
				return from, again.n, nil
			}
			again.record(m)
			if m.Offset == end-1 {
				return from, again.n, nil
			}
			quiet.Reset(relearnPause)
		case e := <-pc.Errors():
			return from, again.n, e.Err
		case <-quiet.C: // the rest is the markers of transactions
			return from, again.n, nil
		case <-ctx.Done():
			return from, again.n, ctx.Err()
		}
	}
}

// relearning teaches the detector of a task.
type relearning struct {
	task    *task
	devices map[*device]*again
	n       int
}

// again is a device whose readings are read again: those that its state knows, then the others.
type again struct {
	clock  clock.Clock
	learns bool
}

func newRelearning(t *task) *relearning {
	return &relearning{task: t, devices: make(map[*device]*again)}
}

func (l *relearning) record(m *sarama.ConsumerMessage) {
	t := l.task
	d := t.devices[string(m.Key)]
	if d == nil || d.detect == nil {
		return
	}
	o := intake.Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	if _, refusal := t.intake.Accept(m.Key, m.Value, &o); refusal != nil {
		return
	}
	r := &t.intake.Reading
	if r.DeviceID != d.id || t.late(r, &o) || r.Offline && len(r.Sensors) == 0 {
		return
	}
	learns := m.Offset >= d.detect.position
	a := l.devices[d]
	if a == nil || learns && !a.learns {
		a = &again{clock: clock.Restore(d.detect.offset), learns: learns}
		l.devices[d] = a
		if learns {
			d.detect.settle()
		}
	}
	l.learn(d, o.Place(&a.clock, r), &o, learns)
}

// learn takes in the reading at hand, of which learns says that the state of d does not know it.
func (l *relearning) learn(d *device, p intake.Placed, o *intake.Origin, learns bool) {
	s, r := l.task.detects, &l.task.intake.Reading
	if !s.collect(r) {
		return
	}
	if !p.Backfill {
		moved := s.neighbours.Put(&d.detect.near, o.Written, r)
		if learns {
			s.compare(d.detect, moved)
		}
	}
	if !learns || !s.learn(d.detect, r, p, l.task.alarms.rules.Rules, true) {
		return
	}
	l.carryOut(d, p.At, o.Gateway)
	s.record = max(s.record, o.Written)
	d.detect.read++
	l.n++
	if d.detect.state > notableState {
		s.candidates[d] = struct{}{}
	}
}

// carryOut carries out the changes of alarms that the reading at hand makes. There are none unless
// the rules have changed since it was judged first: then alarms end that the detector would not
// mention again.
func (l *relearning) carryOut(d *device, at int64, gateway []byte) {
	t := l.task
	for i := range t.detects.changes {
		t.anomaly(d, &t.detects.changes[i], at, intake.GatewayName(gateway), time.Now().UnixMilli())
	}
}
