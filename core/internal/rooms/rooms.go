// Package rooms keeps the sensor values of each room, so that rules can detect a sensor
// that deviates from its neighbours. A Table has the devices of one partition and the
// parameters that rules compare; devices of the same room in other partitions are present
// as values received from peers. A value about which an alarm holds does not count: one hot
// device must not make its neighbours look cold. A view is as old as the last Rebuild, about a second;
// values older than MaxAge do not count. It does no I/O and nothing in it blocks.
package rooms

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
)

// MaxAge is how old the newest value of a sensor may be to count.
const MaxAge = time.Minute

const (
	// maxValues bounds the values of one parameter of one room. Of more sensors only
	// some count.
	maxValues = 1_000
	// maxParameters bounds the further parameters of one room that a peer can send.
	maxParameters = 64
	// maxPart is about how many values of a room go to peers in one piece.
	maxPart = 10_000
)

// Key returns the key of a room, unique across buildings.
func Key(l telemetry.Location) string {
	return l.Building + "\x1f" + strconv.Itoa(l.Floor) + "\x1f" + l.Room
}

// Device is one device's place in a Table. It takes room only once the device is put.
type Device struct{ in *place }

// place grows with the device's sensors that rules compare.
type place struct {
	location telemetry.Location
	room     *room
	at       int64 // plant time of the newest values
	names    int   // which parameters the values are of, see Table.names
	values   []value
}

// value is one sensor of a device.
type value struct {
	parameter int // index in Table.parameters
	newest    float64
	counted   float64 // as of the last Rebuild
	present   bool    // newest is of the newest reading
	inAlarm   bool    // an alarm about it holds: nothing is compared with it
	isCounted bool
}

// room exists while devices are in it, so that no other rooms can take its place.
type room struct {
	key      string
	location telemetry.Location // its devices share these strings
	devices  int
	figures  []figures // by parameter, as many as are needed
}

// figures are the values of one parameter of a room.
type figures struct {
	own []float64
	all []float64 // sorted, with those of peers
	sum float64
}

// Table holds the rooms of one partition. It is not safe for concurrent use.
type Table struct {
	parameters []string
	names      int // counts the changes of parameters
	rooms      map[string]*room
	devices    map[*place]struct{} // those in a room
}

// New returns an empty Table that compares no parameters.
func New() *Table { return &Table{rooms: make(map[string]*room), devices: make(map[*place]struct{})} }

// Compare sets the parameters that are compared. After a change, rooms have no values
// until their devices send again.
func (t *Table) Compare(parameters []string) {
	if slices.Equal(t.parameters, parameters) {
		return
	}
	t.parameters = slices.Clone(parameters)
	t.names++
	for _, rm := range t.rooms {
		rm.figures = nil
	}
}

// Put applies a reading of device, taken at plant time at. The device is the zero Device for its first
// one. A late reading changes nothing.
func (t *Table) Put(device *Device, at int64, r *telemetry.Reading) {
	if device.in == nil {
		device.in = new(place)
	}
	d := device.in
	if d.location != r.Location {
		t.move(d, r.Location)
	}
	if d.room == nil || at <= d.at {
		return
	}
	d.at = at
	if d.names != t.names {
		d.values, d.names = nil, t.names
	}
	for i := range d.values {
		d.values[i].present = false
	}
	for p, name := range t.parameters {
		if m := r.Sensors.Find(name); m != nil && m.Comparable() {
			v := d.value(p)
			v.newest, v.present = m.Number, true
		}
	}
}

// Mark notes which values of a device are in alarm, by the state of its alarms: others are not
// compared with them. Call it whenever an alarm of the device may have been raised or cleared.
func (t *Table) Mark(device *Device, s *alarm.State) {
	d := device.in
	if d == nil || d.names != t.names {
		return
	}
	for i := range d.values {
		d.values[i].inAlarm = s.InAlarm(t.parameters[d.values[i].parameter])
	}
}

// value returns the value of a parameter, which it adds if there is none.
func (d *place) value(parameter int) *value {
	if v := d.find(parameter); v != nil {
		return v
	}
	values := make([]value, len(d.values), len(d.values)+1)
	copy(values, d.values)
	d.values = append(values, value{parameter: parameter})
	return &d.values[len(d.values)-1]
}

// find returns the value of a parameter, nil if d has no such sensor.
func (d *place) find(parameter int) *value {
	for i := range d.values {
		if d.values[i].parameter == parameter {
			return &d.values[i]
		}
	}
	return nil
}

func (t *Table) move(d *place, l telemetry.Location) {
	if d.room != nil {
		t.leave(d)
	}
	key := Key(l)
	rm := t.rooms[key]
	switch {
	case l.Room == "":
		d.location = owned(l)
		return
	case rm == nil:
		rm = &room{key: key, location: owned(l)}
		t.rooms[key] = rm
	}
	rm.devices++
	d.room, d.location = rm, rm.location
	for i := range d.values {
		d.values[i].isCounted = false
	}
	t.devices[d] = struct{}{}
}

// owned returns l with strings of its own: those of a reading share its whole text.
func owned(l telemetry.Location) telemetry.Location {
	return telemetry.Location{Building: strings.Clone(l.Building), Floor: l.Floor, Room: strings.Clone(l.Room)}
}

// Remove removes a device. It may be put again.
func (t *Table) Remove(d *Device) {
	if d.in != nil && d.in.room != nil {
		t.leave(d.in)
	}
	*d = Device{}
}

func (t *Table) leave(d *place) {
	d.room.devices--
	if d.room.devices == 0 {
		delete(t.rooms, d.room.key)
	}
	d.room = nil
	delete(t.devices, d)
}

// Rebuild renews the views at now, in ms, from the devices' newest values and from those
// of other partitions. Call it about once a second.
func (t *Table) Rebuild(now int64, others func(room, parameter string) []float64) {
	for _, rm := range t.rooms {
		for p := range rm.figures {
			rm.figures[p].own = rm.figures[p].own[:0]
		}
	}
	oldest := now - MaxAge.Milliseconds()
	for d := range t.devices {
		if d.names != t.names {
			continue // nothing since the parameters changed
		}
		for i := range d.values {
			v := &d.values[i]
			f := d.room.of(v.parameter)
			v.counted, v.isCounted = v.newest, v.present && !v.inAlarm && d.at >= oldest && len(f.own) < maxValues
			if v.isCounted {
				f.own = append(f.own, v.newest)
			}
		}
	}
	for _, rm := range t.rooms {
		for p, name := range t.parameters {
			var more []float64
			if others != nil {
				more = others(rm.key, name)
			}
			if len(more) > 0 || p < len(rm.figures) {
				rm.of(p).rebuild(more)
			}
		}
	}
}

// of returns the figures of a parameter.
func (rm *room) of(parameter int) *figures {
	for len(rm.figures) <= parameter {
		rm.figures = append(rm.figures, figures{})
	}
	return &rm.figures[parameter]
}

func (f *figures) rebuild(others []float64) {
	f.all = append(append(f.all[:0], f.own...), others...)
	slices.Sort(f.all)
	f.sum = 0
	for _, v := range f.all {
		f.sum += v
	}
}

// View returns in dst the figures of the device's room without itself; nil when it has none.
func (t *Table) View(device *Device, dst *alarm.RoomView) *alarm.RoomView {
	d := device.in
	if d == nil || d.room == nil {
		return nil
	}
	*dst = (*dst)[:0]
	for p := range min(len(t.parameters), len(d.room.figures)) {
		var own *value
		if d.names == t.names {
			own = d.find(p)
		}
		*dst = append(*dst, alarm.RoomParameter{Name: t.parameters[p], RoomValue: d.room.figures[p].without(own)})
	}
	return dst
}

// without returns the figures without one of the values, nil for none.
func (f *figures) without(own *value) alarm.RoomValue {
	n, sum := len(f.all), f.sum
	skip := n // none
	if own != nil && own.isCounted {
		if i, found := slices.BinarySearch(f.all, own.counted); found {
			skip, n, sum = i, n-1, sum-own.counted
		}
	}
	if n <= 0 {
		return alarm.RoomValue{}
	}
	at := func(i int) float64 {
		if i >= skip {
			i++
		}
		return f.all[i]
	}
	return alarm.RoomValue{Count: n, Mean: sum / float64(n), Median: (at((n-1)/2) + at(n/2)) / 2}
}

// Own returns the values of the partition's own devices, for peers.
func (t *Table) Own() []Values {
	out := make([]Values, 0, len(t.rooms))
	for _, rm := range t.rooms {
		v := Values{Room: rm.key}
		for p := range rm.figures {
			v.Add(t.parameters[p], rm.figures[p].own)
			if v.Len() >= maxPart { // a part of its own, to fit into a message
				out = append(out, v)
				v = Values{Room: rm.key}
			}
		}
		out = append(out, v)
	}
	return out
}
