package series

import (
	"maps"
	"math"
	"slices"
)

// Column is one parameter at the times of a Table; nil where it has no value. N, P10 and P90 are of
// buildings: how many devices have a value, and between which a tenth of the values at either end is
// left out. The history does not keep P10 and P90: they are empty then.
type Column struct {
	Unit string     `json:"unit"` // empty: none
	Mean []*float64 `json:"mean"`
	Min  []*float64 `json:"min"`
	Max  []*float64 `json:"max"`
	N    []*int64   `json:"n,omitempty"`
	P10  []*float64 `json:"p10,omitempty"`
	P90  []*float64 `json:"p90,omitempty"`
}

// Table is the series of one device or building between two times. Time has the middle of each
// step in ms, or with StepMS 0 the time of each reading, whose Min and Max are its value. Empty steps
// are left out, but a gap appears as one step with nil values.
type Table struct {
	From   int64             `json:"from"`
	To     int64             `json:"to"`
	StepMS int64             `json:"step_ms"`
	Begins int64             `json:"begins"` // time of the oldest value held, 0 without any
	Time   []int64           `json:"time"`
	Values map[string]Column `json:"values"`
}

// Query selects a part of a series. Points bounds the number of steps.
type Query struct {
	From, To   int64    // ms, both inclusive
	Parameters []string // names of sensors; nil: all that there are
	Points     int
}

// point is one step of one parameter: the sums over its samples.
type point struct {
	samples, n     int64
	sum            float64
	lowest, higher float64
	p10, p90       float64
}

func (p *point) merge(x *bucket) {
	lowest, higher := float64(x.min), float64(x.max)
	if p.samples > 0 {
		lowest, higher = min(p.lowest, lowest), max(p.higher, higher)
	}
	p.lowest, p.higher = lowest, higher
	p.samples++
	p.n += int64(x.count)
	p.sum += x.sum
	p.p10 += float64(x.p10)
	p.p90 += float64(x.p90)
}

// appendTo appends the point to a column: of several samples the mean of their figures, the lowest and
// the highest value.
func (p *point) appendTo(c *Column) {
	n := (p.n + p.samples/2) / p.samples
	samples := float64(p.samples)
	c.N = append(c.N, &n)
	for _, x := range []struct {
		to *[]*float64
		v  float64
	}{{&c.Mean, p.sum / float64(p.n)}, {&c.Min, p.lowest}, {&c.Max, p.higher}, {&c.P10, p.p10 / samples}, {&c.P90, p.p90 / samples}} {
		*x.to = append(*x.to, new(round(x.v)))
	}
}

// appendNone appends that there is no value.
func (c *Column) appendNone() {
	c.N = append(c.N, nil)
	for _, to := range []*[]*float64{&c.Mean, &c.Min, &c.Max, &c.P10, &c.P90} {
		*to = append(*to, nil)
	}
}

// grid collects steps of equal width.
type grid struct {
	q     Query
	step  int64
	first int64 // number of the first step
	rows  [][]point
}

// newGrid uses the smallest multiple of base that needs no more than q.Points steps.
func newGrid(q Query, base int64) *grid {
	step := base
	if n := (q.To-q.From)/base + 1; n > int64(q.Points) {
		step = base * ((n + int64(q.Points) - 1) / int64(q.Points))
	}
	g := &grid{q: q, step: step, first: q.From / step}
	g.rows = make([][]point, q.To/step-g.first+1)
	return g
}

// add merges a sample of parameter i.
func (g *grid) add(i int, x *bucket) {
	at := int64(x.step) * Step
	if at < g.q.From || at > g.q.To {
		return
	}
	row := &g.rows[at/g.step-g.first]
	if *row == nil {
		*row = make([]point, len(g.q.Parameters))
	}
	(*row)[i].merge(x)
}

// table returns the grid as a Table. More than maxGap empty steps are a gap.
func (g *grid) table(begins int64, maxGap int) Table {
	t := Table{From: g.q.From, To: g.q.To, StepMS: g.step, Begins: begins, Time: []int64{}, Values: make(map[string]Column)}
	columns := make([]Column, len(g.q.Parameters))
	for i := range columns {
		columns[i] = Column{Mean: []*float64{}, Min: []*float64{}, Max: []*float64{}}
	}
	row := func(at int64, points []point) {
		t.Time = append(t.Time, at)
		for i := range columns {
			if points == nil || points[i].n == 0 {
				columns[i].appendNone()
				continue
			}
			points[i].appendTo(&columns[i])
		}
	}
	missing := 0
	for i, points := range g.rows {
		at := (g.first+int64(i))*g.step + g.step/2
		if points == nil {
			missing++
			continue
		}
		if missing > maxGap && len(t.Time) > 0 {
			row(at-g.step, nil)
		}
		missing = 0
		row(at, points)
	}
	for i, name := range g.q.Parameters {
		t.Values[name] = columns[i]
	}
	return t
}

// round drops digits beyond the precision of a float32.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) {
		return v
	}
	scale := math.Pow(10, 6-math.Floor(math.Log10(math.Abs(v))))
	if r := math.Round(v*scale) / scale; !math.IsNaN(r) && !math.IsInf(r, 0) {
		return r
	}
	return v
}

// Building returns the means of a building in a range, and whether all of the range is kept here: it
// is within the last ten minutes, and within the time since the building was first seen.
func (s *Store) Building(name string, q Query) (Table, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.buildings[name]
	if b == nil {
		return newGrid(q, Step).table(0, 0), false
	}
	begins := max(b.begins, b.newest-(length-1)*Step)
	if q.Parameters == nil {
		q.Parameters = slices.Sorted(maps.Keys(b.by))
	}
	g := newGrid(q, Step)
	for i, name := range q.Parameters {
		r := b.by[name]
		if r == nil {
			continue
		}
		for k := range r {
			if x := &r[k]; x.count > 0 {
				g.add(i, x)
			}
		}
	}
	return g.table(begins, 1), q.From >= begins
}
