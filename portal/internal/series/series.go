// Package series keeps recent time series in memory, in buckets of event time: for each device's
// sensors the last three minutes by the second and the last hour by 15 seconds, for each
// building's means the last ten minutes by the second and the last day by the minute. It is
// not a history: it starts empty with the portal. It does no I/O and blocks only on its own lock.
package series

import (
	"math"
	"sync"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Tiers of a device, and those of a building. Three minutes by the second cost 3.6 kB a
// device, the hour by 15 s 13.4 kB.
const (
	fineStep, fineLen     = 1_000, 180
	coarseStep, coarseLen = 15_000, 240
	tenStep, tenLen       = 1_000, 600
	dayStep, dayLen       = 60_000, 1440
	// aheadBy is how far, in ms, a timestamp may be ahead of the time of receipt. Readings of
	// faster clocks would push correct ones out of the rings.
	aheadBy = 5_000
)

// Options of a Store. The zero value is usable.
type Options struct {
	// MaxDevices bounds the devices with a series; 0 means 20,000. Further ones have none.
	MaxDevices int
	// MaxBuildings bounds the buildings with a series; 0 means 1,000.
	MaxBuildings int
}

// Store holds the series. It is safe for concurrent use.
type Store struct {
	o Options

	mu        sync.RWMutex
	devices   map[string]*device
	buildings map[string]*building
}

// device is the series of one device: every analog parameter in two tiers.
type device struct {
	begins int64
	newest int64
	fine   [telemetry.NumAnalog]*[fineLen]float32
	coarse [telemetry.NumAnalog]*hour
	// fineAt and coarseAt are the step number of each slot: 32 bits last until 2106.
	fineAt   [fineLen]uint32
	coarseAt [coarseLen]uint32
}

// hour is the coarse tier of one parameter. n counts a slot's readings up to 255; with more in
// 15 s the mean follows the newer ones.
type hour struct {
	mean, lowest, highest [coarseLen]float32
	n                     [coarseLen]uint8
}

func (h *hour) add(slot int64, v float32) {
	if h.n[slot] == 0 {
		h.n[slot], h.mean[slot], h.lowest[slot], h.highest[slot] = 1, v, v, v
		return
	}
	if h.n[slot] < math.MaxUint8 {
		h.n[slot]++
	}
	h.mean[slot] += (v - h.mean[slot]) / float32(h.n[slot])
	h.lowest[slot], h.highest[slot] = min(h.lowest[slot], v), max(h.highest[slot], v)
}

// means is the series of one building: its parameters in two tiers.
type building struct {
	begins int64
	newest int64
	by     map[string]*tiers
}

type tiers struct {
	ten [tenLen]telemetry.Window
	day [dayLen]telemetry.Window
}

// file merges a window into the slot of a ring that its start belongs to.
func merge(ring []telemetry.Window, step int64, w *telemetry.Window) {
	start := w.Start - w.Start%step
	slot := &ring[start/step%int64(len(ring))]
	switch {
	case slot.Count == 0 || slot.Start < start:
		*slot = *w
		slot.Start, slot.WidthMS = start, step
	case slot.Start == start:
		slot.Count += w.Count
		slot.Sum += w.Sum
		slot.Min, slot.Max = min(slot.Min, w.Min), max(slot.Max, w.Max)
	}
}

// New returns an empty store.
func New(o Options) *Store {
	if o.MaxDevices == 0 {
		o.MaxDevices = 20_000
	}
	if o.MaxBuildings == 0 {
		o.MaxBuildings = 1_000
	}
	return &Store{o: o, devices: make(map[string]*device), buildings: make(map[string]*building)}
}

// Add adds a decoded reading of a live frame.
func (s *Store) Add(e *wire.FrameEntry, r *telemetry.Reading) {
	if e.Timestamp > e.Received+aheadBy {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(e.Device, e.Timestamp, r)
}

func (s *Store) add(id string, at int64, r *telemetry.Reading) {
	c := s.devices[id]
	if c == nil {
		if len(s.devices) >= s.o.MaxDevices {
			return
		}
		c = &device{begins: at}
		s.devices[string([]byte(id))] = c // the frame's bytes are reused
	}
	c.begins, c.newest = min(c.begins, at), max(c.newest, at)
	fine, coarse := at/fineStep, at/coarseStep
	fi, ci := fine%fineLen, coarse%coarseLen
	fineOK, coarseOK := c.openFine(fi, fine), c.openCoarse(ci, coarse)
	for p := range telemetry.NumAnalog {
		m := r.Sensors.Analog(p)
		if !m.Present {
			continue
		}
		v := float32(m.Value)
		if fineOK {
			if c.fine[p] == nil {
				c.fine[p] = newFine()
			}
			c.fine[p][fi] = v
		}
		if coarseOK {
			if c.coarse[p] == nil {
				c.coarse[p] = new(hour)
			}
			c.coarse[p].add(ci, v)
		}
	}
}

var nothing = float32(math.NaN())

func newFine() *[fineLen]float32 {
	f := new([fineLen]float32)
	for i := range f {
		f[i] = nothing
	}
	return f
}

// openFine clears a slot if it holds an older step, and reports whether it now holds this step.
func (c *device) openFine(slot, step int64) bool {
	if held := int64(c.fineAt[slot]); held >= step {
		return held == step
	}
	c.fineAt[slot] = uint32(step) // timestamps after 2100 are invalid
	for _, f := range c.fine {
		if f != nil {
			f[slot] = nothing
		}
	}
	return true
}

func (c *device) openCoarse(slot, step int64) bool {
	if held := int64(c.coarseAt[slot]); held >= step {
		return held == step
	}
	c.coarseAt[slot] = uint32(step) // timestamps after 2100 are invalid
	for _, h := range c.coarse {
		if h != nil {
			h.n[slot] = 0
		}
	}
	return true
}

// AddWindows adds one-second aggregates of buildings and ignores all others.
func (s *Store) AddWindows(windows []telemetry.Window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range windows {
		w := &windows[i]
		if w.Scope != "building" || w.WidthMS != fineStep || w.Count <= 0 || w.Start < 0 {
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
		if len(m.by) >= int(telemetry.NumAnalog) {
			return
		}
		t = new(tiers)
		m.by[w.Parameter] = t
	}
	merge(t.ten[:], tenStep, w)
	merge(t.day[:], dayStep, w)
}
