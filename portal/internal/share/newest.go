package share

import (
	"context"
	"fmt"
	"sync"
	"time"

	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	// keptFor is how long readings stay when no portal writes, and removals at all.
	keptFor = 7 * 24 * time.Hour
	// batchDevices and batchBytes bound what is written at once: a script blocks Redis.
	batchDevices, batchBytes = 250, 256 << 10
	// scanCount is how many devices are read at once, about.
	scanCount = 1000
	// confirmWithin is how long core has, once its states have been read, to know a device that was loaded.
	confirmWithin = time.Minute
)

// marks are the devices whose newest reading is not written yet, each once.
type marks struct {
	mu        sync.Mutex
	marked    []bool // by index
	list      []int
	conflated int64 // readings that were replaced before they were written
}

func (m *marks) add(devices ...*state.Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range devices {
		for d.Index >= len(m.marked) {
			m.marked = append(m.marked, false)
		}
		if m.marked[d.Index] {
			m.conflated++
			continue
		}
		m.marked[d.Index] = true
		m.list = append(m.list, d.Index)
	}
}

// take returns up to n indexes, those marked first.
func (m *marks) take(n int) []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = min(n, len(m.list))
	out := append([]int(nil), m.list[:n]...)
	m.list = append(m.list[:0], m.list[n:]...)
	for _, i := range out {
		m.marked[i] = false
	}
	return out
}

// back marks indexes that were not written, or have to be again.
func (m *marks) back(indexes []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range indexes {
		if !m.marked[i] {
			m.marked[i] = true
			m.list = append(m.list, i)
		}
	}
}

func (m *marks) length() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.list)
}

func (m *marks) replaced() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conflated
}

// Added implements state.Observer.
func (s *Share) Added(*state.Device) {}

// Removed implements state.Observer. See Remove.
func (s *Share) Removed(*state.Device) {}

// Described implements state.Observer.
func (s *Share) Described(*state.Device) {}

// Alert implements state.Observer.
func (s *Share) Alert(*state.Alert) {}

// Readings implements state.Observer.
func (s *Share) Readings(updated []*state.Device) { s.changed.add(updated...) }

// markAll marks every device: Redis may have lost what it had.
func (s *Share) markAll() {
	var all []int
	s.model.Each(func(d *state.Device) { all = append(all, d.Index) })
	s.changed.back(all)
}

// flush writes what has changed. What takes longer than a second goes on with the next call.
func (s *Share) flush(ctx context.Context) error {
	deadline := time.Now().Add(every)
	for left := s.changed.length(); left > 0 && time.Now().Before(deadline); left -= batchDevices {
		indexes := s.changed.take(batchDevices)
		if err := s.write(ctx, indexes); err != nil {
			s.changed.back(indexes)
			return err
		}
	}
	return nil
}

// write writes the newest readings of devices.
func (s *Share) write(ctx context.Context, indexes []int) error {
	for len(indexes) > 0 {
		args := make([]any, 1, 1+2*len(indexes))
		args[0] = int(keptFor.Seconds())
		n := s.encode(indexes, &args)
		indexes = indexes[n:]
		if len(args) == 1 {
			continue
		}
		out, err := s.run(ctx, newestScript, []string{s.keys.newest, s.keys.removed}, args)
		if err != nil {
			return fmt.Errorf("writing readings: %w", err)
		}
		kept, before, ok := pair(out)
		if !ok {
			return fmt.Errorf("writing readings: unexpected answer %v", out)
		}
		s.written.Add(kept)
		if before == 0 && kept > 0 {
			s.markAll() // it was emptied
		}
	}
	return nil
}

func pair(v any) (a, b int64, ok bool) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 {
		return 0, 0, false
	}
	a, okA := list[0].(int64)
	b, okB := list[1].(int64)
	return a, b, okA && okB
}

// encode appends devices with their records to args, and returns how many of the indexes it has done.
func (s *Share) encode(indexes []int, args *[]any) (n int) {
	s.buf = s.buf[:0]
	type place struct {
		id       string
		from, to int
	}
	places := make([]place, 0, len(indexes))
	s.model.View(func() {
		for n < len(indexes) && len(s.buf) < batchBytes {
			d := s.model.DeviceAt(indexes[n])
			n++
			from := len(s.buf)
			s.buf = s.encoder.append(s.buf, d)
			if len(s.buf) > from {
				places = append(places, place{d.ID, from, len(s.buf)})
			}
		}
	})
	for _, p := range places {
		*args = append(*args, p.id, s.buf[p.from:p.to])
	}
	return n
}

// load takes over what other portals, or this one before a restart, had as the newest.
func (s *Share) load(ctx context.Context) error {
	var limit ops.LogLimit
	var o opener
	before := s.model.Totals().Restored
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		page, next, err := s.scan(ctx, cursor)
		if err != nil {
			return fmt.Errorf("loading readings: %w", err)
		}
		cursor = next
		for i := 0; i+1 < len(page); i += 2 {
			err := o.open(page[i], []byte(page[i+1]))
			if err == nil {
				_, err = s.model.Restore(&o.frame)
			}
			if err != nil {
				s.metrics.malformed.Inc()
				if skipped, ok := limit.Allow(); ok {
					s.log.Warn("malformed reading in redis dropped", "device", page[i], "err", err, "skipped", skipped)
				}
			}
		}
	}
	if s.model.Totals().Restored > before {
		s.confirm = confirmation{pending: true}
	}
	return nil
}

func (s *Share) scan(ctx context.Context, cursor uint64) ([]string, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	return s.bulk.HScan(ctx, s.keys.newest, cursor, "", scanCount).Result()
}

// confirmation is what is left to do with devices that were loaded.
type confirmation struct {
	pending bool
	since   time.Time // core's states have been read since then
}

// or returns the time that a test has set, else d.
func (s *Share) or(d time.Duration) time.Duration {
	if s.patience > 0 {
		return s.patience
	}
	return d
}

// dropUnconfirmed removes loaded devices that core does not know: they were removed, or forgotten, while no
// portal ran, and Kafka has compacted that away.
func (s *Share) dropUnconfirmed() {
	c := &s.confirm
	switch {
	case !c.pending || s.opts.Confirmed == nil || !s.opts.Confirmed():
		return
	case c.since.IsZero():
		c.since = time.Now()
		return
	case time.Since(c.since) < s.or(confirmWithin):
		return
	}
	c.pending = false
	unknown := make(map[string]int64)
	s.model.Each(func(d *state.Device) {
		if d.Restored() && !d.HasState() {
			unknown[d.ID] = d.Received()
		}
	})
	for id, received := range unknown {
		s.Remove(id, received)
		s.model.Remove(id, received)
	}
	if len(unknown) > 0 {
		s.log.Info("devices from redis dropped, core does not know them", "devices", len(unknown))
	}
}
