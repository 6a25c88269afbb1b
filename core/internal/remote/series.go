package remote

import (
	"context"
	"math"
	"slices"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// course is the values of one series.
type course struct {
	field  samples.Field
	text   string // the value, of a text
	times  []int64
	values []float64
}

// assemble puts courses together to a sorted block.
func assemble(list []course) *samples.Block {
	b := new(samples.Block)
	for i := range list {
		b.Times = append(b.Times, list[i].times...)
	}
	slices.Sort(b.Times)
	b.Times = slices.Compact(b.Times)
	for i := range list {
		list[i].into(b)
	}
	b.Sort() // they are; it notes so
	return b
}

func (c *course) into(b *samples.Block) {
	k := slices.IndexFunc(b.Columns, func(o samples.Column) bool { return o.Field == c.field })
	if k < 0 {
		k = len(b.Columns)
		b.Columns = append(b.Columns, emptyColumn(c.field, len(b.Times)))
	}
	column, at := &b.Columns[k], 0
	for i, t := range c.times {
		for b.Times[at] < t {
			at++
		}
		if c.field.Kind == telemetry.Text {
			column.Texts[at] = c.text
		} else {
			column.Numbers[at] = c.values[i]
		}
	}
}

func emptyColumn(f samples.Field, n int) samples.Column {
	if f.Kind == telemetry.Text {
		return samples.Column{Field: f, Texts: make([]string, n)}
	}
	c := samples.Column{Field: f, Numbers: make([]float64, n)}
	for i := range c.Numbers {
		c.Numbers[i] = math.NaN()
	}
	return c
}

// Series returns the course of each device and building of a query that was checked.
func (k *Keeper) Series(ctx context.Context, q *history.Query) (*history.Answer, error) {
	return history.Collect(ctx, q, k.series, k.building)
}

func (k *Keeper) series(ctx context.Context, device string, q *history.Query) (*history.Series, error) {
	s := &history.Series{DeviceID: device, StepMS: q.Step, Time: []int64{}, Values: map[string]history.Column{}}
	var err error
	if s.Begins, err = k.Begins(ctx, device); err != nil {
		return nil, err
	}
	want := func(f samples.Field) bool {
		return f.Kind != telemetry.Text && (q.Parameters == nil || slices.Contains(q.Parameters, f.Name))
	}
	if s.StepMS == 0 {
		b, err := k.few(ctx, device, q)
		if err != nil {
			return nil, err
		}
		if b != nil {
			single(b.Pick(want), s)
			return s, nil
		}
		s.StepMS = history.StepFor(q.From, q.To, q.Points)
	}
	return s, k.stepped(ctx, device, want, q, s)
}

// few returns the readings of a device if there are no more than a query wants points, else nil.
func (k *Keeper) few(ctx context.Context, device string, q *history.Query) (*samples.Block, error) {
	n, err := k.engine.count(ctx, device, q.From, q.To)
	if err != nil || n > int64(q.Points) {
		return nil, err
	}
	list, err := k.engine.readings(ctx, device, q.From, q.To)
	if err != nil {
		return nil, err
	}
	if b := assemble(list); b.Len() <= q.Points {
		return b, nil
	}
	return nil, nil //nolint:nilnil // documented
}

// single sets s to single readings.
func single(b samples.Block, s *history.Series) {
	s.IntervalMS = samples.UsualInterval(b.Times)
	s.Time = append(s.Time, b.Times...)
	for _, c := range samples.Newest(b.Columns) {
		s.Values[c.Name] = history.Column{Unit: c.Unit, Mean: c.Numbers}
	}
}

const enough = 256 // readings that show the usual time between two

// stepped sets s to steps of its width.
func (k *Keeper) stepped(ctx context.Context, device string, want func(samples.Field) bool, q *history.Query, s *history.Series) error {
	g := newGrid(q.From, q.To, s.StepMS)
	if err := k.engine.steps(ctx, device, q.From, q.To, s.StepMS, g.add); err != nil {
		return err
	}
	if since, some := g.tail(); some {
		list, err := k.engine.readings(ctx, device, max(q.From, since), q.To)
		if err != nil {
			return err
		}
		end := assemble(list)
		s.IntervalMS = samples.UsualInterval(end.Times)
		numbers := end.Pick(want)
		for _, c := range samples.Newest(numbers.Columns) {
			g.choose(c.Field)
		}
	}
	if s.IntervalMS == 0 {
		s.IntervalMS = g.interval(want)
	}
	g.fill(want, s)
	return nil
}
