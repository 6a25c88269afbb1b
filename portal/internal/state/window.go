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
	buildings map[string]map[string]*[keepWindows]telemetry.Window
}

func newWindowIndex() windowIndex {
	return windowIndex{buildings: make(map[string]map[string]*[keepWindows]telemetry.Window)}
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
		params = make(map[string]*[keepWindows]telemetry.Window)
		b.buildings[w.ID] = params
	}
	ring := params[w.Parameter]
	if ring == nil {
		if len(params) >= int(telemetry.NumAnalog) {
			return
		}
		ring = new([keepWindows]telemetry.Window)
		params[w.Parameter] = ring
	}
	slot := &ring[w.Start/secondWidth%keepWindows]
	switch {
	case w.Start > slot.Start:
		*slot = *w
	case w.Start == slot.Start:
		merge(slot, w)
	}
}

func merge(dst, w *telemetry.Window) {
	if dst.Count == 0 {
		*dst = *w
		return
	}
	dst.Count += w.Count
	dst.Sum += w.Sum
	dst.Min = min(dst.Min, w.Min)
	dst.Max = max(dst.Max, w.Max)
}

// means merges the windows of a building that start within [from, to).
func (b *windowIndex) means(building string, from, to int64) map[string]Mean {
	out := make(map[string]Mean)
	for param, ring := range b.buildings[building] {
		var sum telemetry.Window
		for i := range ring {
			if w := &ring[i]; w.Count > 0 && w.Start >= from && w.Start < to {
				merge(&sum, w)
			}
		}
		if sum.Count > 0 {
			out[param] = Mean{Count: sum.Count, Mean: sum.Mean(), Min: sum.Min, Max: sum.Max}
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
