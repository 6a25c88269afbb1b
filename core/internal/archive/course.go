package archive

import (
	"math"
	"slices"
	"strings"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/telemetry"
)

// widths are those of the roll-ups in ms, the widest first.
var widths = []int64{3_600_000, 60_000}

// worthwhile is how many readings a step must have on average for a roll-up to be smaller and
// faster to read than the readings.
const worthwhile = 4

// parts of a roll-up: for each field of the readings it has one column of each.
var parts = []string{".n", ".min", ".max", ".sum", ".last"}

// tally is what a step knows of a sensor.
type tally struct {
	n                   int64
	min, max, sum, last float64
}

func (t *tally) add(o tally) {
	if o.n == 0 {
		return
	}
	if t.n == 0 {
		*t = o
		return
	}
	t.n += o.n
	t.min, t.max = min(t.min, o.min), max(t.max, o.max)
	t.sum += o.sum
	t.last = o.last
}

// numeric reports whether a field can be added up.
func numeric(f samples.Field) bool { return f.Kind != telemetry.Text }

// rollUp returns the course of a sorted block in steps of a width, nil if it is not worthwhile.
func rollUp(b *samples.Block, width int64) *samples.Block {
	var starts []int64
	for _, at := range b.Times {
		if start := at - at%width; len(starts) == 0 || starts[len(starts)-1] != start {
			starts = append(starts, start)
		}
	}
	if len(b.Times) < worthwhile*len(starts) {
		return nil
	}
	out := &samples.Block{Times: starts}
	for i := range b.Columns {
		if numeric(b.Columns[i].Field) {
			out.Columns = append(out.Columns, courseOf(b.Times, &b.Columns[i], starts, width)...)
		}
	}
	return out
}

// courseOf returns the columns of one field.
func courseOf(times []int64, c *samples.Column, starts []int64, width int64) []samples.Column {
	tallies := make([]tally, len(starts))
	k := 0
	for i, at := range times {
		for at >= starts[k]+width {
			k++
		}
		if v := c.Numbers[i]; !math.IsNaN(v) {
			tallies[k].value(v)
		}
	}
	out := make([]samples.Column, len(parts))
	for p := range parts {
		f := c.Field
		f.Name += parts[p]
		out[p] = samples.Column{Field: f, Numbers: make([]float64, len(starts))}
	}
	for i := range tallies {
		for p, v := range tallies[i].values() {
			out[p].Numbers[i] = v
		}
	}
	return out
}

// values returns a tally in the order of parts.
func (t *tally) values() [5]float64 {
	if t.n == 0 {
		nan := math.NaN()
		return [5]float64{nan, nan, nan, nan, nan}
	}
	return [5]float64{float64(t.n), t.min, t.max, t.plainSum(), t.last}
}

// plainSum returns the sum without the digits that adding up left behind: values have few decimals,
// and so has their sum, which then takes less room.
func (t *tally) plainSum() float64 {
	tolerance := 4e-16 * float64(t.n) * max(math.Abs(t.min), math.Abs(t.max))
	scale := 1.0
	for range 7 {
		if r := math.Round(t.sum*scale) / scale; math.Abs(r-t.sum) <= tolerance {
			return r
		}
		scale *= 10
	}
	return t.sum
}

// wantCourses returns the filter of a roll-up's columns for a filter of fields.
func wantCourses(want func(samples.Field) bool) func(samples.Field) bool {
	return func(f samples.Field) bool {
		f.Name = plainName(f.Name)
		return want(f)
	}
}

func plainName(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}

// courseTally returns the tally at index i of a field of a roll-up, which has the columns in the order
// of parts.
func courseTally(columns []samples.Column, i int) tally {
	if math.IsNaN(columns[0].Numbers[i]) {
		return tally{}
	}
	return tally{
		n: int64(columns[0].Numbers[i]), min: columns[1].Numbers[i], max: columns[2].Numbers[i],
		sum: columns[3].Numbers[i], last: columns[4].Numbers[i],
	}
}

// widthFor returns the widest roll-up of which steps can be made, 0 if there is none.
func widthFor(step int64) int64 {
	i := slices.IndexFunc(widths, func(w int64) bool { return step%w == 0 })
	if i < 0 {
		return 0
	}
	return widths[i]
}
