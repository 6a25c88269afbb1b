package alarm

import (
	mathbits "math/bits"
	"slices"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// aheadBy bounds how far into the future of its receive time a reading may put its
// device. Without it, a clock that was minutes fast and then put right would make every
// reading look late until real time has caught up.
const aheadBy = 5_000

// Step judges one reading. It returns the new state, the transitions appended to dst, and
// whether the state changed in a way that must be persisted: a transition, a new peak, a
// delay that started, ended or got another value.
//
// Step takes s over: it updates the times in it in place, so that a reading costs no
// allocation. Use only the result, or give it a Clone.
//
// A signal that already has a reading of the same age or younger is skipped: a late
// reading neither raises nor clears. An incident in readings that waited too long is
// history: it is recorded when it ends, without a notification, unless a fresh reading
// shows that it still holds.
func (rs *Rules) Step(s State, in Input, dst []Transition) (State, []Transition, bool) {
	x := step{rules: rs, s: s, in: in, r: in.Reading, out: dst, quietUntil: s.Changed, detected: in.Now}
	if in.Now == 0 {
		x.detected = in.Received + in.Waited
	}
	x.ts = in.PlantTime()
	x.s.adopt(rs.signals)
	x.match()
	if x.n == 0 && x.ts <= x.s.seen {
		return x.s, x.out, false
	}
	if in.Restart {
		x.restart()
	}
	if x.s.mem != nil {
		x.adopt()
		x.advance(x.ts - 1)
		x.release()
	}
	x.track()
	x.judgeAll()
	x.s.Lag = max(in.Received+in.Waited-x.ts, 0)
	until := min(x.ts, in.Received+aheadBy)
	x.s.seen = max(until, x.s.seen)
	for i := range x.fresh[:x.n] {
		t := &x.s.tracks[x.fresh[i].track]
		t.last = max(until, t.last)
	}
	x.relate(x.ts)
	return x.end()
}

// judgeAll judges the rules about the new values.
func (x *step) judgeAll() {
	var few [4]uint64 // enough for most sets of rules
	rules := bits(few[:])
	if n := (len(x.rules.rules) + 63) / 64; n <= len(few) {
		rules = rules[:n]
	} else {
		rules = make(bits, n)
	}
	quiet := x.s.quiet()
	for i := range x.fresh[:x.n] {
		f := &x.fresh[i]
		s := &x.rules.signals.list[f.signal]
		rules.add(s.others)
		if !quiet || f.kind == telemetry.Number && (f.v < s.low || f.v > s.high) {
			rules.add(s.plain) // not so for nearly every reading
		}
	}
	// The worse of two limits comes first: its alarm explains the other.
	for i, word := range rules {
		x.judgeSome(i, word&x.rules.graver[i])
	}
	for i, word := range rules {
		x.judgeSome(i, word&^x.rules.graver[i])
	}
}

// judgeSome judges the rules in one word of a set.
func (x *step) judgeSome(i int, word uint64) {
	for ; word != 0; word &= word - 1 {
		r := &x.rules.rules[i*64+mathbits.TrailingZeros64(word)]
		if !r.plain || !x.within(&r.conds[0]) || x.s.engaged(r) {
			x.judge(r)
		}
	}
}

// within reports whether the reading's value is inside the limit of c.
func (x *step) within(c *cond) bool { return c.fold.score(x.raw(c)) <= c.limit }

// step processes one reading, tick, finding or command.
type step struct {
	rules      *Rules
	s          State
	in         Input
	r          *telemetry.Reading // in.Reading, nil except for a reading
	ts         int64              // plant time of r
	fresh      [maxValues]value   // the n values that are newer than those seen before
	n          int
	quietUntil int64
	detected   int64
	out        []Transition
	owned      bool // s.mem is a copy and may be written to
	keep       bool
}

func (x *step) end() (State, []Transition, bool) {
	if x.owned && x.s.mem.empty() {
		x.s.mem = nil
	}
	return x.s, x.out, x.keep
}

// own makes s.mem writable: until then it is shared with the caller's State.
func (x *step) own() *memory {
	switch {
	case x.owned:
	case x.s.mem == nil:
		x.s.mem = new(memory)
	default:
		x.s.mem = x.s.mem.clone()
	}
	x.owned = true
	return x.s.mem
}

// adopt fills in the device of alarms written by the first version.
func (x *step) adopt() {
	for i := range x.s.mem.Alarms {
		if x.s.mem.Alarms[i].DeviceID == "" {
			a := &x.own().Alarms[i]
			a.DeviceID, a.Location, a.Gateway = strings.Clone(x.r.DeviceID), own(x.r.Location), x.in.Gateway
		}
	}
}

// own returns l with its strings cloned: those of a reading keep its whole text in memory,
// which must not live as long as an alarm.
func own(l telemetry.Location) telemetry.Location {
	l.Building, l.Room = strings.Clone(l.Building), strings.Clone(l.Room)
	return l
}

// release clears alarms whose rule was removed or no longer applies to this device: an
// alarm must have a way out.
func (x *step) release() {
	for i := 0; i < len(x.s.mem.Alarms); {
		a := &x.s.mem.Alarms[i]
		if a.Source != telemetry.SourceRule || !a.holds() || x.ruled(a) {
			i++
			continue
		}
		v, text, fresh := x.parameter(a)
		if !fresh {
			i++
			continue
		}
		before := len(x.s.mem.Alarms)
		x.clear(i, x.ts, v, "the rule "+a.Rule+" is gone; "+text)
		i += 1 - (before - len(x.s.mem.Alarms)) // it may be removed
	}
}

// parameter returns the reading's value for the parameter of a, with a description; fresh
// is false if it has none, or none that is newer than those before. Rules need not judge
// the parameter any more.
func (x *step) parameter(a *Alarm) (v float64, text string, fresh bool) {
	name, list := a.Threshold.Parameter, x.rules.signals.list
	for i := range x.fresh[:x.n] {
		if f := &x.fresh[i]; list[f.signal].name == name {
			return f.v, describe(name, f.v, x.unit(f), f.kind), true
		}
	}
	if x.ts <= max(x.s.floor, a.LastSeen) || slices.ContainsFunc(x.rules.signals.names, func(n signalName) bool { return n.name == name }) {
		return 0, "", false
	}
	if m := x.r.Sensors.Find(name); m != nil && m.Kind != telemetry.Text && m.Status != telemetry.StatusUnitUnknown {
		return m.Number, describe(name, m.Number, m.Unit, m.Kind), true
	}
	switch info := &x.r.Info; {
	case name == Battery && info.Battery.Value != 0:
		return info.Battery.Value, describe(name, info.Battery.Value, "%", telemetry.Number), true
	case name == Strength && info.SignalStrength.Value != 0:
		return info.SignalStrength.Value, describe(name, info.SignalStrength.Value, "dBm", telemetry.Number), true
	default:
		return 0, "", false
	}
}

func (x *step) ruled(a *Alarm) bool {
	r := x.rules.byID[a.Rule]
	return r != nil && r.Type == a.AlertType && x.governs(r)
}

func (x *step) governs(r *rule) bool {
	return r.alone || x.rules.governs(r, x.r.DeviceID, x.r.Info.Model, x.r.Location)
}

// judge evaluates one rule on the reading.
func (x *step) judge(r *rule) {
	if r.n == 1 && !x.s.engaged(r) {
		c := &r.conds[0]
		if v, known := x.measure(c); !known || !c.holds(v, false) {
			return
		}
	}
	if i := x.s.holding(r.Type); i >= 0 {
		if x.s.mem.Alarms[i].Rule == r.ID {
			x.follow(r, i)
		}
		return
	}
	k := x.s.cell(r.ID)
	prior := uint8(0)
	if k >= 0 {
		prior = x.s.mem.Cells[k].Bits
	}
	now, holds := x.truth(r, prior, false)
	switch {
	case now == 0 && k < 0:
	case now == prior && !holds && x.s.mem.Cells[k].Due == 0:
	case !x.governs(r):
		x.dropCell(k)
	case holds:
		x.begin(r, k, now)
	case r.n > 1 && now != 0: // one condition of two
		x.keep = x.keep || k >= 0 && x.s.mem.Cells[k].Due != 0
		x.setCell(k, cell{Rule: r.ID, Bits: now})
	default:
		x.dropCell(k)
	}
}

// begin handles a condition that holds and has no alarm yet. It skips a reading that is
// not younger than the last transition: it was processed before, and the alarm it raised
// has ended.
func (x *step) begin(r *rule, k int, now uint8) {
	ts := x.ts
	if ts <= x.quietUntil {
		return
	}
	lead := uint8(mathbits.TrailingZeros8(now))
	v, known := x.measure(&r.conds[lead])
	if !known && now == 3 {
		lead = 1
		v, known = x.measure(&r.conds[lead])
	}
	c := &r.conds[lead]
	shown := x.shown(c, v)
	var n cell
	if k >= 0 && x.s.mem.Cells[k].Due != 0 {
		n = x.s.mem.Cells[k]
	} else {
		n = cell{
			Rule: r.ID, Due: ts + r.onDelay, First: x.firstOffset(c), Value: shown, Peak: shown,
			Device: strings.Clone(x.r.DeviceID), Location: own(x.r.Location), Gateway: x.in.Gateway,
		}
	}
	n.Bits, n.At, n.Waited = now, ts, x.in.Waited
	n.Partition, n.Newest = x.in.Partition, x.in.Offset
	n.Other = x.other(r, now, lead, n.Other)
	if known {
		n.Lead, n.Value, n.Unit, n.Room = lead, shown, x.ownUnit(c), x.roomValue(c)
		if c.fold.score(shown) > c.fold.score(n.Peak) {
			n.Peak = shown
		}
	}
	n.Text = x.raisedText(r, now)
	if ts < n.Due {
		x.setCell(k, n)
		x.keep = true
		return
	}
	x.dropCell(k)
	x.raise(r, &n, n.Due)
}

// follow handles an alarm whose condition has held until now.
func (x *step) follow(r *rule, i int) {
	a := &x.s.mem.Alarms[i]
	now, holds := x.truth(r, a.Bits, true)
	if !holds {
		x.fade(r, i, now)
		return
	}
	if a.Bits != now || a.OffDue != 0 {
		a = &x.own().Alarms[i]
		x.keep = x.keep || a.OffDue != 0 || r.n > 1
		a.Bits, a.OffDue, a.OffText = now, 0, ""
	}
	c := &r.conds[min(int(a.Lead), r.n-1)]
	if v, known := x.measure(c); known && c.look != atStill && a.worse(v) {
		a = &x.own().Alarms[i]
		a.PeakValue = v
		x.keep = true
	}
	if a.Past {
		x.recall(i)
	}
}

// recall handles an incident found in old readings that this reading confirms.
func (x *step) recall(i int) {
	if x.in.Waited <= x.rules.maxWait {
		x.promote(i)
		return
	}
	if due := x.pastDue(); due-x.s.mem.Alarms[i].PastDue > pastSlack {
		x.own().Alarms[i].PastDue = due
		x.keep = true
	}
}

// fade handles an alarm whose condition ends with this reading.
func (x *step) fade(r *rule, i int, now uint8) {
	a := &x.s.mem.Alarms[i]
	ts := x.ts
	c := &r.conds[min(int(a.Lead), r.n-1)]
	v, known := x.measure(c)
	value := x.shown(c, v)
	if !known {
		value = a.CurrentValue
	}
	if r.offDelay == 0 {
		x.clear(i, ts, value, x.clearedText(a, c, v, known))
		return
	}
	if a.OffDue == 0 {
		text := x.clearedText(a, c, v, known)
		x.seen(i)
		a = &x.own().Alarms[i]
		a.OffDue, a.OffText, a.OffValue = ts+r.offDelay, text, value
		x.keep = true
	}
	if a.Bits != now {
		a = &x.own().Alarms[i]
		a.Bits = now
		x.keep = true
	}
	if ts >= a.OffDue {
		x.clear(i, a.OffDue, a.OffValue, a.OffText)
	}
}

func (x *step) setCell(k int, c cell) {
	m := x.own()
	if k < 0 {
		m.Cells = append(m.Cells, c)
		return
	}
	m.Cells[k] = c
}

func (x *step) dropCell(k int) {
	if k < 0 {
		return
	}
	m := x.own()
	x.keep = x.keep || m.Cells[k].Due != 0
	m.Cells = append(m.Cells[:k], m.Cells[k+1:]...)
}
