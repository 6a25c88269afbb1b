package alarm

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// measure returns the quantity of a condition in this reading, in the unit of its limit,
// and whether it is known: a reading may lack the signal, a room may be unknown.
func (x *step) measure(c *cond) (float64, bool) {
	f := x.value(c.signal)
	if f == nil || (f.kind == telemetry.Bool) != (c.look == atSwitch) {
		return 0, false
	}
	v := f.v
	switch c.look {
	case atRate:
		return x.rate(c, v)
	case atStill:
		return float64(x.ts - x.s.still(c.signal).Since), true
	case atRoom:
		if x.in.Room == nil {
			return 0, false
		}
		room := x.in.Room.Of(c.Parameter)
		switch {
		case room.Count < c.Sensors:
			return 0, false
		case c.Mean:
			return v - room.Mean, true
		default:
			return v - room.Median, true
		}
	default:
		return v, true
	}
}

// holds reports whether a condition holds with v; was is whether it has held, in which
// case the deadband applies.
func (c *cond) holds(v float64, was bool) bool {
	switch c.look {
	case atStill:
		return v >= float64(c.span)
	case atSwitch:
		return (v != 0) == c.On
	default:
		if was {
			return c.fold.score(v) > c.back
		}
		return c.fold.score(v) > c.limit
	}
}

// truth returns which conditions of a rule hold, a bit each, and whether the rule does. A
// condition that this reading has no value for keeps its prior bit. back is set for an
// alarm: the deadband applies.
func (x *step) truth(r *rule, prior uint8, back bool) (now uint8, holds bool) {
	for i := range r.n {
		was := prior&(1<<i) != 0
		on := was
		if v, known := x.measure(&r.conds[i]); known {
			on = r.conds[i].holds(v, back && was)
		}
		if on {
			now |= 1 << i
		}
	}
	if r.n > 1 && r.Combine == And {
		return now, now == 3
	}
	return now, now != 0
}

// shown returns the current value of an alarm: the measured quantity, but for a stuck
// sensor its value.
func (x *step) shown(c *cond, v float64) float64 {
	if c.look == atStill {
		return x.raw(c)
	}
	return v
}

// raw returns the value of a condition's signal in this reading, 0 when it has none.
func (x *step) raw(c *cond) float64 {
	if f := x.value(c.signal); f != nil {
		return f.v
	}
	return 0
}

// firstOffset returns the offset of the first reading that a condition was judged by.
func (x *step) firstOffset(c *cond) int64 {
	switch c.look {
	case atStill:
		if st := x.s.still(c.signal); st != nil {
			return st.Offset
		}
	case atRate:
		if p := x.base(c); p != nil {
			return p.Offset
		}
	default:
	}
	return x.in.Offset
}

// track updates the history that conditions need.
func (x *step) track() {
	for i := range x.fresh[:x.n] {
		f := &x.fresh[i]
		s := &x.rules.signals.list[f.signal]
		if f.kind == telemetry.Bool {
			continue
		}
		if s.watched {
			x.trackStill(f, s)
		}
		for _, k := range s.rates {
			r := &x.rules.rules[k]
			if !x.governs(r) {
				continue
			}
			for n := range r.n {
				if c := &r.conds[n]; c.look == atRate && c.signal == int(f.signal) {
					x.trackRate(c, f.v)
				}
			}
		}
	}
}

// trackStill tracks since when a value has been the same. A long pause restarts the time,
// since a silent sensor is not stuck; one that was stuck already stays so. Progress is
// kept, so that a restart costs at most a quarter of the time.
func (x *step) trackStill(f *value, s *signal) {
	ts, bounds := x.ts, &s.still
	st := x.s.still(int(f.signal))
	if st == nil {
		past := x.s.remember()
		past.stills = append(slices.Clip(past.stills), still{signal: f.signal})
		st = &past.stills[len(past.stills)-1]
	}
	paused := ts-st.At > bounds.gap && st.At-st.Since < bounds.shortest
	if st.Since == 0 || f.v != st.Value || paused || ts < st.At {
		*st = still{signal: f.signal, Value: f.v, Since: ts, At: ts, Offset: x.in.Offset}
		return
	}
	quarter := (ts-st.Since)/bounds.gap != (st.At-st.Since)/bounds.gap
	x.keep = x.keep || quarter && st.At-st.Since < bounds.longest
	st.At = ts
}

// trackRate keeps a value for the rate of change, one for each part of the window.
func (x *step) trackRate(c *cond, v float64) {
	ts, past := x.ts, x.s.remember()
	i := x.window(c.key)
	var w rate
	if i >= 0 {
		w = past.rates[i]
	}
	if w.N > 0 {
		if since := ts - w.Points[w.N-1].At; since >= 0 && since < c.span/ratePoints {
			return
		}
	}
	n := rate{Rule: c.key}
	for _, p := range w.Points[:w.N] {
		if p.At >= ts-c.span && p.At < ts {
			n.Points[n.N] = p
			n.N++
		}
	}
	if n.N > ratePoints {
		copy(n.Points[:], n.Points[1:])
		n.N--
	}
	n.Points[n.N] = point{At: ts, Value: v, Offset: x.in.Offset}
	n.N++
	if i < 0 {
		past.rates = append(x.rules.used(past.rates), n)
		return
	}
	past.rates[i] = n
}

// used returns a copy of windows without those whose rule was removed.
func (rs *Rules) used(windows []rate) []rate {
	kept := make([]rate, 0, len(windows)+1)
	for _, w := range windows {
		for _, n := range rs.rates {
			if r := &rs.rules[n]; r.conds[0].key == w.Rule || r.n > 1 && r.conds[1].key == w.Rule {
				kept = append(kept, w)
				break
			}
		}
	}
	return kept
}

func (x *step) window(key string) int {
	if x.s.past != nil {
		for i := range x.s.past.rates {
			if x.s.past.rates[i].Rule == key {
				return i
			}
		}
	}
	return -1
}

// base returns the oldest value in the window before this reading, nil when there is
// none.
func (x *step) base(c *cond) *point {
	if i := x.window(c.key); i >= 0 {
		w := &x.s.past.rates[i]
		for k := range w.N {
			if p := &w.Points[k]; p.At >= x.ts-c.span && p.At < x.ts {
				return p
			}
		}
	}
	return nil
}

// rate returns the rate of change over the window; it is known when the values cover at
// least half of the window.
func (x *step) rate(c *cond, v float64) (float64, bool) {
	p := x.base(c)
	if p == nil {
		return 0, false
	}
	took := x.ts - p.At
	if took < c.span/2 {
		return 0, false
	}
	return (v - p.Value) / float64(took) * c.per, true
}
