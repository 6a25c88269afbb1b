// Package rooms keeps the sensor values of each room, so that rules can detect a sensor
// that deviates from its neighbours. A Table has the devices of one partition; devices of
// the same room in other partitions are present as values received from peers. A view is
// as old as the last Rebuild, about a second; values older than MaxAge do not count. It
// does no I/O and nothing in it blocks.
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
	// maxRooms bounds the rooms that readings can make a Table keep.
	maxRooms = 50_000
	// maxValues bounds the values of one parameter of one room. Of more sensors only
	// some count.
	maxValues = 1_000
)

// Values are the newest values of a room's sensors.
type Values struct {
	Room   string                         `json:"room"`   // see Key
	Values [telemetry.NumAnalog][]float64 `json:"values"` // by parameter, in no order
}

// Key returns the key of a room, unique across buildings.
func Key(l telemetry.Location) string {
	return l.Building + "\x1f" + strconv.Itoa(l.Floor) + "\x1f" + l.Room
}

// Device is one device's place in a Table.
type Device struct {
	location telemetry.Location
	room     *room
	at       int64 // event time of the newest values
	newest   [telemetry.NumAnalog]value
	counted  [telemetry.NumAnalog]value // as of the last Rebuild
}

type value struct {
	present bool
	v       float64
}

type room struct {
	key     string
	devices int
	own     [telemetry.NumAnalog][]float64
	all     [telemetry.NumAnalog][]float64 // sorted, with those of peers
	sum     [telemetry.NumAnalog]float64
}

// Table holds the rooms of one partition. It is not safe for concurrent use.
type Table struct {
	rooms   map[string]*room
	devices map[*Device]struct{} // those in a room
}

// New returns an empty Table.
func New() *Table { return &Table{rooms: make(map[string]*room), devices: make(map[*Device]struct{})} }

// Put applies a reading of d, taken at plant time at. d is the zero Device for its first one. d must not be copied
// afterwards. A late reading changes nothing.
func (t *Table) Put(d *Device, at int64, r *telemetry.Reading) {
	if d.location != r.Location {
		t.move(d, r.Location)
	}
	if d.room == nil || at <= d.at {
		return
	}
	d.at = at
	for p := range telemetry.NumAnalog {
		m := r.Sensors.Analog(p)
		d.newest[p] = value{m.Present, m.Value}
	}
}

func (t *Table) move(d *Device, l telemetry.Location) {
	if d.room != nil {
		t.leave(d)
	}
	d.location = telemetry.Location{Building: strings.Clone(l.Building), Floor: l.Floor, Room: strings.Clone(l.Room)}
	if l.Room == "" {
		return
	}
	key := Key(d.location)
	rm := t.rooms[key]
	if rm == nil {
		if len(t.rooms) >= maxRooms {
			return
		}
		rm = &room{key: key}
		t.rooms[key] = rm
	}
	rm.devices++
	d.room, d.counted = rm, [telemetry.NumAnalog]value{}
	t.devices[d] = struct{}{}
}

// Remove removes a device. It may be put again.
func (t *Table) Remove(d *Device) {
	if d.room != nil {
		t.leave(d)
	}
	*d = Device{}
}

func (t *Table) leave(d *Device) {
	d.room.devices--
	if d.room.devices == 0 {
		delete(t.rooms, d.room.key)
	}
	d.room = nil
	delete(t.devices, d)
}

// Rebuild renews the views at now, in ms, from the devices' newest values and from those
// of other partitions. Call it about once a second.
func (t *Table) Rebuild(now int64, others func(room string, p telemetry.Parameter) []float64) {
	for _, rm := range t.rooms {
		for p := range rm.own {
			rm.own[p] = rm.own[p][:0]
		}
	}
	oldest := now - MaxAge.Milliseconds()
	for d := range t.devices {
		for p := range telemetry.NumAnalog {
			v := d.newest[p]
			v.present = v.present && d.at >= oldest && len(d.room.own[p]) < maxValues
			d.counted[p] = v
			if v.present {
				d.room.own[p] = append(d.room.own[p], v.v)
			}
		}
	}
	for _, rm := range t.rooms {
		rm.rebuild(others)
	}
}

func (rm *room) rebuild(others func(room string, p telemetry.Parameter) []float64) {
	for p := range telemetry.NumAnalog {
		rm.all[p] = append(rm.all[p][:0], rm.own[p]...)
		if others != nil {
			rm.all[p] = append(rm.all[p], others(rm.key, p)...)
		}
		slices.Sort(rm.all[p])
		rm.sum[p] = 0
		for _, v := range rm.all[p] {
			rm.sum[p] += v
		}
	}
}

// View returns in dst the figures of d's room without d itself; nil when d has no room.
func (t *Table) View(d *Device, dst *alarm.RoomView) *alarm.RoomView {
	if d.room == nil {
		return nil
	}
	for p := range telemetry.NumAnalog {
		dst[p] = d.room.without(p, d.counted[p])
	}
	return dst
}

// without returns the figures of the room's sensors without one, which is among them if
// present.
func (rm *room) without(p telemetry.Parameter, own value) alarm.RoomValue {
	all, n, sum := rm.all[p], len(rm.all[p]), rm.sum[p]
	skip := n // none
	if own.present {
		if i, found := slices.BinarySearch(all, own.v); found {
			skip, n, sum = i, n-1, sum-own.v
		}
	}
	if n <= 0 {
		return alarm.RoomValue{}
	}
	at := func(i int) float64 {
		if i >= skip {
			i++
		}
		return all[i]
	}
	return alarm.RoomValue{Count: n, Mean: sum / float64(n), Median: (at((n-1)/2) + at(n/2)) / 2}
}

// Own returns the values of the partition's own devices, for peers.
func (t *Table) Own() []Values {
	out := make([]Values, 0, len(t.rooms))
	for _, rm := range t.rooms {
		v := Values{Room: rm.key}
		for p := range rm.own {
			v.Values[p] = slices.Clone(rm.own[p])
		}
		out = append(out, v)
	}
	return out
}
