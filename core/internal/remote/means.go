package remote

import (
	"context"
	"slices"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// meansStep is the width, in ms, of the shortest steps of a building. The engine works the means out when
// it is asked, from the values in each step alone: in shorter steps devices that seldom report would come
// and go, and the mean would jump with them.
const meansStep = 600_000

// building returns the means of a building: of all devices with values in a step the mean of their means,
// the lowest and the highest value, and how many devices there are.
func (k *Keeper) building(ctx context.Context, name string, q *history.Query) (*history.Series, error) {
	step := q.Step
	if step == 0 {
		step = history.StepFor(q.From, q.To, q.Points)
	}
	step = (step + meansStep - 1) / meansStep * meansStep
	s := &history.Series{Building: name, StepMS: step, IntervalMS: meansStep, Time: []int64{}, Values: map[string]history.Column{}}
	var err error
	if s.Begins, err = k.remember("building "+name, func() (int64, error) { return k.engine.founded(ctx, name) }); err != nil || s.Begins == 0 {
		return s, err
	}
	g := newGrid(q.From, q.To, step)
	if err := k.engine.means(ctx, name, q.From, q.To, step, g.add); err != nil {
		return nil, err
	}
	g.fill(func(f samples.Field) bool {
		return f.Kind != telemetry.Text && (q.Parameters == nil || slices.Contains(q.Parameters, f.Name))
	}, s)
	for sensor, c := range s.Values {
		c.Last = nil
		s.Values[sensor] = c
	}
	return s, nil
}
