package aggregate

import (
	"math"

	"industrial-iot-monitor/internal/telemetry"
)

// Collect removes closed windows and corrections, about limit at most, and appends them to
// dst; the rest follows with the next call. Call it about once a second.
func (a *Aggregator) Collect(now int64, limit int, dst []telemetry.Window) []telemetry.Window {
	if now-a.lastAdd > a.idle {
		a.watermark = max(a.watermark, now-a.idle)
	}
	room := limit + len(dst)
	dst = a.collectStrays(room, dst)
	dst = a.collectBuildings(a.closed, dst)
	dst = a.collectDone(room, dst)
	for range a.devices {
		if len(dst) >= room {
			break
		}
		a.cursor = (a.cursor + 1) % len(a.devices)
		d := a.devices[a.cursor]
		dst = collect(dst, &d.source, d.minute[:], Minute, a.closed)
	}
	return dst
}

// Flush removes all windows, closed or not, and appends them to dst. The next owner of the
// partition emits further partials of the same windows.
func (a *Aggregator) Flush(dst []telemetry.Window) []telemetry.Window {
	const all = int(^uint(0) >> 1)
	every := func(int64, int64) bool { return true }
	dst = a.collectStrays(all, dst)
	dst = a.collectBuildings(every, dst)
	dst = a.collectDone(all, dst)
	for _, d := range a.devices {
		dst = collect(dst, &d.source, d.minute[:], Minute, every)
	}
	return dst
}

func (a *Aggregator) collectStrays(room int, dst []telemetry.Window) []telemetry.Window {
	for key, c := range a.strays {
		if len(dst) >= room {
			return dst
		}
		w := window{of: key.of, start: key.start, width: key.width, late: key.late, cells: *c}
		dst = w.appendTo(dst)
		delete(a.strays, key)
	}
	return dst
}

// collectBuildings also removes buildings without open windows.
func (a *Aggregator) collectBuildings(due func(start, width int64) bool, dst []telemetry.Window) []telemetry.Window {
	for name, b := range a.buildings {
		dst = collect(dst, &b.source, b.seconds[:], Second, due)
		dst = collect(dst, &b.source, b.minutes[:], Minute, due)
		if !anyUsed(b.seconds[:]) && !anyUsed(b.minutes[:]) {
			delete(a.buildings, name)
		}
	}
	return dst
}

func (a *Aggregator) collectDone(room int, dst []telemetry.Window) []telemetry.Window {
	n := 0
	for ; n < len(a.done) && len(dst) < room; n++ {
		dst = a.done[n].appendTo(dst)
	}
	if n == len(a.done) {
		a.done = nil // only the end of a minute fills it
		return dst
	}
	a.done = a.done[n:]
	return dst
}

func collect(dst []telemetry.Window, of *source, slots []slot, width int64, due func(start, width int64) bool) []telemetry.Window {
	for i := range slots {
		s := &slots[i]
		if !s.used || !due(s.start, width) {
			continue
		}
		w := window{of: of, start: s.start, width: width, cells: s.cells}
		dst = w.appendTo(dst)
		s.used = false
	}
	return dst
}

func anyUsed(slots []slot) bool {
	for i := range slots {
		if slots[i].used {
			return true
		}
	}
	return false
}

// cells are the running figures of one window, by parameter.
type cells [telemetry.NumAnalog]struct {
	count         int64
	sum, min, max float64
}

func (c *cells) add(s *telemetry.Sensors) {
	for p := range telemetry.NumAnalog {
		m := s.Analog(p)
		if !m.Present {
			continue
		}
		cell := &c[p]
		if cell.count == 0 {
			cell.min, cell.max = m.Value, m.Value
		} else {
			cell.min, cell.max = min(cell.min, m.Value), max(cell.max, m.Value)
		}
		cell.count++
		cell.sum += m.Value
	}
}

func (w *window) appendTo(dst []telemetry.Window) []telemetry.Window {
	for p := range telemetry.NumAnalog {
		cell := &w.cells[p]
		if cell.count == 0 {
			continue
		}
		dst = append(dst, telemetry.Window{
			Scope: w.of.scope, ID: w.of.id, Parameter: p.String(),
			Start: w.start, WidthMS: w.width,
			Count: cell.count, Sum: finite(cell.sum), Min: cell.min, Max: cell.max,
			Late: w.late,
		})
	}
	return dst
}

// finite makes a sum that overflowed encodable as JSON.
func finite(sum float64) float64 {
	if math.IsNaN(sum) {
		return 0 // it overflowed both ways
	}
	return max(-math.MaxFloat64, min(sum, math.MaxFloat64))
}
