package state

import (
	"industrial-iot-monitor/internal/telemetry"
)

const (
	// keepWindows is how many windows of each building and parameter are kept: four
	// minutes of seconds.
	keepWindows = 240
	// maxBuildings bounds the memory that building names in readings can claim.
	maxBuildings = 1000
	// maxMeans bounds the parameters of all buildings together; one building has at most
	// telemetry.MaxSensors.
	maxMeans = 10_000
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
	buildings map[string]map[string]*[keepWindows]second
	rings     int // in it
}

// second is what the windows of one second amount to.
type second struct {
	start         int64
	count         int64
	sum, min, max float64
}

func newWindowIndex() windowIndex {
	return windowIndex{buildings: make(map[string]map[string]*[keepWindows]second)}
}

// put merges a partial aggregate into its window.
func (b *windowIndex) put(w *telemetry.Window) {
	if w.Scope != "building" || w.WidthMS != secondWidth || w.Count <= 0 || w.Start < 0 {
		return
	}
	params := b.buildings[w.ID]
	if params == nil {
		if len(b.buildings) >= maxBuildings {
			return
		}
		params = make(map[string]*[keepWindows]second)
		b.buildings[w.ID] = params
	}
	ring := params[w.Parameter]
	if ring == nil {
		if len(params) >= telemetry.MaxSensors || b.rings >= maxMeans {
			return
		}
		b.rings++
		ring = new([keepWindows]second)
		params[w.Parameter] = ring
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
	for param, ring := range b.buildings[building] {
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
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range ws {
		m.windows.put(&ws[i])
	}
}
