package aggregate

import "industrial-iot-monitor/internal/telemetry"

// Collect removes closed windows and corrections, about limit at most, and appends them to
// dst; the rest follows with the next call. Call it about once a second.
func (a *Aggregator) Collect(now int64, limit int, dst []telemetry.Window) []telemetry.Window {
	if now-a.lastAdd > a.idle {
		a.watermark = max(a.watermark, now-a.idle)
	}
	if a.names.full {
		a.sweep()
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
		before := len(d.minute[0].cells)
		dst = a.collect(dst, &d.source, d.minute[:], Minute, a.closed)
		a.cells += len(d.minute[0].cells) - before
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
		dst = a.collect(dst, &d.source, d.minute[:], Minute, every)
	}
	return dst
}

func (a *Aggregator) collectStrays(room int, dst []telemetry.Window) []telemetry.Window {
	for key, c := range a.strays {
		if len(dst) >= room {
			return dst
		}
		w := window{of: key.of, start: key.start, width: key.width, late: key.late, cells: c.cells}
		dst = a.appendTo(dst, &w)
		delete(a.strays, key)
	}
	return dst
}

// collectBuildings also removes buildings without open windows.
func (a *Aggregator) collectBuildings(due func(start, width int64) bool, dst []telemetry.Window) []telemetry.Window {
	for _, b := range a.buildings {
		dst = a.collect(dst, &b.source, b.seconds[:], Second, due)
		dst = a.collect(dst, &b.source, b.minutes[:], Minute, due)
		if !anyUsed(b.seconds[:]) && !anyUsed(b.minutes[:]) {
			a.forget(b)
		}
	}
	return dst
}

func (a *Aggregator) collectDone(room int, dst []telemetry.Window) []telemetry.Window {
	n := 0
	for ; n < len(a.done) && len(dst) < room; n++ {
		dst = a.appendTo(dst, &a.done[n])
	}
	if n == len(a.done) {
		a.done = nil // only the end of a minute fills it
		return dst
	}
	a.done = a.done[n:]
	return dst
}

func (a *Aggregator) collect(dst []telemetry.Window, of *source, slots []slot, width int64, due func(start, width int64) bool) []telemetry.Window {
	for i := range slots {
		s := &slots[i]
		if !s.used || !due(s.start, width) {
			continue
		}
		dst = a.appendTo(dst, &window{of: of, start: s.start, width: width, cells: s.cells})
		s.reset()
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
