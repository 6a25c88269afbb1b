// Package aggregate counts readings into tumbling windows of plant time: per building over
// one second and one minute, per device over one minute, for each number in a known unit.
// Booleans and texts have no windows. It emits partials that add
// up (see telemetry.Window), so partitions are independent and a late reading is one more
// partial. It does no I/O and nothing in it blocks.
package aggregate

import (
	"container/list"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Scopes of a window.
const (
	ScopeDevice   = "device"
	ScopeBuilding = "building"
)

// Widths of the windows in ms.
const (
	Second = 1_000
	Minute = 60_000
)

const (
	// maxBuildings bounds the memory that names in readings can claim. A further building takes
	// the place of the one that was not heard for longest.
	maxBuildings = 1000
	// maxDone bounds the windows that lost their place and wait to be collected. Beyond it a
	// further building is not counted.
	maxDone = 20_000
)

// Options of an Aggregator. All are required.
type Options struct {
	// Grace is how long after its end, in event time, a window stays open.
	Grace time.Duration
	// Idle is the time without a reading after which windows are closed by the clock.
	Idle time.Duration
}

// Aggregator holds the open windows of one partition. It is not safe for concurrent use.
//
// Its watermark is the largest event time seen, but never ahead of the clock: one
// device with a fast clock must not close the windows of all others. A window is closed when
// the watermark is Grace past its end; later readings are corrections.
type Aggregator struct {
	grace, idle int64
	watermark   int64
	lastAdd     int64 // by the clock
	devices     []*Device
	cursor      int // where the scan of devices continues
	buildings   map[string]*building
	heard       *list.List // of *building, the one heard last in front
	// done holds windows that lost their slot. Partials add up, so they need not wait for
	// their closing time.
	done []window
	// strays holds readings without a slot by their window.
	strays map[stray]*strayCells

	names   names
	values  []value // of the reading at hand
	cells   int     // of the devices' windows
	dropped int
}

// Device is one device's open window. It grows with the sensors that the device sends.
type Device struct {
	source
	place  int // in Aggregator.devices
	minute [1]slot
}

type building struct {
	source
	heard   *list.Element // in Aggregator.heard
	seconds [16]slot
	minutes [2]slot
}

type source struct {
	id         string
	isBuilding bool
}

func (s *source) scope() string {
	if s.isBuilding {
		return ScopeBuilding
	}
	return ScopeDevice
}

type window struct {
	of    *source
	start int64
	width int64
	late  bool
	cells []cell
}

type strayCells struct{ cells []cell }

type stray struct {
	of    *source
	start int64
	width int64
	late  bool
}

// New returns an empty Aggregator.
func New(o Options) *Aggregator {
	return &Aggregator{
		grace: o.Grace.Milliseconds(), idle: o.Idle.Milliseconds(),
		buildings: make(map[string]*building), heard: list.New(), strays: make(map[stray]*strayCells),
		names: names{index: make(map[string]uint32)},
	}
}

// Register adds a device whose open window is kept in d, which must not be moved. The caller
// owns d because it has looked the device up anyway.
func (a *Aggregator) Register(d *Device, id string) {
	d.source.id, d.place = id, len(a.devices)
	a.devices = append(a.devices, d)
}

// Dropped returns how many values were not counted since the last call, because a window or
// the partition had too many parameters.
func (a *Aggregator) Dropped() int {
	n := a.dropped
	a.dropped = 0
	return n
}

// Parameters returns how many windows the devices have at a time, one for each parameter.
func (a *Aggregator) Parameters() int { return a.cells }

// Add counts a reading of d, taken at plant time at, at clock time now. It reports whether the reading is late: its
// second was already closed.
func (a *Aggregator) Add(now int64, d *Device, at int64, r *telemetry.Reading) (late bool) {
	a.lastAdd = now
	second, minute := floor(at, Second), floor(at, Minute)
	values := a.numbers(d, r.Sensors)
	a.count(&d.source, d.minute[:], minute, Minute, values)
	if b := a.building(r.Location.Building); b != nil {
		a.count(&b.source, b.seconds[:], second, Second, values)
		a.count(&b.source, b.minutes[:], minute, Minute, values)
	}
	late = a.closed(second, Second)
	a.watermark = max(a.watermark, min(at, now))
	return late
}

func (a *Aggregator) building(name string) *building {
	if b, ok := a.buildings[name]; ok {
		a.heard.MoveToFront(b.heard)
		return b
	}
	if name == "" {
		return nil
	}
	if len(a.buildings) >= maxBuildings {
		if len(a.done) >= maxDone {
			return nil
		}
		a.detach(a.heard.Back().Value.(*building)) //nolint:errcheck,forcetypeassert // the list has no others
	}
	name = strings.Clone(name) // the reading's strings share its whole text
	b := &building{source: source{id: name, isBuilding: true}}
	for i := range b.seconds {
		b.seconds[i].places = new([]uint16)
	}
	for i := range b.minutes {
		b.minutes[i].places = new([]uint16)
	}
	b.heard = a.heard.PushFront(b)
	a.buildings[name] = b
	return b
}

// detach forgets a building. What it counted in its open windows is emitted with the next Collect.
func (a *Aggregator) detach(b *building) {
	for _, of := range []struct {
		slots []slot
		width int64
	}{{b.seconds[:], Second}, {b.minutes[:], Minute}} {
		for i := range of.slots {
			if sl := &of.slots[i]; sl.used {
				a.done = append(a.done, window{of: &b.source, start: sl.start, width: of.width, cells: sl.detach()})
			}
		}
	}
	a.forget(b)
}

func (a *Aggregator) forget(b *building) {
	a.heard.Remove(b.heard)
	delete(a.buildings, b.id)
}

// count adds values to the window of slots that starts at start. An older window in its slot
// moves to done; a newer one makes values a stray.
func (a *Aggregator) count(of *source, slots []slot, start, width int64, values []value) {
	if len(values) == 0 {
		return
	}
	sl := &slots[uint64(start/width)%uint64(len(slots))]
	before := len(sl.cells)
	if !sl.used || sl.start != start {
		if a.closed(start, width) || sl.used && sl.start > start {
			a.strayed(of, start, width, values)
			return
		}
		if sl.used {
			from := sl.start
			a.done = append(a.done, window{of: of, start: from, width: width, cells: sl.detach()})
		}
		sl.start, sl.used = start, true
	}
	var dropped int
	if sl.places != nil {
		dropped = sl.addPlaced(values)
	} else {
		sl.cells, dropped = addTo(sl.cells, values, maxOfDevice)
		a.cells += len(sl.cells) - before
	}
	a.dropped += dropped
}

func (a *Aggregator) strayed(of *source, start, width int64, values []value) {
	key := stray{of: of, start: start, width: width, late: a.closed(start, width)}
	c := a.strays[key]
	if c == nil {
		c = new(strayCells)
		a.strays[key] = c
	}
	var dropped int
	c.cells, dropped = addTo(c.cells, values, maxOfBuilding)
	a.dropped += dropped
}

func (a *Aggregator) closed(start, width int64) bool {
	return start+width+a.grace <= a.watermark
}

// floor returns the start of the window of width that contains ts.
func floor(ts, width int64) int64 { return ts - ts%width }
