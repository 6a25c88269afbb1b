package alarm

import (
	"hash/fnv"
	"hash/maphash"
	"math"
	"strconv"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
)

// Parameters of alarms that are not sensors but figures of device_info. A sensor may have
// the same name; rules of kind battery_low and signal_weak do not judge it.
const (
	// Battery is device_info.battery in percent. 0 counts as absent: a device with an
	// empty battery sends nothing.
	Battery = "battery"
	// Strength is device_info.signal_strength in dBm. 0 counts as absent.
	Strength = "signal_strength"
)

// signalName identifies a signal: a value of readings that rules judge.
type signalName struct {
	name string
	info bool // a figure of device_info, not a sensor
}

// naming is what the indexes of signals in a State stand for. It is immutable.
type naming struct {
	names       []signalName
	fingerprint string // of the names; equal ones have equal names
}

func newNaming(names []signalName) *naming {
	h := fnv.New64a()
	for _, n := range names {
		_, _ = h.Write([]byte(n.name + ":" + strconv.FormatBool(n.info) + "\n"))
	}
	return &naming{names: names, fingerprint: strconv.FormatUint(h.Sum64(), 36)}
}

// signal is what the rules say about one signal.
type signal struct {
	signalName
	unit string // shown when the reading has none
	// From low to high no plain rule's condition holds.
	low, high     float64
	plain, others bits  // the rules that judge it, the plain ones apart
	rates         []int // indexes of the rules about its rate of change
	watched       bool  // a rule is about its being stuck
	still         stillBounds
}

// signals are the signals of a set of rules.
type signals struct {
	*naming
	list []signal
	// slots is a hash table of the sensors' indexes in list, -1 for none: it tells apart
	// the sensors that no rule names faster than a map does.
	slots             []int16
	battery, strength int // -1 when no rule judges it
}

var hashSeed = maphash.MakeSeed()

// index returns the index of a sensor, -1 when no rule judges it.
func (t *signals) index(name string) int {
	mask := uint64(len(t.slots) - 1)
	for h := maphash.String(hashSeed, name) & mask; ; h = (h + 1) & mask {
		i := int(t.slots[h])
		if i < 0 || t.list[i].name == name {
			return i
		}
	}
}

// find returns the index of a signal, -1 when no rule judges it.
func (t *signals) find(n signalName) int {
	switch {
	case !n.info:
		return t.index(n.name)
	case n.name == Battery:
		return t.battery
	case n.name == Strength:
		return t.strength
	default:
		return -1
	}
}

// newSignals returns the signals that rules judge, in the order of the rules, and gives
// each condition the index of its own.
func newSignals(rules []rule, catalogue *sensors.Catalogue) *signals {
	t := &signals{battery: -1, strength: -1}
	index := make(map[signalName]int)
	var names []signalName
	for k := range rules {
		r := &rules[k]
		for i := range r.n {
			c := &r.conds[i]
			if c.outside() {
				continue
			}
			n := signalName{name: c.Parameter, info: c.Kind == BatteryLow || c.Kind == SignalWeak}
			at, known := index[n]
			if !known {
				at = len(names)
				index[n] = at
				names = append(names, n)
				t.list = append(t.list, signal{
					signalName: n, unit: unitOf(n, catalogue), low: math.Inf(-1), high: math.Inf(1),
					plain: newBits(len(rules)), others: newBits(len(rules)),
				})
			}
			c.signal = at
			t.list[at].add(k, r, c)
		}
	}
	t.naming = newNaming(names)
	t.hash()
	return t
}

func unitOf(n signalName, catalogue *sensors.Catalogue) string {
	switch {
	case n.info && n.name == Battery:
		return "%"
	case n.info:
		return "dBm"
	}
	if k := catalogue.KindOf(n.name); k != nil {
		return k.Unit
	}
	return ""
}

// hash fills the hash table and the indexes of device_info.
func (t *signals) hash() {
	size := 4
	for size < 4*len(t.list) {
		size *= 2
	}
	t.slots = make([]int16, size)
	for i := range t.slots {
		t.slots[i] = -1
	}
	mask := uint64(size - 1)
	for i := range t.list {
		switch n := t.list[i].signalName; {
		case n.info && n.name == Battery:
			t.battery = i
		case n.info:
			t.strength = i
		default:
			h := maphash.String(hashSeed, n.name) & mask
			for t.slots[h] >= 0 {
				h = (h + 1) & mask
			}
			t.slots[h] = int16(i)
		}
	}
}

// add notes that condition c of rule r, which has index k, judges s.
func (s *signal) add(k int, r *rule, c *cond) {
	if r.plain {
		s.plain.set(k)
		if c.fold == negated {
			s.low = max(s.low, -c.limit)
		} else {
			s.high = min(s.high, c.limit)
		}
		return
	}
	s.others.set(k)
	switch c.look {
	case atRate:
		if n := len(s.rates); n == 0 || s.rates[n-1] != k {
			s.rates = append(s.rates, k)
		}
	case atStill:
		s.watched = true
		s.still.add(c.span)
	default:
	}
}

// bits is a set of rules by index.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

func (b bits) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b bits) add(other bits) {
	for i := range other {
		b[i] |= other[i]
	}
}

// value is a signal of the reading that is newer than what was judged before.
type value struct {
	v      float64
	signal int16
	track  int16
	sensor int8 // index in the reading, -1 for a figure of device_info
	kind   telemetry.ValueKind
}

// maxValues is the number of signals that a reading can have.
const maxValues = telemetry.MaxSensors + 2

// match finds the signals of the reading that are new.
func (x *step) match() {
	t := x.rules.signals
	cursor := 0 // a device sends its sensors in the same order each time
	for i := range x.r.Sensors {
		m := &x.r.Sensors[i]
		if m.Kind == telemetry.Text || m.Status == telemetry.StatusUnitUnknown {
			continue
		}
		if at := t.index(m.Name); at >= 0 {
			cursor = x.arrived(cursor, value{v: m.Number, signal: int16(at), sensor: int8(i), kind: m.Kind})
		}
	}
	if v := x.r.Info.Battery.Value; v != 0 && t.battery >= 0 {
		cursor = x.arrived(cursor, value{v: v, signal: int16(t.battery), sensor: -1})
	}
	if v := x.r.Info.SignalStrength.Value; v != 0 && t.strength >= 0 {
		x.arrived(cursor, value{v: v, signal: int16(t.strength), sensor: -1})
	}
}

// arrived adds a value of the reading to the new ones, unless it is too old. Its track is
// probably at the cursor; the next one is at the result.
func (x *step) arrived(cursor int, v value) int {
	s := &x.s
	k := cursor
	if k >= len(s.tracks) || s.tracks[k].signal != v.signal {
		if k = s.trackOf(v.signal); k < 0 {
			if x.ts <= s.floor {
				return cursor
			}
			s.addTrack(v.signal, s.floor)
			k = len(s.tracks) - 1
		}
		if k > cursor { // the order of the message, for the next one
			s.tracks[k], s.tracks[cursor] = s.tracks[cursor], s.tracks[k]
			k = cursor
		}
	}
	if x.ts > s.tracks[k].last && x.n < maxValues {
		v.track = int16(k)
		x.fresh[x.n] = v
		x.n++
	}
	return k + 1
}

// value returns the new value of a signal, nil when the reading has none.
func (x *step) value(signal int) *value {
	for i := range x.fresh[:x.n] {
		if f := &x.fresh[i]; int(f.signal) == signal {
			return f
		}
	}
	return nil
}

// unit returns the unit of a value.
func (x *step) unit(f *value) string {
	if f.sensor >= 0 {
		if u := x.r.Sensors[f.sensor].Unit; u != "" {
			return u
		}
	}
	return x.rules.signals.list[f.signal].unit
}
