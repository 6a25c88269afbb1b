package archive

import (
	"context"
	"math"

	"industrial-iot-monitor/core/internal/samples"
)

// Values returns the values of an entry on the first day that has some from one time to another in ms,
// both inclusive, in the order of time, and the time from which to ask for more. There are none behind
// the last.
func (a *Archive) Values(ctx context.Context, e *Entry, from, to int64) (times []int64, values []float64, next int64, err error) {
	end := to + 1
	from, to = max(from, e.From), min(to, e.To)
	want := func(f samples.Field) bool { return f.Name == e.Sensor && f.Unit == e.Unit && numeric(f) }
	for _, d := range a.between(from/dayMS, to/dayMS) {
		b, err := a.block(ctx, d, e.Device, from, to, want)
		if err != nil {
			return nil, nil, 0, err
		}
		if times, values = valuesOf(b); len(times) > 0 {
			return times, values, d.start() + dayMS, nil
		}
	}
	return nil, nil, end, nil
}

// valuesOf returns the values of a block whose columns are one entry's: a sensor that became a switch
// has two.
func valuesOf(b *samples.Block) (times []int64, values []float64) {
	times, values = make([]int64, 0, b.Len()), make([]float64, 0, b.Len())
	for i, at := range b.Times {
		for k := range b.Columns {
			if v := b.Columns[k].Numbers[i]; !math.IsNaN(v) {
				times, values = append(times, at), append(values, v)
				break
			}
		}
	}
	return times, values
}
