package archive

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"math"
	"slices"

	"industrial-iot-monitor/core/internal/samples"
	"industrial-iot-monitor/internal/history"
)

// meansSchema has the courses of buildings: a row for each hour, in a compacted file one for the day.
const meansSchema = `
create table if not exists means (building text not null, hour integer not null, layout integer not null, data blob not null, primary key (building, hour)) without rowid, strict;
`

// minutesOfDay returns the minutes of a day.
func minutesOfDay(number int64) (from, to int64) {
	return number * dayMS / minuteMS, (number + 1) * dayMS / minuteMS
}

// days adds the days that the sums belong to.
func (m *means) days(to map[int64][]blockID) {
	for _, b := range m.buildings {
		for _, s := range b.sensors {
			for minute := range s.minutes {
				if n := minute * minuteMS / dayMS; to[n] == nil {
					to[n] = []blockID{}
				}
			}
		}
	}
}

// addMeans adds the sums of a day to its file.
func (a *Archive) addMeans(w *writer, m *means, number int64) error {
	from, to := minutesOfDay(number)
	for _, b := range m.buildings {
		for hour := from; hour < to; hour += hourMS / minuteMS {
			if block := b.block(hour, hour+hourMS/minuteMS); block != nil {
				if err := a.addHour(w, b.name, hour*minuteMS/hourMS, block); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// addHour adds sums to the row of a building and an hour.
func (a *Archive) addHour(w *writer, name string, hour int64, block *samples.Block) error {
	all := &building{name, make(map[samples.Field]*sums)}
	all.addBlock(block)
	var c chunk
	err := w.tx.QueryRowContext(w.ctx, `select layout, data from means where building = ? and hour = ?`, name, hour).Scan(&c.layout, &c.data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	default:
		layouts, err := layoutsOf(w.ctx, w.tx)
		if err != nil {
			return err
		}
		old := new(samples.Block)
		if err := a.decodeInto(old, []chunk{c}, layouts, nil); err != nil {
			return err
		}
		all.addBlock(old)
	}
	return w.putMeans(all, hour, a.encoder)
}

// putMeans writes all minutes of a building as the row of an hour.
func (w *writer) putMeans(b *building, hour int64, e *samples.Encoder) error {
	from, to := b.extent()
	block := b.block(from, to+1)
	layout, err := w.layouts.of(block.Fields())
	if err != nil {
		return err
	}
	_, err = w.tx.ExecContext(w.ctx, `insert or replace into means (building, hour, layout, data) values (?, ?, ?, ?)`, b.name, hour, layout, e.Append(nil, block))
	return err
}

// extent returns the first and the last minute.
func (b *building) extent() (first, last int64) {
	first = math.MaxInt64
	for _, s := range b.sensors {
		for minute := range s.minutes {
			first, last = min(first, minute), max(last, minute)
		}
	}
	return first, last
}

// addBlock adds a stored course.
func (b *building) addBlock(block *samples.Block) {
	n := len(meanParts)
	for k := 0; k+n <= len(block.Columns); k += n {
		f := block.Columns[k].Field
		f.Name = plainName(f.Name)
		s := b.sensors[f]
		if s == nil {
			s = &sums{f, make(map[int64]*sum)}
			b.sensors[f] = s
		}
		for i, at := range block.Times {
			if x := storedSum(block.Columns[k:k+n], i); x.ms > 0 {
				s.at(at / minuteMS).add(x)
			}
		}
	}
}

// meansOf merges the stored courses of a building, or of all with an empty name, into to.
func (a *Archive) meansOf(ctx context.Context, q queryer, name string, want func(samples.Field) bool, to map[string]*building) error {
	layouts, err := layoutsOf(ctx, q)
	if err != nil {
		return err
	}
	return each(ctx, q, func(scan func(...any) error) error {
		var of string
		var c chunk
		if err := scan(&of, &c.layout, &c.data); err != nil {
			return err
		}
		block := new(samples.Block)
		if err := a.decodeInto(block, []chunk{c}, layouts, want); err != nil {
			return err
		}
		b := to[of]
		if b == nil {
			b = &building{of, make(map[samples.Field]*sums)}
			to[of] = b
		}
		b.addBlock(block)
		return nil
	}, `select building, layout, data from means where ? in ('', building)`, name)
}

// meansCourse returns the minutes of a building and a day, from its file and from memory.
func (a *Archive) meansCourse(ctx context.Context, d *day, name string, want func(samples.Field) bool) (*building, error) {
	all := map[string]*building{name: {name, make(map[samples.Field]*sums)}}
	from, to := minutesOfDay(d.number)
	b, now := all[name], a.now().UnixMilli()
	// A flush in between would move sums from memory to the file, and they would count twice.
	end, err := a.beginFlush(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	for _, h := range a.allHeads() {
		h.addMeans(b, now, from, to, want)
	}
	return b, a.use(ctx, d, func() error { return a.meansOf(ctx, d.db, name, wantCourses(want), all) })
}

// addMeans adds what a head has of a building's minutes to b.
func (h *Head) addMeans(b *building, now, from, to int64, want func(samples.Field) bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	add := func(f samples.Field, minute int64, x sum) {
		if minute < from || minute >= to || !want(f) {
			return
		}
		s := b.sensors[f]
		if s == nil {
			s = &sums{f, make(map[int64]*sum)}
			b.sensors[f] = s
		}
		s.at(minute).add(x)
	}
	if own := h.means.buildings[b.name]; own != nil {
		for _, s := range own.sensors {
			for minute, x := range s.minutes {
				add(s.field, minute, *x)
			}
		}
	}
	for _, d := range h.devices {
		if d.building == b.name && d.chains.newest.at != 0 {
			d.chains.newest.open(now, add)
		}
	}
}

// building returns the course of a building's means, in steps of whole minutes.
func (a *Archive) building(ctx context.Context, name string, q *history.Query) (*history.Series, error) {
	step := q.Step
	if step == 0 {
		step = history.StepFor(q.From, q.To, q.Points)
	}
	step = (step + minuteMS - 1) / minuteMS * minuteMS
	want := func(f samples.Field) bool { return q.Parameters == nil || slices.Contains(q.Parameters, f.Name) }
	s := &history.Series{Building: name, StepMS: step, IntervalMS: minuteMS, Time: []int64{}, Values: map[string]history.Column{}}
	lanes := make(map[string]map[int64]*sum)
	units := make(map[string]string)
	for _, d := range a.between(q.From/dayMS, q.To/dayMS) {
		b, err := a.meansCourse(ctx, d, name, want)
		if err != nil {
			return nil, err
		}
		for f, sensor := range b.sensors {
			steps := lanes[f.Name]
			if steps == nil || units[f.Name] != f.Unit {
				steps = make(map[int64]*sum)
				lanes[f.Name], units[f.Name] = steps, f.Unit
			}
			for minute, x := range sensor.minutes {
				if at := minute * minuteMS; at >= q.From-q.From%minuteMS && at <= q.To {
					at -= at % step
					if steps[at] == nil {
						steps[at] = new(sum)
					}
					steps[at].add(*x)
				}
			}
		}
	}
	a.fillMeans(s, lanes, units)
	var err error
	s.Begins, err = a.buildingBegins(ctx, name)
	return s, err
}

// fillMeans sets the times and values of a building's series. N is how many devices there were, on
// average.
func (a *Archive) fillMeans(s *history.Series, lanes map[string]map[int64]*sum, units map[string]string) {
	times := make(map[int64]bool)
	for _, steps := range lanes {
		for at := range steps {
			times[at] = true
		}
	}
	s.Time = slices.AppendSeq(s.Time, maps.Keys(times))
	slices.Sort(s.Time)
	now := a.now().UnixMilli()
	for name, steps := range lanes {
		c := history.Column{Unit: units[name]}
		for _, at := range s.Time {
			n, mean := int64(0), math.NaN()
			lowest, highest := mean, mean
			if x := steps[at]; x != nil && x.ms > 0 {
				n = max(1, int64(math.Round(float64(x.ms)/float64(max(1, min(s.StepMS, now-at))))))
				mean, lowest, highest = x.product/float64(x.ms), x.min, x.max
			}
			c.N = append(c.N, n)
			c.Mean, c.Min, c.Max = append(c.Mean, mean), append(c.Min, lowest), append(c.Max, highest)
		}
		s.Values[name] = c
	}
}

// buildingBegins returns the oldest minute of a building's means in ms, 0 if there are none.
func (a *Archive) buildingBegins(ctx context.Context, name string) (int64, error) {
	for _, d := range a.all() {
		b, err := a.meansCourse(ctx, d, name, func(samples.Field) bool { return true })
		if err != nil {
			return 0, err
		}
		if first, _ := b.extent(); first != math.MaxInt64 {
			return first * minuteMS, nil
		}
	}
	return 0, nil
}

// meansOfDay writes the courses of a whole day, a row for each building, into a new file.
func (c *compaction) meansOfDay(ctx context.Context, w *writer, number int64) error {
	all := make(map[string]*building)
	if err := c.a.meansOf(ctx, c.from, "", nil, all); err != nil {
		return err
	}
	for _, b := range all {
		if err := w.putMeans(b, number*dayMS/hourMS, c.encoder); err != nil {
			return err
		}
	}
	return nil
}
