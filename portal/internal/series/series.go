// Package series makes the tables of charts: of what the historian answers, and of the means of
// buildings in the last ten minutes, which it keeps in memory. It does no I/O and blocks only on its own
// lock.
package series

import (
	"sync"

	"industrial-iot-monitor/internal/telemetry"
)

// Step is the time between two samples of means in ms. They are kept for length steps.
const (
	Step   = 5_000
	length = 120
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

// Of names a mean.
type Of struct{ Building, Sensor string }

// Mean is what the newest values of a building's devices amount to.
type Mean struct {
	Count         int64
	Sum, Min, Max float64
}

// Add adds a value.
func (m *Mean) Add(v float64) {
	if m.Count == 0 {
		*m = Mean{1, v, v, v}
		return
	}
	m.Count++
	m.Sum += v
	m.Min, m.Max = min(m.Min, v), max(m.Max, v)
}

// building is the series of one building's means.
type building struct {
	begins, newest int64
	by             map[string]*ring
}

// bucket is a sample.
type bucket struct {
	step     uint32 // its number: 32 bits last until 2650
	count    uint32
	sum      float64
	min, max float32
}

type ring [length]bucket

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

// Sample adds the means at a time, in ms. Times ascend; of several in one step the last one counts.
func (s *Store) Sample(at int64, means map[Of]Mean) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, m := range means {
		if r := s.ring(of, at); r != nil && m.Count > 0 {
			r[at/Step%length] = bucket{uint32(at / Step), uint32(m.Count), m.Sum, float32(m.Min), float32(m.Max)}
		}
	}
}

// ring returns that of a mean, nil if there is no room. s.mu is held.
func (s *Store) ring(of Of, at int64) *ring {
	b := s.buildings[of.Building]
	if b == nil {
		if len(s.buildings) >= s.o.MaxBuildings {
			return nil
		}
		b = &building{begins: at - at%Step, by: make(map[string]*ring)}
		s.buildings[of.Building] = b
	}
	b.newest = at - at%Step
	r := b.by[of.Sensor]
	if r == nil {
		if len(b.by) >= telemetry.MaxSensors || s.means >= s.o.MaxMeans {
			return nil
		}
		s.means++
		r = new(ring)
		b.by[of.Sensor] = r
	}
	return r
}
