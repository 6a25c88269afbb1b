// Package series makes the tables of charts: of what the historian answers, and of the means of
// buildings in the last ten minutes, which it keeps in memory. It does no I/O and blocks only on its own
// lock.
package series

import (
	"slices"
	"sync"

	"industrial-iot-monitor/internal/telemetry"
)

// Step is the time between two samples of means in ms. They are kept for length steps.
const (
	Step   = 5_000
	length = 120
	// quietAfter is how long a building must have no values, in ms, to make room for another one.
	quietAfter = 60_000
)

// Options of a Store. The zero value is usable. Beyond a bound, a series takes the place of the
// building that had no values for longest; while all had some lately, there is none.
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
	means     int   // of all buildings
	fullUntil int64 // ms, no building makes room before
}

// Of names a mean.
type Of struct{ Building, Sensor string }

// Values are the newest values of devices, by the mean that they are part of.
type Values map[Of][]float64

// Add adds the value of one device.
func (v Values) Add(of Of, value float64) { v[of] = append(v[of], value) }

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
	p10, p90 float32
}

// bucketOf sorts values and returns what they amount to.
func bucketOf(at int64, values []float64) bucket {
	slices.Sort(values)
	n, sum := len(values), 0.0
	for _, v := range values {
		sum += v
	}
	return bucket{
		step: uint32(at / Step), count: uint32(n), sum: sum,
		min: float32(values[0]), max: float32(values[n-1]),
		p10: float32(quantile(values, 0.1)), p90: float32(quantile(values, 0.9)),
	}
}

// quantile interpolates between the two sorted values around the q-th.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (sorted[i+1]-sorted[i])*(at-float64(i))
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

// Sample adds the values at a time, in ms, and empties them. Times ascend; of several in one step the
// last one counts.
func (s *Store) Sample(at int64, values Values) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, list := range values {
		if len(list) == 0 {
			delete(values, of) // it had none at the sample before
			continue
		}
		if r := s.ring(of, at); r != nil {
			r[at/Step%length] = bucketOf(at, list)
		}
		values[of] = list[:0]
	}
}

// ring returns that of a mean, nil if there is no room. s.mu is held.
func (s *Store) ring(of Of, at int64) *ring {
	b := s.buildings[of.Building]
	if b == nil {
		if len(s.buildings) >= s.o.MaxBuildings && !s.makeRoom(at) {
			return nil
		}
		b = &building{begins: at - at%Step, by: make(map[string]*ring)}
		s.buildings[of.Building] = b
	}
	b.newest = at - at%Step
	r := b.by[of.Sensor]
	if r == nil {
		if len(b.by) >= telemetry.MaxSensors || s.means >= s.o.MaxMeans && !s.makeRoom(at) {
			return nil
		}
		s.means++
		r = new(ring)
		b.by[of.Sensor] = r
	}
	return r
}

// makeRoom forgets the building that had no values for longest, unless it had some lately. s.mu is held.
func (s *Store) makeRoom(at int64) bool {
	if at < s.fullUntil {
		return false
	}
	oldest := ""
	for name, b := range s.buildings {
		if oldest == "" || b.newest < s.buildings[oldest].newest {
			oldest = name
		}
	}
	b := s.buildings[oldest]
	if b == nil {
		return false
	}
	if s.fullUntil = b.newest + quietAfter; at < s.fullUntil {
		return false
	}
	s.means -= len(b.by)
	delete(s.buildings, oldest)
	return true
}
