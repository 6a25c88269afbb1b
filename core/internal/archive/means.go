package archive

import (
	"math"
	"strings"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	minuteMS = 60_000
	hourMS   = 3_600_000
	// holds is how many usual intervals a value counts when no other follows: then the device is
	// taken to be silent. An interval that is not known yet is at most longestGap ms.
	holds      = 3
	longestGap = 1_800_000
)

// means are the course of each building, minute by minute, as far as it is not in files: the mean of
// the newest values of all its devices, weighted by the time for which each was the newest. Sums of
// value times ms are added up, so what partitions and flushes have simply adds.
type means struct {
	buildings map[string]*building
}

// building has the sums of one building.
type building struct {
	name    string
	sensors map[samples.Field]*sums
}

// sums are those of one sensor, by minute since 1970.
type sums struct {
	field   samples.Field
	minutes map[int64]*sum
}

// sum is what the values of a minute add up to.
type sum struct {
	ms       int64   // for which there was a value, of all devices
	product  float64 // of value and ms
	min, max float64
}

func (s *sum) add(o sum) {
	if o.ms == 0 {
		return
	}
	if s.ms == 0 {
		*s = o
		return
	}
	s.ms += o.ms
	s.product += o.product
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
}

// chains are the newest values of a device, and those of the late readings it sends, if it does.
type chains struct {
	newest chain
	late   *chain
	moved  bool // since the last flush
}

// chain holds the values of a reading until the next one.
type chain struct {
	building *building
	at       int64 // of the reading, 0: none yet
	gap      int64 // ms, the usual time between two readings, 0: not known
	held     []heldValue
}

type heldValue struct {
	to     *sums
	value  float64
	minute int64
	cell   *sum // of minute
}

// holding is a chain as the catalogue keeps it.
type holding struct {
	At     int64          `json:"at"`
	Gap    int64          `json:"gap"`
	Values []holdingValue `json:"values"`
}

type holdingValue struct {
	Name  string              `json:"name"`
	Unit  string              `json:"unit"`
	Kind  telemetry.ValueKind `json:"kind"`
	Value float64             `json:"value"`
}

func (c *chain) holding() holding {
	h := holding{At: c.at, Gap: c.gap, Values: make([]holdingValue, len(c.held))}
	for i := range c.held {
		v := &c.held[i]
		h.Values[i] = holdingValue{v.to.field.Name, v.to.field.Unit, v.to.field.Kind, v.value}
	}
	return h
}

// restore continues the chain of a device.
func (m *means) restore(building string, h *holding) chains {
	c := &chain{gap: h.Gap}
	r := Reading{At: h.At, Building: building}
	for _, v := range h.Values {
		r.Sensors = append(r.Sensors, telemetry.Sensor{Name: v.Name, Unit: v.Unit, Kind: v.Kind, Number: v.Value})
	}
	c.begin(m, &r)
	return chains{newest: *c}
}

func newMeans() means {
	return means{buildings: make(map[string]*building)}
}

// observe lets a reading follow the one before it. missing reports whether the file of a minute lacks
// what this record adds.
func (m *means) observe(c *chains, r *Reading, missing func(minute int64) bool) {
	c.moved = true
	to := &c.newest
	if r.At < to.at {
		if c.late == nil {
			c.late = new(chain)
		}
		if to = c.late; r.At < to.at {
			*to = chain{} // another run of late readings
		}
	}
	to.end(r.At, missing)
	to.begin(m, r)
}

// end adds the held values for the time until at.
func (c *chain) end(at int64, missing func(minute int64) bool) {
	if c.at == 0 || at <= c.at {
		return
	}
	until := min(at, c.limit())
	c.spans(until, func(v *heldValue, minute, ms int64) {
		if missing(minute) {
			v.add(minute, ms)
		}
	})
	if until == at {
		c.gap = at - c.at
	}
}

// limit returns until when the held values count at most.
func (c *chain) limit() int64 {
	if c.gap == 0 {
		return c.at + longestGap
	}
	return c.at + holds*c.gap
}

// spans cuts the time from the reading until a time into minutes.
func (c *chain) spans(until int64, f func(v *heldValue, minute, ms int64)) {
	for from := c.at; from < until; {
		minute := from / minuteMS
		to := min(until, (minute+1)*minuteMS)
		for i := range c.held {
			f(&c.held[i], minute, to-from)
		}
		from = to
	}
}

func (v *heldValue) add(minute, ms int64) {
	if v.cell == nil || v.minute != minute {
		v.minute, v.cell = minute, v.to.at(minute)
	}
	v.cell.add(sum{ms, v.value * float64(ms), v.value, v.value})
}

func (s *sums) at(minute int64) *sum {
	x := s.minutes[minute]
	if x == nil {
		x = new(sum)
		s.minutes[minute] = x
	}
	return x
}

// begin holds the values of a reading.
func (c *chain) begin(m *means, r *Reading) {
	if c.building == nil || c.building.name != r.Building {
		c.building, c.held = m.building(r.Building), c.held[:0]
	}
	c.at = r.At
	n := 0
	for i := range r.Sensors {
		x := &r.Sensors[i]
		if x.Kind == telemetry.Text || x.Status == telemetry.StatusUnitUnknown {
			continue
		}
		if n == len(c.held) {
			c.held = append(c.held, heldValue{})
		}
		v := &c.held[n]
		if v.to == nil || v.to.field.Name != x.Name || v.to.field.Unit != x.Unit || v.to.field.Kind != x.Kind {
			*v = heldValue{to: c.building.sensor(x)}
		}
		v.value = x.Number
		n++
	}
	c.held = c.held[:n]
}

func (m *means) building(name string) *building {
	b := m.buildings[name]
	if b == nil {
		b = &building{strings.Clone(name), make(map[samples.Field]*sums)}
		m.buildings[b.name] = b
	}
	return b
}

func (b *building) sensor(x *telemetry.Sensor) *sums {
	f := samples.Field{Name: x.Name, Unit: x.Unit, Kind: x.Kind}
	s := b.sensors[f]
	if s == nil {
		f.Name, f.Unit = strings.Clone(f.Name), strings.Clone(f.Unit)
		s = &sums{f, make(map[int64]*sum)}
		b.sensors[f] = s
	}
	return s
}

// clear drops the sums, which are in files now. The held values stay.
func (m *means) clear() {
	for _, b := range m.buildings {
		for _, s := range b.sensors {
			clear(s.minutes)
		}
	}
}

// detach makes the chains find their sums again.
func (c *chains) detach() {
	c.moved = false
	c.newest.detach()
	if c.late != nil {
		c.late.detach()
	}
}

func (c *chain) detach() {
	for i := range c.held {
		c.held[i].cell = nil
	}
}

// open calls f with what the held values add until now.
func (c *chain) open(now int64, f func(field samples.Field, minute int64, s sum)) {
	c.spans(min(now, c.limit()), func(v *heldValue, minute, ms int64) {
		f(v.to.field, minute, sum{ms, v.value * float64(ms), v.value, v.value})
	})
}

// meanParts are the columns of a stored course of a building, for each sensor.
var meanParts = []string{".ms", ".mean", ".min", ".max"}

// block returns the sums of minutes from one up to but without another, nil if there are none.
func (b *building) block(from, to int64) *samples.Block {
	out := new(samples.Block)
	for minute := from; minute < to; minute++ {
		for _, s := range b.sensors {
			if x := s.minutes[minute]; x != nil && x.ms > 0 {
				out.Times = append(out.Times, minute*minuteMS)
				break
			}
		}
	}
	if len(out.Times) == 0 {
		return nil
	}
	for _, s := range b.sensors {
		columns := make([]samples.Column, len(meanParts))
		for p, suffix := range meanParts {
			f := s.field
			f.Name += suffix
			columns[p] = samples.Column{Field: f, Numbers: make([]float64, len(out.Times))}
		}
		some := false
		for i, at := range out.Times {
			x := s.minutes[at/minuteMS]
			some = some || x != nil && x.ms > 0
			for p, v := range x.stored() {
				columns[p].Numbers[i] = v
			}
		}
		if some {
			out.Columns = append(out.Columns, columns...)
		}
	}
	return out
}

// stored returns a sum in the order of meanParts. The mean is rounded to a millionth of its size: it
// takes a third of the room then.
func (s *sum) stored() [4]float64 {
	if s == nil || s.ms == 0 {
		nan := math.NaN()
		return [4]float64{nan, nan, nan, nan}
	}
	return [4]float64{float64(s.ms), rounded(s.product / float64(s.ms)), s.min, s.max}
}

func rounded(v float64) float64 {
	if v == 0 {
		return 0
	}
	decimals := min(max(5-int(math.Floor(math.Log10(math.Abs(v)))), 0), 9)
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}

// storedSum is the inverse of stored, of columns in the order of meanParts.
func storedSum(columns []samples.Column, i int) sum {
	ms := columns[0].Numbers[i]
	if math.IsNaN(ms) {
		return sum{}
	}
	return sum{int64(ms), columns[1].Numbers[i] * ms, columns[2].Numbers[i], columns[3].Numbers[i]}
}
