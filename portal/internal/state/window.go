package state

import (
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// keepWindows is how many windows of each building and parameter are kept: four
	// minutes of seconds.
	keepWindows = 240
	// maxBuildings bounds the memory that building names in readings can claim. Beyond it, a
	// building takes the place of the one that was not heard for longest.
	maxBuildings = 1000
	// maxMeans bounds the parameters of all buildings together; one building has at most
	// telemetry.MaxSensors.
	maxMeans = 10_000
	// quietAfter is how long a building must be silent, in ms, to make room: what is heard stays,
	// however many names are invented.
	quietAfter = 60_000
	// secondWidth is the width of the windows kept, in ms.
	secondWidth = 1000
)

// Mean is a merged aggregate of one parameter.
type Mean struct {
	Count          int64
	Mean, Min, Max float64
}

// windowIndex keeps the last minutes of building windows, a ring of seconds for each
// building and parameter.
type windowIndex struct {
	buildings map[string]*buildingWindows
	rings     int   // in it
	fullUntil int64 // ms, no building makes room before
}

type buildingWindows struct {
	heard      int64 // ms by the portal's clock
	parameters map[string]*[keepWindows]second
}

// second is what the windows of one second amount to.
type second struct {
	start         int64
	count         int64
	sum, min, max float64
}

func newWindowIndex() windowIndex {
	return windowIndex{buildings: make(map[string]*buildingWindows)}
}

// put merges a partial aggregate, which arrived now, into its window.
func (b *windowIndex) put(w *telemetry.Window, now int64) {
	if w.Scope != "building" || w.WidthMS != secondWidth || w.Count <= 0 || w.Start < 0 {
		return
	}
	of := b.buildings[w.ID]
	if of == nil {
		if len(b.buildings) >= maxBuildings && !b.makeRoom(now) {
			return
		}
		of = &buildingWindows{parameters: make(map[string]*[keepWindows]second)}
		b.buildings[w.ID] = of
	}
	of.heard = now
	ring := of.parameters[w.Parameter]
	if ring == nil {
		if len(of.parameters) >= telemetry.MaxSensors || b.rings >= maxMeans && !b.makeRoom(now) {
			return
		}
		b.rings++
		ring = new([keepWindows]second)
		of.parameters[w.Parameter] = ring
	}
	slot := &ring[w.Start/secondWidth%keepWindows]
	one := second{start: w.Start, count: w.Count, sum: w.Sum, min: w.Min, max: w.Max}
	switch {
	case w.Start > slot.start:
		*slot = one
	case w.Start == slot.start:
		slot.merge(one)
	}
}

// makeRoom forgets the building that was not heard for longest, unless it was heard lately.
func (b *windowIndex) makeRoom(now int64) bool {
	if now < b.fullUntil {
		return false
	}
	oldest := ""
	for name, of := range b.buildings {
		if oldest == "" || of.heard < b.buildings[oldest].heard {
			oldest = name
		}
	}
	of := b.buildings[oldest]
	if of == nil {
		return false
	}
	if b.fullUntil = of.heard + quietAfter; now < b.fullUntil {
		return false
	}
	b.rings -= len(of.parameters)
	delete(b.buildings, oldest)
	return true
}

func (s *second) merge(o second) {
	if s.count == 0 {
		*s = o
		return
	}
	s.count += o.count
	s.sum += o.sum
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
}

// means merges the windows of a building that start within [from, to).
func (b *windowIndex) means(building string, from, to int64) map[string]Mean {
	out := make(map[string]Mean)
	of := b.buildings[building]
	if of == nil {
		return out
	}
	for param, ring := range of.parameters {
		var all second
		for i := range ring {
			if s := &ring[i]; s.count > 0 && s.start >= from && s.start < to {
				all.merge(*s)
			}
		}
		if all.count > 0 {
			out[param] = Mean{Count: all.count, Mean: all.sum / float64(all.count), Min: all.min, Max: all.max}
		}
	}
	return out
}

// ApplyWindows applies partial aggregates. Those of buildings over one second are kept for
// four minutes, the others are ignored.
func (m *Model) ApplyWindows(ws []telemetry.Window) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range ws {
		m.windows.put(&ws[i], now)
	}
}
