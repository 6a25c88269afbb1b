package remote

import (
	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// tally is what a step knows of a sensor.
type tally struct {
	n                   int64
	min, max, sum, last float64
	lastAt              int64 // ms, if several series share a sensor
}

func (t *tally) add(o tally) {
	switch {
	case o.n == 0:
		return
	case t.n == 0:
		*t = o
		return
	case o.lastAt >= t.lastAt:
		t.last, t.lastAt = o.last, o.lastAt
	}
	t.n += o.n
	t.min, t.max = min(t.min, o.min), max(t.max, o.max)
	t.sum += o.sum
}

// grid has the steps of a device.
type grid struct {
	step, first int64 // width in ms, number of the first step
	readings    []int64
	by          map[samples.Field]*lane
	chosen      map[string]samples.Field // by name, where the newest readings say it
}

// lane is one field of a grid.
type lane struct {
	steps  []tally
	newest int // the last step with a value
}

func newGrid(from, to, step int64) *grid {
	return &grid{
		step: step, first: from / step, readings: make([]int64, to/step-from/step+1),
		by: make(map[samples.Field]*lane), chosen: make(map[string]samples.Field),
	}
}

// add adds what a series has in the step at a time.
func (g *grid) add(f samples.Field, at int64, t tally) {
	i := int(at/g.step - g.first)
	if i < 0 || i >= len(g.readings) || t.n == 0 {
		return
	}
	g.readings[i] = max(g.readings[i], t.n)
	if f.Kind == telemetry.Text {
		return
	}
	l := g.by[f]
	if l == nil {
		l = &lane{steps: make([]tally, len(g.readings))}
		g.by[f] = l
	}
	l.steps[i].add(t)
	l.newest = max(l.newest, i)
}

// tail returns the start of the newest steps that have enough readings to show the usual time between
// two.
func (g *grid) tail() (at int64, some bool) {
	n := int64(0)
	for i := len(g.readings) - 1; i >= 0 && n <= enough; i-- {
		if g.readings[i] > 0 {
			n += g.readings[i]
			at, some = (g.first+int64(i))*g.step, true
		}
	}
	return at, some
}

// interval estimates the usual time between two readings from the fullest step, 0 if there is none.
func (g *grid) interval(want func(samples.Field) bool) int64 {
	most := int64(0)
	for f, l := range g.by {
		for i := range l.steps {
			if want(f) {
				most = max(most, l.steps[i].n)
			}
		}
	}
	if most == 0 {
		return 0
	}
	return g.step / most
}

// choose says in which unit the newest value of a sensor is.
func (g *grid) choose(f samples.Field) { g.chosen[f.Name] = f }

// fill sets the times and values of a series.
func (g *grid) fill(want func(samples.Field) bool, s *history.Series) {
	kept := g.kept(want)
	for i, ok := range kept {
		if ok {
			s.Time = append(s.Time, (g.first+int64(i))*g.step)
		}
	}
	newest := make(map[string]int)
	for f, l := range g.by {
		if !want(f) {
			continue
		}
		was, other := newest[f.Name]
		if chosen, ok := g.chosen[f.Name]; ok && chosen != f || other && l.newest <= was {
			continue
		}
		newest[f.Name] = l.newest
		s.Values[f.Name] = column(f.Unit, l, kept, len(s.Time))
	}
}

// kept returns which steps have a wanted value.
func (g *grid) kept(want func(samples.Field) bool) []bool {
	kept := make([]bool, len(g.readings))
	for f, l := range g.by {
		for i := range l.steps {
			kept[i] = kept[i] || l.steps[i].n > 0 && want(f)
		}
	}
	return kept
}

func column(unit string, l *lane, kept []bool, n int) history.Column {
	c := history.NewColumn(unit, n)
	for i, ok := range kept {
		if ok {
			t := &l.steps[i]
			c.Add(t.n, t.sum, t.min, t.max, t.last)
		}
	}
	return c
}
