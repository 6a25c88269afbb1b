package aggregate

import (
	"math"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// cell has the running figures of one parameter in one window.
type cell struct {
	parameter     uint32 // its number in Aggregator.names
	count         uint32
	sum, min, max float64
}

func (c *cell) add(v float64) {
	if c.count == 0 {
		c.min, c.max = v, v
	} else {
		c.min, c.max = min(c.min, v), max(c.max, v)
	}
	c.count++
	c.sum += v
}

// slot is an open window. A device's keeps its cells for the next window: the device will
// send the same sensors.
type slot struct {
	start int64
	used  bool
	cells []cell
	// places has, of a building's window, the index + 1 of a parameter's cell, by number.
	places *[]uint16
}

// value is a number of the reading.
type value struct {
	parameter uint32
	v         float64
}

// numbers returns the numbers of a reading that windows can have. Their parameters are
// probably those of the device's cells, in the same order.
func (a *Aggregator) numbers(d *Device, sensors telemetry.Sensors) []value {
	a.values = a.values[:0]
	cells := d.minute[0].cells
	next := 0
	for i := range sensors {
		m := &sensors[i]
		if !m.Comparable() {
			continue
		}
		k := next
		if k >= len(cells) || a.names.list[cells[k].parameter] != m.Name {
			k = a.find(cells, m.Name)
		}
		if k >= 0 {
			next = k + 1
			a.values = append(a.values, value{cells[k].parameter, m.Number})
			continue
		}
		p, ok := a.names.number(m.Name)
		if !ok {
			a.dropped++
			continue
		}
		a.values = append(a.values, value{p, m.Number})
	}
	return a.values
}

// find returns the index of the cell with a name, -1 for none.
func (a *Aggregator) find(cells []cell, name string) int {
	for k := range cells {
		if a.names.list[cells[k].parameter] == name {
			return k
		}
	}
	return -1
}

// addTo counts values in a window, of most parameters at most, and returns its cells and how
// many values were dropped.
func addTo(cells []cell, values []value, most int) (_ []cell, dropped int) {
	k := 0
	for _, x := range values {
		if k >= len(cells) || cells[k].parameter != x.parameter {
			if k = cellOf(cells, x.parameter); k < 0 {
				if cells, k = cellFor(cells, len(values), most); k < 0 {
					dropped++
					k = 0
					continue
				}
				cells[k].parameter = x.parameter
			}
		}
		cells[k].add(x.v)
		k++
	}
	return cells, dropped
}

func cellOf(cells []cell, parameter uint32) int {
	for k := range cells {
		if cells[k].parameter == parameter {
			return k
		}
	}
	return -1
}

// cellFor adds a cell and returns its index: beyond most, that of one that this window has
// not used, -1 for none. Room is made for all of a reading of so many values, but no more:
// devices are many.
func cellFor(cells []cell, values, most int) ([]cell, int) {
	if len(cells) >= most {
		return cells, slices.IndexFunc(cells, func(c cell) bool { return c.count == 0 })
	}
	if len(cells) == cap(cells) {
		cells = append(make([]cell, 0, max(values, len(cells)+1)), cells...)
	}
	return append(cells, cell{}), len(cells)
}

// addPlaced is addTo for a window of a building, which has many parameters.
func (s *slot) addPlaced(values []value) (dropped int) {
	places := *s.places
	for _, x := range values {
		if int(x.parameter) >= len(places) {
			places = append(places, make([]uint16, int(x.parameter)+1-len(places))...)
			*s.places = places
		}
		k := places[x.parameter]
		if k == 0 {
			if len(s.cells) >= maxOfBuilding {
				dropped++
				continue
			}
			s.cells = append(s.cells, cell{parameter: x.parameter})
			k = uint16(len(s.cells))
			places[x.parameter] = k
		}
		s.cells[k-1].add(x.v)
	}
	return dropped
}

// detach closes the window and returns its cells, which are no longer those of s.
func (s *slot) detach() []cell {
	cells := s.cells
	s.used = false
	if s.places != nil {
		s.displace()
		s.cells = make([]cell, 0, len(cells))
		return cells
	}
	s.cells = make([]cell, 0, len(cells))
	for i := range cells {
		if cells[i].count > 0 {
			s.cells = append(s.cells, cell{parameter: cells[i].parameter})
		}
	}
	return cells
}

// reset closes the window after its cells were emitted.
func (s *slot) reset() {
	s.used = false
	if s.places != nil {
		s.displace()
		s.cells = s.cells[:0]
		return
	}
	kept := s.cells[:0]
	for i := range s.cells {
		if s.cells[i].count > 0 { // the device still has this sensor
			kept = append(kept, cell{parameter: s.cells[i].parameter})
		}
	}
	s.cells = kept
}

func (s *slot) displace() {
	for i := range s.cells {
		(*s.places)[s.cells[i].parameter] = 0
	}
}

func (a *Aggregator) appendTo(dst []telemetry.Window, w *window) []telemetry.Window {
	for i := range w.cells {
		c := &w.cells[i]
		if c.count == 0 {
			continue
		}
		dst = append(dst, telemetry.Window{
			Scope: w.of.scope(), ID: w.of.id, Parameter: a.names.list[c.parameter],
			Start: w.start, WidthMS: w.width,
			Count: int64(c.count), Sum: finite(c.sum), Min: c.min, Max: c.max,
			Late: w.late,
		})
	}
	return dst
}

// finite makes a sum that overflowed encodable as JSON.
func finite(sum float64) float64 {
	if math.IsNaN(sum) {
		return 0 // it overflowed both ways
	}
	return max(-math.MaxFloat64, min(sum, math.MaxFloat64))
}
