package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/core/internal/archive"
)

// Refuse is called with a reading that the engine will never store. An error of it fails the flush.
type Refuse func(ctx context.Context, offset int64, why string) error

// Head has the readings of one partition that were not written. It is for one goroutine, that of
// the partition.
type Head struct {
	k         *Keeper
	partition int32
	refuse    Refuse
	clocks    map[string]int64 // offsets in ms

	lines   []byte
	entries []entry
	written int       // how many of the entries are written
	since   time.Time // when the oldest of the entries came
	next    int64     // offset behind the last record
	flushed int64     // offset before which everything is written
	kept    int64     // offset before which nothing can be lost any more
	w       *writer
	dials   int64  // of w at the last flush
	fresh   []mark // written and not kept, oldest first
}

// mark is a position and when it was written.
type mark struct {
	next int64
	at   time.Time
}

// ErrReread is returned by Flush after the engine was gone: it may have lost what it confirmed last.
// Read on from Kept with a new head.
var ErrReread = errors.New("the engine was restarted or out of reach, reading again what it may have lost")

// entry is one reading in the lines.
type entry struct {
	offset int64
	end    int // of its lines
}

// Head returns a head of a partition that was read up to next.
func (k *Keeper) Head(ctx context.Context, partition int32, next int64, refuse Refuse) (*Head, error) {
	offsets, err := k.engine.clocks(ctx, partition)
	if err != nil {
		return nil, fmt.Errorf("reading the clocks of devices: %w", err)
	}
	return &Head{k: k, partition: partition, refuse: refuse, clocks: offsets, next: next, flushed: next, kept: next, w: k.engine.writer()}, nil
}

// Close closes the connection.
func (h *Head) Close() { h.w.http.CloseIdleConnections() }

// Kept returns the offset before which the engine has everything, even when it is killed.
func (h *Head) Kept() int64 {
	n := 0
	for n < len(h.fresh) && time.Since(h.fresh[n].at) >= h.w.settles {
		h.kept = h.fresh[n].next
		n++
	}
	h.fresh = slices.Delete(h.fresh, 0, n)
	return h.kept
}

// Next returns the offset from which to read on.
func (h *Head) Next() int64 { return h.next }

// ClockOffset returns the offset of a device's clock in ms, and whether the device is known.
func (h *Head) ClockOffset(device string) (offset int64, known bool) {
	offset, known = h.clocks[device]
	return offset, known
}

// Append takes over the reading of the record at an offset. It keeps no string of it.
func (h *Head) Append(offset int64, r *archive.Reading) {
	h.next = offset + 1
	if len(h.entries) == 0 {
		h.since = time.Now()
	}
	h.lines = appendReading(h.lines, r)
	if was, known := h.clocks[r.Device]; !known || was != r.ClockOffset {
		h.clocks[strings.Clone(r.Device)] = r.ClockOffset
		h.lines = appendClock(h.lines, h.partition, r)
	}
	h.entries = append(h.entries, entry{offset, len(h.lines)})
	h.k.wrote(r.Device, r.At)
	h.k.metrics.readings.Inc()
}

// Skip moves past a record that has nothing to keep.
func (h *Head) Skip(offset int64) { h.next = offset + 1 }

// idleRecords is how many records are read at most, with a reading to keep or not, before the position
// counts.
const idleRecords = 10_000

// Full reports whether the head has to be flushed at once, to bound its memory.
func (h *Head) Full() bool {
	return len(h.lines) >= h.k.o.BatchBytes || h.next-h.flushed >= idleRecords
}

// Due reports whether to flush: the head is full, its readings are too old, or Kept moved on.
func (h *Head) Due() bool {
	return h.Full() || len(h.entries) > 0 && time.Since(h.since) >= h.k.o.FlushEvery || len(h.fresh) > 0 && time.Since(h.fresh[0].at) >= h.w.settles
}

// Flush writes the readings. After an error other than ErrReread it can be called again, and goes on
// where it was.
func (h *Head) Flush(ctx context.Context) error {
	start := time.Now()
	if err := h.write(ctx, h.written, len(h.entries)); err != nil {
		return err
	}
	if len(h.entries) > 0 {
		h.k.metrics.flush.Observe(time.Since(start).Seconds())
	}
	h.lines, h.entries, h.written, h.flushed = h.lines[:0], h.entries[:0], 0, h.next
	h.Kept()
	if dials := h.w.dials.Load(); dials != h.dials {
		h.dials = dials
		if len(h.fresh) > 0 { // another connection may be one to another process
			return ErrReread
		}
	}
	if n := len(h.fresh); h.next != h.kept && (n == 0 || h.fresh[n-1].next != h.next) {
		h.fresh = append(h.fresh, mark{h.next, time.Now()})
	}
	h.Kept()
	return nil
}

// write writes entries. Of those that the engine does not take as they are, it looks for the ones
// that it refuses: what is written twice on the way is kept once.
func (h *Head) write(ctx context.Context, from, to int) error {
	if from == to {
		return nil
	}
	begin := 0
	if from > 0 {
		begin = h.entries[from-1].end
	}
	lines := h.lines[begin:h.entries[to-1].end]
	err := h.w.write(ctx, lines)
	why, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		h.k.metrics.written.Add(float64(len(lines)))
	case !refused:
		h.k.metrics.failed.Inc()
		return err
	case to-from > 1:
		middle := (from + to) / 2
		if err := h.write(ctx, from, middle); err != nil {
			return err
		}
		return h.write(ctx, middle, to)
	default:
		if err := h.refuse(ctx, h.entries[from].offset, why.text); err != nil {
			return err
		}
		h.k.metrics.refused.Inc()
	}
	h.written = to
	return nil
}
