package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// Reading is one reading in plant time.
type Reading struct {
	Device, Building string
	Floor            int
	Room, Model      string // "": unknown
	At               int64  // ms
	// ClockOffset is how far the device's clock is ahead, in ms; 0: it is right.
	ClockOffset int64
	Sensors     telemetry.Sensors
}

// blockID names the block of a device and a day.
type blockID struct {
	device string
	day    int64
}

// known is what the catalogue keeps of a device.
type known struct {
	id       string
	building string
	floor    int
	room     string
	model    string
	clock    int64
	begins   int64 // ms, its oldest reading
}

// target is the file of a day, and the offset before which it had everything.
type target struct {
	file   *day
	offset int64
}

// tracked is a device of a partition.
type tracked struct {
	known
	chains chains
	fields fields
	// block is that of its newest reading's day, nil: there is none.
	block *samples.Block
	day   int64
}

// Head has the newest readings of one partition, which are not in a file yet. Append, Skip and
// Flush are for one goroutine, that of the partition.
type Head struct {
	a         *Archive
	partition int32
	since     time.Time // when the oldest of its readings came
	damages   int64     // how many files had been set aside when it was made
	// done are the files of days that this head writes to. It writes to no other: one that was
	// created again lacks what was read before this head.
	done map[int64]target

	mu      sync.RWMutex // of the fields below; only the goroutine of the partition changes them
	blocks  map[blockID]*samples.Block
	devices map[string]*tracked
	means   means
	values  int   // in blocks
	next    int64 // offset behind the last record
	flushed int64 // offset before which files have everything
	latest  int64 // ms, time of the newest reading
}

// Next returns the offset from which to read on.
func (h *Head) Next() int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.next
}

// ClockOffset returns the offset of a device's clock in ms, and whether the device is known.
func (h *Head) ClockOffset(device string) (offset int64, known bool) {
	if d := h.devices[device]; d != nil {
		return d.clock, true
	}
	return 0, false
}

// Append takes over the reading of the record at an offset. It keeps no string of it. A reading
// of a day that is not kept is left out.
func (h *Head) Append(offset int64, r *Reading) error {
	number := r.At / dayMS
	has, err := h.has(number)
	switch {
	case errors.Is(err, errNotKept), errors.Is(err, errGone):
		h.a.metrics.unkept.Inc()
		h.Skip(offset)
		return nil
	case err != nil:
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = offset + 1
	d := h.know(r)
	d.fields.see(number, r.Sensors)
	h.means.observe(&d.chains, r, func(minute int64) bool {
		done, err := h.has(minute * minuteMS / dayMS)
		return err == nil && offset >= done
	})
	if offset < has {
		return nil
	}
	if h.values == 0 {
		h.since = h.a.now()
	}
	b := h.blockOf(d, number)
	b.Append(r.At, r.Sensors)
	h.latest = max(h.latest, r.At)
	h.values += 1 + len(b.Columns)
	return nil
}

// outdated reports whether a file was set aside since the head was made: the position of the head is
// behind what must be read again, and must not come into a file.
func (h *Head) outdated() bool { return h.a.setAside.Load() != h.damages }

// know returns the device of a reading and notes what the catalogue keeps of it. h.mu is held.
func (h *Head) know(r *Reading) *tracked {
	d := h.devices[r.Device]
	if d == nil {
		d = &tracked{known: known{id: strings.Clone(r.Device), begins: r.At}} // a reading's strings share its whole text
		h.devices[d.id] = d
	}
	if d.building != r.Building {
		d.building = strings.Clone(r.Building)
	}
	d.floor = r.Floor
	if d.room != r.Room {
		d.room = strings.Clone(r.Room)
	}
	if d.model != r.Model {
		d.model = strings.Clone(r.Model)
	}
	d.clock, d.begins = r.ClockOffset, min(d.begins, r.At)
	return d
}

// blockOf returns the block of a device and a day. h.mu is held.
func (h *Head) blockOf(d *tracked, number int64) *samples.Block {
	if d.block != nil && d.day == number {
		return d.block
	}
	id := blockID{d.id, number}
	b := h.blocks[id]
	if b == nil {
		b = new(samples.Block)
		h.blocks[id] = b
	}
	d.block, d.day = b, number
	return b
}

// Skip moves past a record that has nothing to keep.
func (h *Head) Skip(offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = offset + 1
}

// Full reports whether the head has so many readings that it has to be flushed.
func (h *Head) Full() bool { return h.values >= int(h.a.share.Load()) }

// Due reports whether the head has to be flushed by now: its readings are too old or too many.
func (h *Head) Due() bool {
	return h.Full() || h.values > 0 && h.a.now().Sub(h.since) >= h.a.o.FlushEvery || h.values == 0 && h.next-h.flushed >= idleRecords
}

// idleRecords is how many records without a reading to keep are read before the position is
// written.
const idleRecords = 10_000

// Flush writes the readings into the files of their days, each with the position in the same
// transaction, and then the position into the catalogue. After an error the head is as before, and
// the days that were written recognise what they have.
func (h *Head) Flush(ctx context.Context) error {
	if h.next == h.flushed {
		return nil
	}
	if h.outdated() {
		return ErrRebuild
	}
	a, start := h.a, time.Now()
	end, err := a.beginFlush(ctx)
	if err != nil {
		return err
	}
	defer end()
	days := h.byDay()
	written := make(map[int64]*day, len(days))
	for number, ids := range days {
		d, err := h.flushDay(ctx, number, ids)
		if err != nil {
			return err
		}
		if d != nil {
			written[number] = d
		}
	}
	if err := a.catalogue.advance(ctx, h.partition, h.next, slices.Collect(maps.Keys(written)), h.moved()); err != nil {
		return fmt.Errorf("writing the catalogue: %w", err)
	}
	for _, d := range written {
		d.promise(h.partition, h.next)
	}
	h.clear()
	a.metrics.flush.Observe(time.Since(start).Seconds())
	return nil
}

// beginFlush waits for the flush of another head: they need the encoder, and the disk is one.
func (a *Archive) beginFlush(ctx context.Context) (end func(), err error) {
	select {
	case a.flushing <- struct{}{}:
		return func() { <-a.flushing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// moved returns the devices that had a reading since the last flush.
func (h *Head) moved() (out []device) {
	for _, d := range h.devices {
		if d.chains.moved {
			out = append(out, device{d.known, d.chains.newest.holding(), d.fields.changed()})
		}
	}
	return out
}

// byDay returns the blocks with readings, sorted, by day.
func (h *Head) byDay() map[int64][]blockID {
	h.mu.Lock()
	defer h.mu.Unlock()
	days := make(map[int64][]blockID, 2)
	for id, b := range h.blocks {
		if b.Len() == 0 {
			delete(h.blocks, id) // silent since the last flush
			if d := h.devices[id.device]; d != nil && d.block == b {
				d.block = nil
			}
			continue
		}
		h.a.metrics.repeated.Add(float64(b.Sort()))
		days[id.day] = append(days[id.day], id)
	}
	h.means.days(days)
	return days
}

// flushDay writes the blocks of a day and returns its file, nil if retention has removed it
// meanwhile.
func (h *Head) flushDay(ctx context.Context, number int64, ids []blockID) (*day, error) {
	a, d := h.a, h.done[number].file
	if d == nil {
		return nil, nil //nolint:nilnil // see above
	}
	slices.SortFunc(ids, func(x, y blockID) int { return strings.Compare(x.device, y.device) })
	var data []byte
	pieces := make([]piece, 0, len(ids))
	for _, id := range ids {
		b := h.blocks[id]
		begin := len(data)
		data = a.encoder.Append(data, b)
		pieces = append(pieces, piece{device: id.device, start: b.Times[0], stop: b.Times[b.Len()-1], rows: b.Len(), fields: b.Fields(), data: data[begin:len(data):len(data)]})
	}
	err := d.write(ctx, h.partition, h.next, a.now().UnixMilli(), func(w *writer) error {
		for i := range pieces {
			if err := w.chunk(&pieces[i]); err != nil {
				return err
			}
		}
		if err := a.addMeans(w, &h.means, number); err != nil {
			return err
		}
		return w.outdate(len(pieces))
	})
	if errors.Is(err, errGone) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, a.failed(d, err)
	}
	a.metrics.written.Add(float64(len(data)))
	for i := range pieces {
		a.metrics.readings.Add(float64(pieces[i].rows))
	}
	return d, nil
}

// newest returns the time of the newest reading since the head was made, in ms.
func (h *Head) newest() int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.latest
}

// clear empties the blocks and keeps their memory for the next readings.
func (h *Head) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.blocks {
		b.Reset()
	}
	h.means.clear()
	for _, d := range h.devices {
		d.chains.detach()
		d.fields.written()
	}
	h.values, h.flushed = 0, h.next
}

// collect appends copies of a device's readings of a day to b.
func (h *Head) collect(id blockID, want func(samples.Field) bool, b *samples.Block) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if own := h.blocks[id]; own != nil && own.Len() > 0 {
		picked := own.Pick(want)
		b.Merge(&picked)
	}
}

// rows returns how many readings of a device and a day there are.
func (h *Head) rows(id blockID) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if b := h.blocks[id]; b != nil {
		return b.Len()
	}
	return 0
}

// has returns the offset before which the file of a day has all that belongs to it, or errNotKept.
func (h *Head) has(number int64) (int64, error) {
	if t, ok := h.done[number]; ok {
		return t.offset, nil
	}
	if h.outdated() {
		return 0, ErrRebuild
	}
	d, err := h.a.dayFor(number)
	if err != nil {
		return 0, err
	}
	offset, err := d.position(h.a.life, h.partition, h.a.now().UnixMilli())
	if err != nil {
		return 0, h.a.failed(d, err)
	}
	h.done[number] = target{d, offset}
	return offset, nil
}

// names returns the devices with readings of a day.
func (h *Head) names(number int64, into map[string]bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for id, b := range h.blocks {
		if id.day == number && b.Len() > 0 {
			into[id.device] = true
		}
	}
}

// newHead returns the head of a partition that was read up to next.
func newHead(a *Archive, damages int64, partition int32, next int64, devices []device) *Head {
	h := &Head{
		a: a, damages: damages, partition: partition, next: next, flushed: next, blocks: make(map[blockID]*samples.Block),
		devices: make(map[string]*tracked, len(devices)), means: newMeans(), done: make(map[int64]target),
	}
	for i := range devices {
		d := &devices[i]
		h.devices[d.id] = &tracked{known: d.known, chains: h.means.restore(d.building, &d.held), fields: fields{list: d.fields}}
	}
	return h
}
