package series

import (
	"math"
	"unique"

	"industrial-iot-monitor/internal/telemetry"
)

// Tiers of a device: the newest value of each five seconds, and mean, lowest and highest value of
// each minute and a half. Of a number both together cost 450 bytes.
const (
	fineStep, fineLen     = 5_000, 64 // a bit each in device.fineSet
	coarseStep, coarseLen = 90_000, 40
)

// device is the series of one device's sensors. Steps are numbered since 1970; that of number n
// is in slot n modulo the length of the ring.
type device struct {
	begins, newest int64 // ms
	fine, coarse   int64 // the newest step
	fineSet        uint64
	n              [coarseLen]uint8 // readings of a coarse step, up to 255
	sensors        []sensor
}

// subject is what a series is of. Values of two units or types cannot share one.
type subject struct {
	name, unit string
	kind       telemetry.ValueKind
}

// sensor is the series of one sensor. The coarse step that is not over is kept as it is, the
// rest packed.
type sensor struct {
	of unique.Handle[subject]
	packing
	open span
	// rings are fine, mean, lowest and highest, one behind the other. A switch has no bounds:
	// they follow from its mean.
	rings []code
	last  uint32 // coarse step of the newest value
}

const (
	atMean, atLowest, atHighest = fineLen, fineLen + coarseLen, fineLen + 2*coarseLen

	ringsOfSwitch, ringsOfNumber = fineLen + coarseLen, fineLen + 3*coarseLen
)

func (t *sensor) bounded() bool { return len(t.rings) == ringsOfNumber }

// span has n values of one coarse step as distances from the reference, see packing; with more
// than 255 the mean follows the newer ones.
type span struct {
	mean, lowest, highest float32
	n                     uint8
}

func (m *span) add(d float32) {
	if m.n == 0 {
		*m = span{d, d, d, 1}
		return
	}
	if m.n < math.MaxUint8 {
		m.n++
	}
	m.mean += (d - m.mean) / float32(m.n)
	m.lowest, m.highest = min(m.lowest, d), max(m.highest, d)
}

func (s *Store) add(c *device, at int64, r *telemetry.Reading) {
	c.begins, c.newest = min(c.begins, at), max(c.newest, at)
	fine, coarse := at/fineStep, at/coarseStep
	fineOK, coarseOK := c.openFine(fine), c.openCoarse(coarse)
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
		t.last = max(t.last, uint32(coarse))
		if fineOK {
			t.rings[fine%fineLen] = t.pack(x.Number)
		}
		switch {
		case coarse == c.coarse:
			t.open.add(t.distance(x.Number))
		case coarseOK:
			t.late(coarse%coarseLen, c.n[coarse%coarseLen], x.Number)
		}
	}
}

// openFine makes room for a step and reports whether there is any.
func (c *device) openFine(step int64) bool {
	if step <= c.fine-fineLen {
		return false
	}
	for n := max(c.fine+1, step-fineLen+1); n <= step; n++ {
		slot := n % fineLen
		c.fineSet &^= 1 << slot
		for i := range c.sensors {
			c.sensors[i].rings[slot] = none
		}
	}
	c.fine = max(c.fine, step)
	c.fineSet |= 1 << (step % fineLen)
	return true
}

// openCoarse is openFine of a coarse step, which it counts a reading in. A new step closes the one
// before.
func (c *device) openCoarse(step int64) bool {
	if step <= c.coarse-coarseLen {
		return false
	}
	if step > c.coarse {
		c.close()
		for n := max(c.coarse+1, step-coarseLen+1); n <= step; n++ {
			c.n[n%coarseLen] = 0
			for i := range c.sensors {
				c.sensors[i].rings[atMean+n%coarseLen] = none
			}
		}
		first := c.begins / coarseStep // not all devices at once
		if (step-first)/coarseLen != (c.coarse-first)/coarseLen {
			for i := range c.sensors {
				c.sensors[i].rebase()
			}
		}
		c.coarse = step
	}
	c.n[step%coarseLen] += min(1, math.MaxUint8-c.n[step%coarseLen])
	return true
}

// close packs the newest step.
func (c *device) close() {
	for i := range c.sensors {
		t := &c.sensors[i]
		if m := &t.open; m.n > 0 {
			t.set(c.coarse%coarseLen, t.packDistance(m.mean), t.packDistance(m.lowest), t.packDistance(m.highest))
			*m = span{}
		}
	}
}

func (t *sensor) set(slot int64, mean, lowest, highest code) {
	t.rings[atMean+slot] = mean
	if t.bounded() {
		t.rings[atLowest+slot], t.rings[atHighest+slot] = lowest, highest
	}
}

// late adds a value to a step that is over and has n readings with it.
func (t *sensor) late(slot int64, n uint8, v float64) {
	mean, lowest, highest, known := t.spanAt(slot)
	if !known {
		c := t.pack(v)
		t.set(slot, c, c, c)
		return
	}
	mean += (v - mean) / float64(max(n, 2))
	t.set(slot, t.pack(mean), t.pack(min(lowest, v)), t.pack(max(highest, v)))
}

// spanAt returns the packed values of a coarse step, and whether it has any.
func (t *sensor) spanAt(slot int64) (mean, lowest, highest float64, known bool) {
	c := t.rings[atMean+slot]
	if c == none {
		return 0, 0, 0, false
	}
	mean = t.value(c)
	if t.bounded() {
		return mean, t.value(t.rings[atLowest+slot]), t.value(t.rings[atHighest+slot]), true
	}
	return mean, math.Floor(mean), math.Ceil(mean), true
}

// sensorOf returns the series of a sensor, nil if there is no room for it. hint is where it
// probably is. A change of unit or type empties it, and so does a value that its packing
// cannot express.
func (s *Store) sensorOf(c *device, x *telemetry.Sensor, hint int, step int64) *sensor {
	t := c.find(x.Name, hint)
	if t == nil {
		if t = s.room(c, step); t == nil {
			return nil
		}
		*t = newSensor(x)
		return t
	}
	of := t.of.Value()
	switch {
	case of.kind != x.Kind, of.unit != x.Unit && of.unit != "" && x.Unit != "", !t.fits(x.Number):
		*t = newSensor(x)
	case of.unit == "" && x.Unit != "":
		t.of = unique.Make(subject{of.name, unique.Make(x.Unit).Value(), of.kind})
	}
	return t
}

// find returns the series of that name, nil if there is none.
func (c *device) find(name string, hint int) *sensor {
	if hint < len(c.sensors) && c.sensors[hint].of.Value().name == name {
		return &c.sensors[hint]
	}
	for i := range c.sensors {
		if c.sensors[i].of.Value().name == name {
			return &c.sensors[i]
		}
	}
	return nil
}

// room returns the place of a new series: that of one without a value left, or another one
// within the bounds. It returns nil if there is none.
func (s *Store) room(c *device, step int64) *sensor {
	for i := range c.sensors {
		if int64(c.sensors[i].last) <= step-coarseLen {
			return &c.sensors[i]
		}
	}
	if len(c.sensors) >= telemetry.MaxSensors || s.sensors >= s.o.MaxSensors {
		return nil
	}
	s.sensors++
	if len(c.sensors) == cap(c.sensors) { // most devices have few sensors, and always the same
		c.sensors = append(make([]sensor, 0, len(c.sensors)+1+len(c.sensors)/4), c.sensors...)
	}
	c.sensors = append(c.sensors, sensor{})
	return &c.sensors[len(c.sensors)-1]
}

// newSensor returns an empty series. The strings of a reading are parts of its message.
func newSensor(x *telemetry.Sensor) sensor {
	size := ringsOfNumber
	if x.Kind == telemetry.Bool {
		size = ringsOfSwitch
	}
	t := sensor{
		of:      unique.Make(subject{unique.Make(x.Name).Value(), unique.Make(x.Unit).Value(), x.Kind}),
		packing: newPacking(x.Number), rings: make([]code, size),
	}
	for i := range t.rings {
		t.rings[i] = none
	}
	return t
}

// rebase makes the newest mean the reference of the packing, so that values that have moved far
// from the first one are kept as exactly as it was. The open step is empty.
func (t *sensor) rebase() {
	newest := t.rings[atMean+t.last%coarseLen]
	if newest == none {
		return
	}
	from := t.packing
	t.packing = from.about(from.value(newest))
	for i, c := range t.rings {
		if c != none {
			t.rings[i] = t.pack(from.value(c))
		}
	}
}
