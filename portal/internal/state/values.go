package state

import (
	"slices"
	"unique"

	"industrial-iot-monitor/internal/telemetry"
)

// shape is what the readings of devices of one kind have in common: their sensors but for the
// values. It is immutable.
type shape struct {
	sensors []telemetry.Sensor // without values
	texts   int                // of these, those with a text
}

// is reports whether a reading has this shape.
func (s *shape) is(list telemetry.Sensors) bool {
	if s == nil || len(s.sensors) != len(list) {
		return false
	}
	for i := range list {
		a, b := &s.sensors[i], &list[i]
		if a.Kind != b.Kind || a.Name != b.Name || a.Unit != b.Unit || (a.Status == telemetry.StatusUnitUnknown) != (b.Status == telemetry.StatusUnitUnknown) {
			return false
		}
	}
	return true
}

// shapes holds each shape once.
type shapes struct {
	all map[string]*shape
	key []byte
}

// maxShapes bounds the shapes that are shared. With more of them the list is emptied and filled again.
const maxShapes = 10_000

func (s *shapes) of(list telemetry.Sensors) *shape {
	s.key = s.key[:0]
	for i := range list {
		x := &list[i]
		unknown := byte('-')
		if x.Status == telemetry.StatusUnitUnknown {
			unknown = '?'
		}
		s.key = append(append(append(append(s.key, x.Name...), byte(x.Kind), unknown), x.Unit...), 0)
	}
	if found := s.all[string(s.key)]; found.is(list) {
		return found
	}
	if s.all == nil || len(s.all) >= maxShapes {
		s.all = make(map[string]*shape)
	}
	made := newShape(list)
	s.all[string(s.key)] = made
	return made
}

func newShape(list telemetry.Sensors) *shape {
	made := &shape{sensors: make([]telemetry.Sensor, len(list))}
	for i := range list {
		x := &list[i]
		made.sensors[i] = telemetry.Sensor{Name: unique.Make(x.Name).Value(), Unit: unique.Make(x.Unit).Value(), Kind: x.Kind}
		if x.Status == telemetry.StatusUnitUnknown {
			made.sensors[i].Status = telemetry.StatusUnitUnknown
		}
		if x.Kind == telemetry.Text {
			made.texts++
		}
	}
	return made
}

// values are the decoded values of one reading.
type values struct {
	shape   *shape    // nil: they are not known
	numbers []float64 // by sensor
	texts   []string  // of the sensors with a text
	flaws   []string
}

// set replaces the values by those of r; nil: they are not known. Strings are copied.
func (v *values) set(r *telemetry.Reading, all *shapes) {
	if r == nil {
		*v = values{}
		return
	}
	if !v.shape.is(r.Sensors) {
		v.shape = all.of(r.Sensors)
		v.numbers, v.texts = make([]float64, len(r.Sensors)), nil
		if v.shape.texts > 0 {
			v.texts = make([]string, v.shape.texts)
		}
	}
	texts := 0
	for i := range r.Sensors {
		x := &r.Sensors[i]
		v.numbers[i] = x.Number
		if x.Kind == telemetry.Text {
			v.texts[texts] = same(v.texts[texts], x.Text)
			texts++
		}
	}
	if !slices.Equal(v.flaws, r.Flaws) {
		v.flaws = nil
		for _, path := range r.Flaws {
			v.flaws = append(v.flaws, unique.Make(path).Value())
		}
	}
}

// append appends the sensors with their values.
func (v *values) append(dst telemetry.Sensors) telemetry.Sensors {
	texts := 0
	for i := range v.shape.sensors {
		x := v.shape.sensors[i]
		x.Number = v.numbers[i]
		if x.Kind == telemetry.Text {
			x.Text = v.texts[texts]
			texts++
		}
		dst = append(dst, x)
	}
	return dst
}
