// Package neighbours finds for each numeric sensor of a device the median of its neighbours: the same
// sensor, in the same unit, of the other devices in the room, or, where too few of them have it, of the
// devices of the same model in the building.
//
// A Table has the devices of one partition and only those, and its time is that of the records. So what
// it says follows from the order of the records alone: reading the last Window of them again gives
// the same from then on. It does no I/O and nothing in it blocks. Package rooms is the other kind:
// it has the devices of all partitions, and what it says depends on when their values came.
package neighbours

import (
	"math"
	"slices"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// maxAge is how much older or newer a value may be to count, in ms. A device that sends once a
	// minute may miss a reading.
	maxAge = 2 * 60_000
	// period is the time in ms between two looks at the values of a group: a group of n devices costs
	// each of their readings log n, however many they are.
	period = 5_000
	// fewest is how many others must have a value.
	fewest = 2
	// maxSensors bounds the sensors of a device that have neighbours.
	maxSensors = 64
)

// Window is of how many records, by their time, a Table knows: what came before changes nothing.
const Window = (maxAge + 2*period) * time.Millisecond

// State is what is to be kept about a device beyond its last records: where it was, and which sensors have
// been compared with the room. These are not compared with the model any more.
type State struct {
	Location telemetry.Location `json:"location"`
	Model    string             `json:"model,omitempty"`
	Sensors  []string           `json:"sensors,omitempty"`
}

// Device is a device's place in a Table. The zero value has none.
type Device struct{ in *place }

type place struct {
	known bool // state is that of a reading
	state State
	slots []*slot
}

// The two groups of a sensor.
const (
	room = iota
	model
	groups
)

// slot is one sensor of a device.
type slot struct {
	name, unit string
	value      float64
	at         int64 // ms, time of its record
	inRoom     bool  // it is compared with the room
	in         [groups]*series
	index      [groups]int     // in the members of the series
	counted    [groups]float64 // its value in the figures of the series; NaN: it has none there
}

// key is what the sensors of a series have in common; room or model is empty.
type key struct {
	building, room, model, sensor, unit string
	floor                               int
}

// series is one sensor of a group of devices.
type series struct {
	key     key
	members []*slot
	period  int64 // of the figures
	n       int   // values that count
	middle  [3]float64
}

// Table has the devices of one partition. It is not safe for concurrent use.
type Table struct {
	all    map[key]*series
	sorted []float64 // of the series at hand
}

// New returns an empty Table.
func New() *Table { return &Table{all: make(map[key]*series)} }

// Put notes the values of a reading of d whose record was written at ms. It reports whether the device has
// come from another place: then nothing holds that was known about it and its neighbours.
func (t *Table) Put(d *Device, at int64, r *telemetry.Reading) (moved bool) {
	if d.in == nil {
		d.in = new(place)
	}
	p := d.in
	if !p.at(r) {
		moved = p.known
		t.move(p, r)
	}
	k := 0
	for i := range r.Sensors {
		m := &r.Sensors[i]
		if !m.Comparable() {
			continue
		}
		s := p.find(k, m.Name)
		k++
		switch {
		case s == nil && len(p.slots) == maxSensors:
			continue
		case s == nil:
			s = t.add(p, m)
		case s.unit != m.Unit:
			t.leave(s)
			s.unit, s.inRoom = strings.Clone(m.Unit), false
			t.join(p, s)
		}
		s.value, s.at = m.Number, at
		for _, x := range s.in {
			if x != nil {
				t.renew(x, at)
			}
		}
	}
	return moved
}

// Median returns the median of a sensor's neighbours after Put; ok: they are enough. k is where the sensor
// is among the numeric ones of the reading, most probably. begins: it is compared with the room from now
// on, so that nothing holds that was known about others.
func (d *Device) Median(k int, sensor string) (median float64, begins, ok bool) {
	s := d.in.find(k, sensor)
	if s == nil {
		return 0, false, false
	}
	if x := s.in[room]; x != nil {
		if median, ok = x.without(s.counted[room]); ok && !s.inRoom {
			begins, s.inRoom = true, true
			if !slices.Contains(d.in.state.Sensors, s.name) {
				d.in.state.Sensors = append(d.in.state.Sensors, s.name)
			}
		}
		if s.inRoom {
			return median, begins, ok
		}
	}
	if x := s.in[model]; x != nil {
		median, ok = x.without(s.counted[model])
	}
	return median, false, ok
}

// InRoom reports whether a sensor is compared with the room.
func (d *Device) InRoom(sensor string) bool {
	return d.in != nil && slices.Contains(d.in.state.Sensors, sensor)
}

// State returns what Restore needs, valid until the next Put; nil: nothing.
func (d *Device) State() *State {
	if d.in == nil || !d.in.known {
		return nil
	}
	return &d.in.state
}

// Restore sets what State returned. Before it, Put may have been called with the readings until then.
func (d *Device) Restore(s *State) {
	if d.in == nil {
		d.in = new(place)
	}
	p := d.in
	if !p.known {
		p.state, p.known = *s, true
	}
	p.state.Sensors = slices.Clone(s.Sensors)
	for _, x := range p.slots {
		x.inRoom = slices.Contains(s.Sensors, x.name)
	}
}

// Remove removes a device. It may be put again.
func (t *Table) Remove(d *Device) {
	if d.in != nil {
		for _, s := range d.in.slots {
			t.leave(s)
		}
	}
	*d = Device{}
}

// find returns the slot of a sensor, nil if there is none. Readings of a device have their sensors in one
// order, mostly: k is tried first.
func (p *place) find(k int, sensor string) *slot {
	if k < len(p.slots) && p.slots[k].name == sensor {
		return p.slots[k]
	}
	for _, s := range p.slots {
		if s.name == sensor {
			return s
		}
	}
	return nil
}

func (t *Table) add(p *place, m *telemetry.Sensor) *slot {
	s := &slot{name: strings.Clone(m.Name), unit: strings.Clone(m.Unit)} // a reading's strings share its whole text
	s.inRoom = slices.Contains(p.state.Sensors, s.name)
	t.join(p, s)
	p.slots = append(p.slots, s)
	return s
}

// at reports whether p is where r comes from.
func (p *place) at(r *telemetry.Reading) bool {
	return p.known && p.state.Location == r.Location && p.state.Model == r.Info.Model
}

// move takes the device to where r comes from.
func (t *Table) move(p *place, r *telemetry.Reading) {
	l := r.Location
	p.known, p.state = true, State{
		Location: telemetry.Location{Building: strings.Clone(l.Building), Floor: l.Floor, Room: strings.Clone(l.Room)},
		Model:    strings.Clone(r.Info.Model),
	}
	for _, s := range p.slots {
		t.leave(s)
		s.inRoom = false
		t.join(p, s)
	}
}

// join makes s a member of its groups.
func (t *Table) join(p *place, s *slot) {
	l := &p.state.Location
	if l.Room != "" {
		t.enter(s, room, key{building: l.Building, floor: l.Floor, room: l.Room, sensor: s.name, unit: s.unit})
	}
	if m := p.state.Model; m != "" {
		t.enter(s, model, key{building: l.Building, model: m, sensor: s.name, unit: s.unit})
	}
}

func (t *Table) enter(s *slot, group int, k key) {
	x := t.all[k]
	if x == nil {
		x = &series{key: k, period: math.MinInt64}
		t.all[k] = x
	}
	s.in[group], s.index[group], s.counted[group] = x, len(x.members), math.NaN()
	x.members = append(x.members, s)
}

func (t *Table) leave(s *slot) {
	for group, x := range s.in {
		if x == nil {
			continue
		}
		last := len(x.members) - 1
		other := x.members[last]
		x.members[s.index[group]], other.index[group] = other, s.index[group]
		x.members[last] = nil
		if x.members = x.members[:last]; last == 0 {
			delete(t.all, x.key)
		}
		s.in[group] = nil
	}
}

// renew looks at the values of a series if that was not done in this period. Records are in the order of
// their time, nearly: those of two bridges may be seconds apart.
func (t *Table) renew(x *series, at int64) {
	now := at / period
	if now <= x.period && now >= x.period-maxAge/period {
		return
	}
	x.period = now
	group := room
	if x.key.model != "" {
		group = model
	}
	t.sorted = t.sorted[:0]
	for _, s := range x.members {
		// A machine that stands still, with a 0, says nothing about those that run.
		if s.at-at > maxAge || at-s.at > maxAge || s.value == 0 {
			s.counted[group] = math.NaN()
			continue
		}
		s.counted[group] = s.value
		t.sorted = append(t.sorted, s.value)
	}
	slices.Sort(t.sorted)
	x.n = len(t.sorted)
	if x.n >= fewest {
		copy(x.middle[:], t.sorted[(x.n-2)/2:])
	}
}

// without returns the median of the values but one, which is NaN for none. Whichever it is, the median of
// the others is among the three in the middle.
func (x *series) without(own float64) (float64, bool) {
	if math.IsNaN(own) {
		return (x.middle[x.n%2] + x.middle[1]) / 2, x.n >= fewest
	}
	other := func(i int) float64 {
		if x.middle[i] < own {
			return x.middle[i]
		}
		return x.middle[i+1]
	}
	return (other(0) + other(x.n%2)) / 2, x.n-1 >= fewest
}
