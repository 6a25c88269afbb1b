package archive

import (
	"context"
	"slices"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// Series returns the course of each device and building of a query that was checked.
func (a *Archive) Series(ctx context.Context, q *history.Query) (*history.Answer, error) {
	return history.Collect(ctx, q, a.series, a.building)
}

func (a *Archive) series(ctx context.Context, device string, q *history.Query) (*history.Series, error) {
	days := a.between(q.From/dayMS, q.To/dayMS)
	want := func(f samples.Field) bool {
		return numeric(f) && (q.Parameters == nil || slices.Contains(q.Parameters, f.Name))
	}
	s := &history.Series{DeviceID: device, StepMS: q.Step, Time: []int64{}, Values: map[string]history.Column{}}
	few := false
	var err error
	if s.StepMS == 0 {
		if few, err = a.few(ctx, days, device, q); err != nil {
			return nil, err
		}
	}
	if few {
		err = a.single(ctx, days, device, want, q, s)
	} else {
		if s.StepMS == 0 {
			s.StepMS = history.StepFor(q.From, q.To, q.Points)
		}
		err = a.stepped(ctx, days, device, want, q, s)
	}
	if err != nil {
		return nil, err
	}
	s.Begins, err = a.Begins(ctx, device) // last: it is at most the first time in the answer
	return s, err
}

// Begins returns when the oldest reading of a device was taken that is kept, in ms, 0: none is.
func (a *Archive) Begins(ctx context.Context, device string) (int64, error) {
	at, err := a.catalogue.begins(ctx, device)
	if err != nil {
		return 0, err
	}
	for _, h := range a.allHeads() {
		if k := h.begins(device); k != 0 && (at == 0 || k < at) {
			at = k
		}
	}
	if days := a.all(); at != 0 && len(days) > 0 {
		at = max(at, days[0].start())
	}
	return at, nil
}

func (h *Head) begins(device string) int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if d := h.devices[device]; d != nil {
		return d.begins
	}
	return 0
}

// few reports whether a device has no more readings than a query wants points.
func (a *Archive) few(ctx context.Context, days []*day, device string, q *history.Query) (bool, error) {
	total := 0
	for _, d := range days {
		n, err := a.rows(ctx, d, device, q.To)
		if err != nil {
			return false, err
		}
		if d.start() < q.From || d.start()+dayMS > q.To+1 { // part of the day
			b, err := a.block(ctx, d, device, q.From, q.To, func(samples.Field) bool { return false })
			if err != nil {
				return false, err
			}
			n = b.Len()
		}
		if total += n; total > q.Points {
			return false, nil
		}
	}
	return true, nil
}

// single sets s to single readings.
func (a *Archive) single(ctx context.Context, days []*day, device string, want func(samples.Field) bool, q *history.Query, s *history.Series) error {
	all := new(samples.Block)
	for _, d := range days {
		b, err := a.block(ctx, d, device, q.From, q.To, want)
		if err != nil {
			return err
		}
		all.Merge(b)
	}
	s.IntervalMS = samples.UsualInterval(all.Times)
	s.Time = append(s.Time, all.Times...)
	for _, c := range samples.Newest(all.Columns) {
		s.Values[c.Name] = history.Column{Unit: c.Unit, Mean: c.Numbers}
	}
	return nil
}

// stepped sets s to steps of its width.
func (a *Archive) stepped(ctx context.Context, days []*day, device string, want func(samples.Field) bool, q *history.Query, s *history.Series) error {
	g := newGrid(q.From, q.To, s.StepMS)
	width := widthFor(s.StepMS)
	for _, d := range days {
		whole := d.start() >= q.From && d.start()+dayMS <= q.To+1
		if width != 0 && whole {
			done, err := a.course(ctx, d, device, width, want, g)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		b, err := a.block(ctx, d, device, q.From, q.To, want)
		if err != nil {
			return err
		}
		g.readings(b)
		if n := samples.UsualInterval(b.Times); n > 0 {
			s.IntervalMS = n
		}
	}
	g.fill(s)
	return nil
}

// course adds the roll-up of a device's day to a grid, and reports whether there is one that has
// all its readings.
func (a *Archive) course(ctx context.Context, d *day, device string, width int64, want func(samples.Field) bool, g *grid) (done bool, err error) {
	for _, h := range a.allHeads() {
		if h.rows(blockID{device, d.number}) > 0 {
			return false, nil // late ones, not in the file yet
		}
	}
	b := new(samples.Block)
	err = a.use(ctx, d, func() error {
		list, err := chunksOf(ctx, d.db, `select layout, data from courses where device = (select id from devices where name = ?) and width = ?`, device, width)
		if err != nil || len(list) == 0 {
			return err
		}
		layouts, err := d.layouts.of(ctx, d.db, list)
		if err != nil {
			return err
		}
		return a.decodeInto(b, list, layouts, wantCourses(want))
	})
	if err != nil || b.Len() == 0 {
		return false, err
	}
	g.course(b)
	return true, nil
}
