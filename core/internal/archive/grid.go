package archive

import (
	"math"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// grid adds readings up in steps of equal width. They come in the order of time.
type grid struct {
	step, first int64 // width in ms, number of the first step
	length      int
	seen        []bool
	by          map[string]*lane
}

// lane is one sensor of a grid.
type lane struct {
	unit  string
	steps []tally
}

func newGrid(from, to, step int64) *grid {
	length := int(to/step - from/step + 1)
	return &grid{step: step, first: from / step, length: length, seen: make([]bool, length), by: make(map[string]*lane)}
}

// lane returns that of a sensor. Values of another unit than before replace those before.
func (g *grid) lane(f samples.Field) *lane {
	name := plainName(f.Name)
	l := g.by[name]
	if l == nil || l.unit != f.Unit {
		l = &lane{unit: f.Unit, steps: make([]tally, g.length)}
		g.by[name] = l
	}
	return l
}

// readings adds a sorted block.
func (g *grid) readings(b *samples.Block) {
	index := make([]int32, len(b.Times))
	for i, at := range b.Times {
		index[i] = int32(at/g.step - g.first)
	}
	for _, c := range samples.Newest(b.Columns) {
		l := g.lane(c.Field)
		for i, v := range c.Numbers {
			if !math.IsNaN(v) {
				g.seen[index[i]] = true
				l.steps[index[i]].value(v)
			}
		}
	}
}

// value adds one value.
func (t *tally) value(v float64) {
	if t.n == 0 {
		*t = tally{1, v, v, v, v}
		return
	}
	t.n++
	t.sum += v
	t.last = v
	if v < t.min {
		t.min = v
	}
	if v > t.max {
		t.max = v
	}
}

// course adds a roll-up.
func (g *grid) course(b *samples.Block) {
	n := len(parts)
	for k := 0; k+n <= len(b.Columns); k += n {
		l := g.lane(b.Columns[k].Field)
		for i, at := range b.Times {
			step := at/g.step - g.first
			if t := courseTally(b.Columns[k:k+n], i); t.n > 0 {
				g.seen[step] = true
				l.steps[step].add(t)
			}
		}
	}
}

// fill sets the times and values of a series.
func (g *grid) fill(s *history.Series) {
	for i, seen := range g.seen {
		if seen {
			s.Time = append(s.Time, (g.first+int64(i))*g.step)
		}
	}
	for name, l := range g.by {
		s.Values[name] = g.column(l, len(s.Time))
	}
	if s.IntervalMS == 0 {
		s.IntervalMS = g.interval()
	}
}

func (g *grid) column(l *lane, n int) history.Column {
	c := history.NewColumn(l.unit, n)
	for i, seen := range g.seen {
		if seen {
			t := &l.steps[i]
			c.Add(t.n, t.sum, t.min, t.max, t.last)
		}
	}
	return c
}

// interval estimates the usual time between two readings from the fullest step.
func (g *grid) interval() int64 {
	most := int64(0)
	for _, l := range g.by {
		for i := range l.steps {
			most = max(most, l.steps[i].n)
		}
	}
	if most == 0 {
		return 0
	}
	return g.step / most
}
