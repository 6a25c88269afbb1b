// Package series keeps recent time series in memory, in buckets of plant time: for each device's
// sensors the last three minutes by the second and the last hour by 15 seconds, for each
// building's means the last ten minutes by the second and the last day by the minute. It is
// not a history: it starts empty with the portal. Memory is taken for the sensors that send,
// not for those of the catalogue. It does no I/O and blocks only on its own lock.
package series

import (
	"math"
	"sync"
	"unique"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Tiers of a device, and those of a building. Of a number three minutes by the second cost
// 0.7 kB, the hour by 15 s 3.1 kB.
const (
	fineStep, fineLen     = 1_000, 180
	coarseStep, coarseLen = 15_000, 240
	tenStep, tenLen       = 1_000, 600
	dayStep, dayLen       = 60_000, 1440
	// aheadBy is how far, in ms, a timestamp may be ahead of the time of receipt. Readings of
	// faster clocks would push correct ones out of the rings.
	aheadBy = 5_000
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

// device is the series of one device's sensors.
type device struct {
	begins  int64
	newest  int64
	sensors []sensor
	// fineAt and coarseAt are the step number of each slot: 32 bits last until 2106.
	fineAt   [fineLen]uint32
	coarseAt [coarseLen]uint32
}

// sensor is the series of one sensor in two tiers.
type sensor struct {
	name, unit string
	kind       telemetry.ValueKind
	last       int64 // coarse step of the newest value
	fine       *[fineLen]float32
	coarse     *hour
}

// hour is the coarse tier of one sensor. n counts a slot's readings up to 255; with more in
// 15 s the mean follows the newer ones.
type hour struct {
	mean   [coarseLen]float32
	n      [coarseLen]uint8
	bounds *bounds // nil of a switch, whose bounds follow from its mean
}

type bounds struct{ lowest, highest [coarseLen]float32 }

func (h *hour) add(slot int64, v float32) {
	b := h.bounds
	if h.n[slot] == 0 {
		h.n[slot], h.mean[slot] = 1, v
		if b != nil {
			b.lowest[slot], b.highest[slot] = v, v
		}
		return
	}
	if h.n[slot] < math.MaxUint8 {
		h.n[slot]++
	}
	h.mean[slot] += (v - h.mean[slot]) / float32(h.n[slot])
	if b != nil {
		b.lowest[slot], b.highest[slot] = min(b.lowest[slot], v), max(b.highest[slot], v)
	}
}

// extent returns the lowest and highest value of a slot.
func (h *hour) extent(slot int) (lowest, highest float64) {
	if h.bounds != nil {
		return float64(h.bounds.lowest[slot]), float64(h.bounds.highest[slot])
	}
	return math.Floor(float64(h.mean[slot])), math.Ceil(float64(h.mean[slot]))
}

// building is the series of one building's means.
type building struct {
	begins int64
	newest int64
	by     map[string]*tiers
}

// bucket is a merged window.
type bucket struct {
	start         int64
	count         int64
	sum, min, max float64
}

type tiers struct {
	ten [tenLen]bucket
	day [dayLen]bucket
}

// merge merges a window into the slot of a ring that its start belongs to.
func merge(ring []bucket, step int64, w *telemetry.Window) {
	start := w.Start - w.Start%step
	slot := &ring[start/step%int64(len(ring))]
	switch {
	case slot.count == 0 || slot.start < start:
		*slot = bucket{start: start, count: w.Count, sum: w.Sum, min: w.Min, max: w.Max}
	case slot.start == start:
		slot.count += w.Count
		slot.sum += w.Sum
		slot.min, slot.max = min(slot.min, w.Min), max(slot.max, w.Max)
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
	if !fineOK && !coarseOK {
		return
	}
	for i := range r.Sensors {
		x := &r.Sensors[i]
		if x.Kind == telemetry.Text || x.Status == telemetry.StatusUnitUnknown {
			continue
		}
		t := s.sensorOf(c, x, i, coarse)
		if t == nil {
			continue
		}
		v := float32(x.Number)
		t.last = max(t.last, coarse)
		if fineOK {
			t.fine[fi] = v
		}
		if coarseOK {
			t.coarse.add(ci, v)
		}
	}
}

// sensorOf returns the series of a sensor, nil if there is no room for it. hint is where it
// probably is. Values of two units or types cannot share a series: a change empties it.
func (s *Store) sensorOf(c *device, x *telemetry.Sensor, hint int, step int64) *sensor {
	t := c.find(x.Name, hint)
	if t == nil {
		if t = s.room(c, step); t == nil {
			return nil
		}
		*t = newSensor(x)
		return t
	}
	switch {
	case t.kind != x.Kind, t.unit != x.Unit && t.unit != "" && x.Unit != "":
		*t = newSensor(x)
	case t.unit == "" && x.Unit != "":
		t.unit = unique.Make(x.Unit).Value()
	}
	return t
}

// find returns the series of that name, nil if there is none.
func (c *device) find(name string, hint int) *sensor {
	if hint < len(c.sensors) && c.sensors[hint].name == name {
		return &c.sensors[hint]
	}
	for i := range c.sensors {
		if c.sensors[i].name == name {
			return &c.sensors[i]
		}
	}
	return nil
}

// room returns the place of a new series: that of one without a value left, or another one
// within the bounds. It returns nil if there is none.
func (s *Store) room(c *device, step int64) *sensor {
	for i := range c.sensors {
		if c.sensors[i].last <= step-coarseLen {
			return &c.sensors[i]
		}
	}
	if len(c.sensors) >= telemetry.MaxSensors || s.sensors >= s.o.MaxSensors {
		return nil
	}
	s.sensors++
	c.sensors = append(c.sensors, sensor{})
	return &c.sensors[len(c.sensors)-1]
}

// newSensor returns an empty series. The strings of a reading are parts of its message.
func newSensor(x *telemetry.Sensor) sensor {
	t := sensor{name: unique.Make(x.Name).Value(), unit: unique.Make(x.Unit).Value(), kind: x.Kind, fine: newFine(), coarse: new(hour)}
	if x.Kind != telemetry.Bool {
		t.coarse.bounds = new(bounds)
	}
	return t
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
	for i := range c.sensors {
		c.sensors[i].fine[slot] = nothing
	}
	return true
}

func (c *device) openCoarse(slot, step int64) bool {
	if held := int64(c.coarseAt[slot]); held >= step {
		return held == step
	}
	c.coarseAt[slot] = uint32(step) // timestamps after 2100 are invalid
	for i := range c.sensors {
		c.sensors[i].coarse.n[slot] = 0
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
