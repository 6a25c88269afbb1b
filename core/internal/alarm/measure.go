package alarm

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// measure returns what a condition looks at in this reading, in the unit of its limit,
// and whether it is known: a reading need not have the signal, a room may be unknown.
func (x *step) measure(c *cond) (float64, bool) {
	if x.fresh&(1<<c.Signal) == 0 {
		return 0, false
	}
	v := x.vals.v[c.Signal]
	switch c.look {
	case atRate:
		return x.rate(c, v)
	case atStill:
		return float64(x.r.Timestamp - x.s.still[c.Signal].Since), true
	case atRoom:
		if x.in.Room == nil || x.in.Room[c.Signal].Count < c.Sensors {
			return 0, false
		}
		if c.Mean {
			return v - x.in.Room[c.Signal].Mean, true
		}
		return v - x.in.Room[c.Signal].Median, true
	default:
		return v, true
	}
}

// holds reports whether a condition holds with v, and with was, whether it still does
// after it has held.
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

// truth returns which conditions of a rule hold, a bit each, and whether the rule does.
// What this reading says nothing about is as it was before. back is for an alarm: it
// makes the deadband count.
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

// shown returns the current value of an alarm: what was measured, but of a value that
// is stuck the value.
func (x *step) shown(c *cond, v float64) float64 {
	if c.look == atStill {
		return x.vals.v[c.Signal]
	}
	return v
}

// firstOffset returns where the readings begin that a condition was judged by.
func (x *step) firstOffset(c *cond) int64 {
	switch c.look {
	case atStill:
		return x.s.still[c.Signal].Offset
	case atRate:
		if p := x.base(c); p != nil {
			return p.Offset
		}
	default:
	}
	return x.in.Offset
}

// track keeps up what conditions need of earlier readings.
func (x *step) track() {
	ts := x.r.Timestamp
	if watched := x.rules.still & x.fresh; watched != 0 {
		for p := range telemetry.NumAnalog {
			if watched&(1<<p) != 0 {
				x.trackStill(p, ts)
			}
		}
	}
	for _, n := range x.rules.rates {
		r := &x.rules.rules[n]
		if x.fresh&r.mask == 0 || !x.governs(r) {
			continue
		}
		for i := range r.n {
			if c := &r.conds[i]; c.look == atRate && x.fresh&(1<<c.Signal) != 0 {
				x.trackRate(c, ts)
			}
		}
	}
}

// trackStill notes since when a value is the same. A long pause starts it anew, as who
// sends nothing is not stuck; but what was stuck already stays so. Part of the way is
// worth keeping, so that a restart costs at most a quarter of the time.
func (x *step) trackStill(p telemetry.Parameter, ts int64) {
	st, watch := &x.s.still[p], &x.rules.watch[p]
	paused := ts-st.At > watch.gap && st.At-st.Since < watch.shortest
	if st.Since == 0 || x.vals.v[p] != st.Value || paused || ts < st.At {
		*st = still{Value: x.vals.v[p], Since: ts, At: ts, Offset: x.in.Offset}
		return
	}
	quarter := (ts-st.Since)/watch.gap != (st.At-st.Since)/watch.gap
	x.keep = x.keep || quarter && st.At-st.Since < watch.longest
	st.At = ts
}

// trackRate notes a value for the rate of change, one for each part of the window.
func (x *step) trackRate(c *cond, ts int64) {
	i := x.window(c.key)
	var w rate
	if i >= 0 {
		w = x.s.rates[i]
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
	n.Points[n.N] = point{At: ts, Value: x.vals.v[c.Signal], Offset: x.in.Offset}
	n.N++
	if i < 0 {
		x.s.rates = append(x.rules.used(x.s.rates), n)
		return
	}
	x.s.rates = slices.Clone(x.s.rates)
	x.s.rates[i] = n
}

// used returns a copy of windows without those whose rule is gone.
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
	for i := range x.s.rates {
		if x.s.rates[i].Rule == key {
			return i
		}
	}
	return -1
}

// base returns the oldest value in the window before this reading, nil when there is
// none.
func (x *step) base(c *cond) *point {
	if i := x.window(c.key); i >= 0 {
		w := &x.s.rates[i]
		for k := range w.N {
			if p := &w.Points[k]; p.At >= x.r.Timestamp-c.span && p.At < x.r.Timestamp {
				return p
			}
		}
	}
	return nil
}

// rate returns the rate of change over the window; it is known when at least half of
// the window is.
func (x *step) rate(c *cond, v float64) (float64, bool) {
	p := x.base(c)
	if p == nil {
		return 0, false
	}
	took := x.r.Timestamp - p.At
	if took < c.span/2 {
		return 0, false
	}
	return (v - p.Value) / float64(took) * c.per, true
}
