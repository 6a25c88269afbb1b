// Package series keeps recent time series in memory, in steps of plant time: for each device's
// sensors five minutes by five seconds and an hour by 90 seconds, for each building's means the
// last ten minutes by the second and the last day by the minute. It is not a history: it starts
// empty with the portal. Memory is taken for the sensors that send, not for those of the
// catalogue. It does no I/O and blocks only on its own lock.
package series

import (
	"strings"
	"sync"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Tiers of a building. aheadBy is how far, in ms, a timestamp may be ahead of the time of receipt:
// readings of faster clocks would push correct ones out of the rings.
const (
	tenStep, tenLen = 1_000, 600
	dayStep, dayLen = 60_000, 1440
	aheadBy         = 5_000
)

// Options of a Store. The zero value is usable. Beyond a bound there is no series.
type Options struct {
	// MaxDevices bounds the devices with a series; 0 means 20,000.
	MaxDevices int
	// MaxSensors bounds the sensors of all devices together; 0 means 250,000. One device has
	// at most telemetry.MaxSensors.
	MaxSensors int
	// MaxBuildings bounds the buildings with a series; 0 means 1,000.
	MaxBuildings int
	// MaxMeans bounds the means of all buildings together; 0 means 10,000. One building has
	// at most telemetry.MaxSensors.
	MaxMeans int
}

// Store holds the series. It is safe for concurrent use.
type Store struct {
	o Options

	mu        sync.RWMutex
	devices   map[string]*device
	sensors   int // of all devices
	buildings map[string]*building
	means     int // of all buildings
}

// building is the series of one building's means.
type building struct {
	begins int64
	newest int64
	by     map[string]*tiers
}

// bucket is a merged window.
type bucket struct {
	step     uint32 // number of its step: 32 bits last until 2106
	count    uint32
	sum      float64
	min, max float32
}

type tiers struct {
	ten [tenLen]bucket
	day [dayLen]bucket
}

// merge merges a window into the slot of a ring that its start belongs to.
func merge(ring []bucket, step int64, w *telemetry.Window) {
	n := w.Start / step
	slot := &ring[n%int64(len(ring))]
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
	if o.MaxDevices == 0 {
		o.MaxDevices = 20_000
	}
	if o.MaxSensors == 0 {
		o.MaxSensors = 250_000
	}
	if o.MaxBuildings == 0 {
		o.MaxBuildings = 1_000
	}
	if o.MaxMeans == 0 {
		o.MaxMeans = 10_000
	}
	return &Store{o: o, devices: make(map[string]*device), buildings: make(map[string]*building)}
}

// Add adds a decoded reading of a live frame.
func (s *Store) Add(e *wire.FrameEntry, r *telemetry.Reading) {
	if e.Timestamp > e.Received+aheadBy || e.Timestamp < 0 || e.Timestamp >= telemetry.MaxTimestamp {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.devices[e.Device]
	if c == nil {
		if len(s.devices) >= s.o.MaxDevices {
			return
		}
		c = &device{begins: e.Timestamp}
		s.devices[strings.Clone(e.Device)] = c // the frame's bytes are reused
	}
	s.add(c, e.Timestamp, r)
}

// Forget drops the series of a device.
func (s *Store) Forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.devices[id]; c != nil {
		s.sensors -= len(c.sensors)
		delete(s.devices, id)
	}
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
		m = &building{begins: w.Start, by: make(map[string]*tiers)}
		s.buildings[w.ID] = m
	}
	m.begins, m.newest = min(m.begins, w.Start), max(m.newest, w.Start)
	t := m.by[w.Parameter]
	if t == nil {
		if len(m.by) >= telemetry.MaxSensors || s.means >= s.o.MaxMeans {
			return
		}
		s.means++
		t = new(tiers)
		m.by[w.Parameter] = t
	}
	merge(t.ten[:], tenStep, w)
	merge(t.day[:], dayStep, w)
}
