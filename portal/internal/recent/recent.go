// Package recent keeps the readings of the last minute of every device, for clients that
// come back after a short while and say what they saw last. It is not a history: what is
// older than a minute and a half is gone, and so is the oldest when the bytes are used up.
// A reading is stored as what makes it differ from one before it, about a tenth of its
// length. It does not lock: what changes it is called with the plant locked, what reads it
// with the plant in view. Nothing in it blocks.
package recent

import (
	"encoding/binary"
	"sync/atomic"

	"industrial-iot-monitor/portal/internal/state"
)

const (
	// segments of so many ms are kept for each device: the running one and those before
	// it, so that at least a minute is there.
	segments  = 3
	segmentMS = 30_000
	// spare is what a segment that is full grows by at least.
	spare = 256
)

// Store holds the readings. It is a plant.Recorder.
type Store struct {
	limit   int64
	started int64
	bytes   atomic.Int64 // reserved
	devices []*history   // by the device's number
	scratch []byte
}

// history is what is kept of one device, the newest segment first.
type history struct {
	segments [segments]segment
	lost     int64 // time of the newest reading that was given up, ms; 0: none was
}

// segment holds readings of one stretch of time: the first one as it was, of the others
// uvarint length, varint of time minus the first one's, difference to the first one.
type segment struct {
	started     int64 // by our clock, ms
	first, last int64 // times of the readings, ms
	base        []byte
	rest        []byte
}

func (g *segment) size() int64 { return int64(cap(g.base) + cap(g.rest)) }

// New returns a store that reserves so many bytes at most; started is now, in ms.
func New(limit int64, started int64) *Store { return &Store{limit: limit, started: started} }

// Bytes returns how much memory is reserved for readings. It may be called at any time.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// Record implements plant.Recorder.
func (s *Store) Record(d *state.Device, now int64) {
	for len(s.devices) <= d.Index {
		s.devices = append(s.devices, nil)
	}
	h := s.devices[d.Index]
	if h == nil {
		h = &history{}
		s.devices[d.Index] = h
	}
	before := h.size()
	s.add(h, d, now)
	for k := segments - 1; k >= 0 && s.bytes.Load()+h.size()-before > s.limit; k-- {
		h.discard(k) // each device gives up its own oldest
		h.segments[k] = segment{}
	}
	s.bytes.Add(h.size() - before)
}

func (h *history) size() (n int64) {
	for i := range h.segments {
		n += h.segments[i].size()
	}
	return n
}

// discard notes that a segment's readings are no longer held.
func (h *history) discard(k int) {
	if g := &h.segments[k]; len(g.base) > 0 {
		h.lost = max(h.lost, g.first, g.last)
	}
}

func (s *Store) add(h *history, d *state.Device, now int64) {
	g := &h.segments[0]
	text, ts := d.Payload(), d.Timestamp()
	if now-g.started >= segmentMS || now < g.started {
		h.rotate(now)
		g.started, g.first, g.last = now, ts, ts
		g.base = append(g.base[:0], text...)
		return
	}
	s.scratch = binary.AppendVarint(s.scratch[:0], ts-g.first)
	s.scratch = appendDiff(s.scratch, g.base, text)
	need := len(g.rest) + binary.MaxVarintLen32 + len(s.scratch)
	if need > cap(g.rest) {
		g.rest = append(make([]byte, 0, need+max(spare, need/8)), g.rest...)
	}
	g.rest = binary.AppendUvarint(g.rest, uint64(len(s.scratch)))
	g.rest = append(g.rest, s.scratch...)
	g.last = ts
}

// turn begins a new segment. Segments that are so old that a newer one holds the whole
// last minute are given up; the oldest one's memory is used again.
func (h *history) rotate(now int64) {
	if len(h.segments[0].base) == 0 {
		return
	}
	h.discard(segments - 1)
	oldest := h.segments[segments-1]
	copy(h.segments[1:], h.segments[:segments-1])
	h.segments[0] = segment{base: oldest.base[:0], rest: oldest.rest[:0], started: now}
}

// of returns what is kept of a device, nil when that is nothing.
func (s *Store) history(index int) *history {
	if index < 0 || index >= len(s.devices) {
		return nil
	}
	return s.devices[index]
}

// Complete tells whether everything that is newer than since, in ms, is held of a device;
// an index below 0 is one of which nobody has heard.
func (s *Store) Complete(index int, since int64) bool {
	if since < s.started {
		return false // what was sent before our start is not known
	}
	h := s.history(index)
	return h == nil || since >= h.lost
}

// Each calls f with the readings of a device whose time is between after and before, both
// exclusive, in the order in which they came, until f returns false. It returns false then.
// The text is valid during the call.
func (s *Store) Each(index int, after, before int64, f func(ts int64, text []byte) bool) bool {
	h := s.history(index)
	if h == nil {
		return true
	}
	for k := segments - 1; k >= 0; k-- {
		if !h.segments[k].each(after, before, f) {
			return false
		}
	}
	return true
}

func (g *segment) each(after, before int64, f func(ts int64, text []byte) bool) bool {
	var buf []byte
	wanted := func(ts int64) bool { return ts > after && ts < before }
	if len(g.base) == 0 || (wanted(g.first) && !f(g.first, g.base)) {
		return len(g.base) == 0
	}
	for rest := g.rest; len(rest) > 0; {
		n, k := binary.Uvarint(rest)
		entry := rest[k : k+int(n)]
		rest = rest[k+int(n):]
		ago, k := binary.Varint(entry)
		ts := g.first + ago
		if !wanted(ts) {
			continue
		}
		var ok bool
		if buf, ok = appendText(buf[:0], g.base, entry[k:]); ok && !f(ts, buf) {
			return false
		}
	}
	return true
}
