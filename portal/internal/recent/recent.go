// Package recent keeps every device's readings of the last minute, for clients that reconnect
// soon and resume. It is not a history: readings older than a minute and a half are dropped,
// and older ones first when the memory limit is reached. A reading is stored as its difference
// from an earlier one, about a tenth of its length. The package does not lock or block: methods
// that change it are called in the model's update, methods that read it in its View.
package recent

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync/atomic"

	"industrial-iot-monitor/portal/internal/state"
)

const (
	// Each device has the current segment and two before it, so at least a minute.
	segments  = 3
	segmentMS = 30_000
	// spare is the least number of bytes by which a full segment grows.
	spare = 128
)

// Store holds the readings. It is a state.Recorder.
type Store struct {
	limit   int64
	started int64
	bytes   atomic.Int64 // reserved
	devices []*history   // by Device.Index
	scratch []byte
}

// history has the readings of one device, the newest segment first. The first reading of that one is
// kept as it was, that of an older segment as its difference from the one of the next newer.
type history struct {
	segments [segments]segment
	lost     place // of dropped readings, the largest of each; zero: none was dropped
}

// place is where a reading is among all: its number, see state.Device.Seq, and its plant time.
type place struct {
	seq uint64
	at  int64 // ms
}

// segment has the readings of one period: base is the first one, see history; in rest is of each
// other one the uvarint length, the varint time and the uvarint number since the first one,
// and the difference from the first one.
type segment struct {
	started int64 // by our clock, ms
	first   place
	last    place
	base    []byte
	rest    []byte
}

// Position is what a client has seen: readings up to a number, or up to a time.
type Position struct {
	seq uint64
	at  int64
}

// AfterSeq is the position behind the reading of that number, see state.Device.Seq.
func AfterSeq(seq uint64) Position { return Position{seq: seq, at: math.MinInt64} }

// AfterTime is the position behind readings of that plant time, in ms.
func AfterTime(ms int64) Position { return Position{at: ms} }

// Advance returns the position moved on behind the reading of that number.
func (p Position) Advance(seq uint64) Position {
	p.seq = seq
	return p
}

func (p Position) before(r place) bool { return r.seq > p.seq && r.at > p.at }

func (g *segment) size() int64 { return int64(cap(g.base) + cap(g.rest)) }

// New returns a store of at most limit bytes; started is the current time, in ms.
func New(limit int64, started int64) *Store { return &Store{limit: limit, started: started} }

// Bytes returns the memory reserved for readings. It is safe for concurrent use.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// Record implements state.Recorder.
func (s *Store) Record(d *state.Device, text []byte, now int64) {
	for len(s.devices) <= d.Index {
		s.devices = append(s.devices, nil)
	}
	h := s.devices[d.Index]
	if h == nil {
		h = &history{}
		s.devices[d.Index] = h
	}
	before := h.size()
	s.add(h, place{d.Seq(), d.Timestamp()}, text, now)
	for k := segments - 1; k >= 0 && s.bytes.Load()+h.size()-before > s.limit; k-- {
		h.discard(k) // a device drops its own oldest
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

// discard notes that a segment's readings are dropped.
func (h *history) discard(k int) {
	if g := &h.segments[k]; len(g.base) > 0 {
		h.lost.seq = max(h.lost.seq, g.last.seq)
		h.lost.at = max(h.lost.at, g.first.at, g.last.at)
	}
}

func (s *Store) add(h *history, at place, text []byte, now int64) {
	g := &h.segments[0]
	if now-g.started >= segmentMS || now < g.started {
		s.rotate(h, text)
		g.started, g.first, g.last = now, at, at
		g.base = append(g.base[:0], text...)
		return
	}
	s.scratch = binary.AppendVarint(s.scratch[:0], at.at-g.first.at)
	s.scratch = binary.AppendUvarint(s.scratch, at.seq-g.first.seq)
	s.scratch = appendDiff(s.scratch, g.base, text)
	need := len(g.rest) + binary.MaxVarintLen32 + len(s.scratch)
	if need > cap(g.rest) {
		g.rest = append(make([]byte, 0, need+max(spare, need/8)), g.rest...)
	}
	g.rest = binary.AppendUvarint(g.rest, uint64(len(s.scratch)))
	g.rest = append(g.rest, s.scratch...)
	g.last = at
}

// Forget implements state.Recorder.
func (s *Store) Forget(index int) {
	if h := s.history(index); h != nil {
		s.bytes.Add(-h.size())
		s.devices[index] = nil
	}
}

// rotate makes room for a new segment that begins with text, by packing the newest one and dropping
// the oldest. The buffers of the newest are the new one's.
func (s *Store) rotate(h *history, text []byte) {
	newest := h.segments[0]
	if len(newest.base) == 0 {
		return
	}
	h.discard(segments - 1)
	copy(h.segments[1:], h.segments[:segments-1])
	s.scratch = appendDiff(s.scratch[:0], text, newest.base)
	h.segments[1].base, h.segments[1].rest = bytes.Clone(s.scratch), bytes.Clone(newest.rest)
	h.segments[0] = segment{base: newest.base[:0], rest: newest.rest[:0]}
}

// history returns the readings of a device, nil without any.
func (s *Store) history(index int) *history {
	if index < 0 || index >= len(s.devices) {
		return nil
	}
	return s.devices[index]
}

// Complete reports whether all readings of a device after a position are held. An unknown device
// has index -1.
func (s *Store) Complete(index int, after Position) bool {
	byTime := after.at != math.MinInt64
	if byTime && after.at < s.started {
		return false // readings from before the start are missing
	}
	h := s.history(index)
	return h == nil || byTime && after.at >= h.lost.at || !byTime && after.seq >= h.lost.seq
}

// Each calls f with the readings of a device after a position and before the one of number before,
// in order of arrival, until f returns false; then it returns false too. text is valid during the
// call.
func (s *Store) Each(index int, after Position, before uint64, f func(seq uint64, text []byte) bool) bool {
	h := s.history(index)
	if h == nil {
		return true
	}
	bases := h.bases()
	for k := segments - 1; k >= 0; k-- {
		if bases[k] != nil && !h.segments[k].each(bases[k], after, before, f) {
			return false
		}
	}
	return true
}

// bases returns the first reading of each segment, nil of one without any.
func (h *history) bases() (list [segments][]byte) {
	for k := range list {
		packed := h.segments[k].base
		switch {
		case len(packed) == 0:
			return list // an older one has none either
		case k == 0:
			list[0] = packed
		default:
			list[k], _ = appendText(nil, list[k-1], packed) // it is what appendDiff made
		}
	}
	return list
}

func (g *segment) each(base []byte, after Position, before uint64, f func(seq uint64, text []byte) bool) bool {
	var buf []byte
	wanted := func(r place) bool { return after.before(r) && r.seq < before }
	if wanted(g.first) && !f(g.first.seq, base) {
		return false
	}
	for rest := g.rest; len(rest) > 0; {
		n, k := binary.Uvarint(rest)
		entry := rest[k : k+int(n)]
		rest = rest[k+int(n):]
		later, k := binary.Varint(entry)
		further, m := binary.Uvarint(entry[k:])
		at := place{g.first.seq + further, g.first.at + later}
		if !wanted(at) {
			continue
		}
		var ok bool
		if buf, ok = appendText(buf[:0], base, entry[k+m:]); ok && !f(at.seq, buf) {
			return false
		}
	}
	return true
}
