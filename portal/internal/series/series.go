// Package series makes the tables of charts: of what the historian answers, and of the means of
// buildings in the last ten minutes by the second, which it keeps in memory. It does no I/O and blocks
// only on its own lock.
package series

import (
	"sync"

	"industrial-iot-monitor/internal/telemetry"
)

// Means of a building are kept in a ring of seconds.
const (
	tenStep, tenLen = 1_000, 600
)

// Options of a Store. The zero value is usable. Beyond a bound there is no series.
type Options struct {
	// MaxBuildings bounds the buildings with a series; 0 means 1,000.
	MaxBuildings int
	// MaxMeans bounds the means of all buildings together; 0 means 10,000. One building has
	// at most telemetry.MaxSensors.
	MaxMeans int
}

// Store holds the means. It is safe for concurrent use.
type Store struct {
	o Options

	mu        sync.RWMutex
	buildings map[string]*building
	means     int // of all buildings
}

// building is the series of one building's means.
type building struct {
	begins int64
	newest int64
	by     map[string]*ring
}

// bucket is a merged window.
type bucket struct {
	step     uint32 // number of its step: 32 bits last until 2106
	count    uint32
	sum      float64
	min, max float32
}

type ring [tenLen]bucket

// merge merges a window into the slot that its start belongs to.
func (r *ring) merge(w *telemetry.Window) {
	n := w.Start / tenStep
	slot := &r[n%tenLen]
	switch {
	case slot.count == 0 || int64(slot.step) < n:
		*slot = bucket{step: uint32(n), count: uint32(w.Count), sum: w.Sum, min: float32(w.Min), max: float32(w.Max)}
	case int64(slot.step) == n:
		slot.count += uint32(w.Count)
		slot.sum += w.Sum
		slot.min, slot.max = min(slot.min, float32(w.Min)), max(slot.max, float32(w.Max))
	}
}

// New returns an empty store.
func New(o Options) *Store {
	if o.MaxBuildings == 0 {
		o.MaxBuildings = 1_000
	}
	if o.MaxMeans == 0 {
		o.MaxMeans = 10_000
	}
	return &Store{o: o, buildings: make(map[string]*building)}
}

// AddWindows adds one-second aggregates of buildings and ignores all others.
func (s *Store) AddWindows(windows []telemetry.Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range windows {
		w := &windows[i]
		if w.Scope != "building" || w.WidthMS != tenStep || w.Count <= 0 || w.Start < 0 {
			continue
		}
		s.addWindow(w)
	}
}

func (s *Store) addWindow(w *telemetry.Window) {
	m := s.buildings[w.ID]
	if m == nil {
		if len(s.buildings) >= s.o.MaxBuildings {
			return
		}
		m = &building{begins: w.Start, by: make(map[string]*ring)}
		s.buildings[w.ID] = m
	}
	switch {
	case w.Start <= m.newest-tenLen*tenStep:
		return // of readings that came late
	case w.Start >= m.newest+tenLen*tenStep:
		m.begins = w.Start
	}
	m.begins, m.newest = min(m.begins, w.Start), max(m.newest, w.Start)
	t := m.by[w.Parameter]
	if t == nil {
		if len(m.by) >= telemetry.MaxSensors || s.means >= s.o.MaxMeans {
			return
		}
		s.means++
		t = new(ring)
		m.by[w.Parameter] = t
	}
	t.merge(w)
}
