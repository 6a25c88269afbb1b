package alarm

import (
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// tickGrace is how long a reading may take from its device to here before the clock
// decides instead.
const tickGrace = 5_000

// timer is a change that needs no reading.
type timer uint8

const (
	noTimer    timer = iota
	onDelay          // an on-delay ends
	offDelay         // an off-delay ends
	stale            // an alarm has held for too long
	settle           // an alarm no longer chatters
	forget           // a normal alarm is no longer needed
	maintained       // the maintenance of the device ends
)

// next returns the timer that is due first: its time, kind, and cell or alarm.
func (s *State) next() (due int64, what timer, i int) {
	m := s.mem
	if m == nil {
		return 0, noTimer, 0
	}
	offer := func(at int64, t timer, k int) {
		if what == noTimer || at < due {
			due, what, i = at, t, k
		}
	}
	for k := range m.Cells {
		if m.Cells[k].Due != 0 {
			offer(m.Cells[k].Due, onDelay, k)
		}
	}
	for k := range m.Alarms {
		a := &m.Alarms[k]
		if a.DeviceID == "" {
			continue
		}
		if a.OffDue != 0 {
			offer(a.OffDue, offDelay, k)
		}
		if a.holds() && !a.Stale && !a.Past {
			offer(a.Since+staleAfter, stale, k)
		}
		last := a.Since
		if n := len(a.Raises); n > 0 {
			last = a.Raises[n-1]
		}
		if a.Chattering {
			offer(last+minute, settle, k)
		} else if a.State == telemetry.AlarmNormal && !a.shelvedByHand() {
			offer(last+minute, forget, k)
		}
	}
	if m.Maintenance != nil {
		offer(m.Maintenance.Until, maintained, 0)
	}
	return due, what, i
}

// advance fires the timers that are due until limit, ms by event time, in order.
func (x *step) advance(limit int64) {
	for {
		due, what, i := x.s.next()
		if what == noTimer || due > limit {
			return
		}
		x.fire(due, what, i)
		// Of alarms that end at once the one that explains the other does not end first.
		if at, what, _ := x.s.next(); what == noTimer || at > due {
			x.relate(due)
		}
	}
}

func (x *step) fire(due int64, what timer, i int) {
	m := x.own()
	switch what {
	case onDelay:
		c := m.Cells[i]
		x.dropCell(i)
		if r := x.rules.byID[c.Rule]; r != nil && x.s.holding(r.Type) < 0 {
			x.advanceRule(r, due)
			x.raise(r, &c, due)
		}
	case offDelay:
		a := &m.Alarms[i]
		x.advanceParameter(a.Threshold.Parameter, due)
		x.clear(i, due, a.OffValue, a.OffText)
	case stale:
		m.Alarms[i].Stale = true
		x.emit(i, change{event: telemetry.EventStale, from: m.Alarms[i].State, at: due})
	case settle:
		m.Alarms[i].Chattering = false
		x.emit(i, change{event: telemetry.EventSettled, from: m.Alarms[i].State, at: due})
		x.drop(i, due)
	case forget:
		x.remove(i)
	case maintained:
		x.endMaintenance(change{at: due})
		x.keep = true
	case noTimer:
	}
}

// advanceRule records a decision by the clock about the signals of r: an earlier reading
// that arrives later does not change it.
func (x *step) advanceRule(r *rule, at int64) {
	if x.r != nil {
		return // the reading being judged is younger
	}
	x.s.tracks = slices.Clone(x.s.tracks)
	for i := range r.n {
		signal := int16(r.conds[i].signal)
		if k := x.s.trackOf(signal); k >= 0 {
			x.s.tracks[k].last = max(x.s.tracks[k].last, at)
		} else {
			x.s.addTrack(signal, at)
		}
	}
	x.s.seen = max(x.s.seen, at)
}

// advanceParameter is advanceRule for the signals of a parameter that the device has.
func (x *step) advanceParameter(parameter string, at int64) {
	if x.r != nil {
		return
	}
	x.s.tracks = slices.Clone(x.s.tracks)
	for k := range x.s.tracks {
		if t := &x.s.tracks[k]; x.s.of.names[t.signal].name == parameter {
			t.last = max(t.last, at)
		}
	}
	x.s.seen = max(x.s.seen, at)
}

// Tick advances s to the clock's now (ms): delays that end without a reading, alarms that
// become stale or no longer chatter, shelvings that end. Call it when Due is reached, and
// never while unprocessed readings are waiting.
//
// Delays run on the device's own time line: a device whose newest reading was an hour old
// when it was received is now taken to be where its clock was an hour ago.
func (rs *Rules) Tick(s State, now int64, dst []Transition) (State, []Transition, bool) {
	if s.mem == nil {
		return s, dst, false
	}
	x := step{rules: rs, s: s, out: dst, detected: now}
	x.s.adopt(rs.signals)
	x.advance(now - tickGrace - s.Lag)
	if m := x.s.Maintenance(); m != nil && m.Until <= now-tickGrace-min(s.Lag, maintenanceLag) {
		x.fire(m.Until, maintained, 0)
	}
	for i := len(x.s.mem.Alarms) - 1; i >= 0; i-- {
		a := &x.s.mem.Alarms[i]
		switch {
		case a.DeviceID == "":
		case a.Past && a.PastDue <= now:
			x.promote(i)
		case a.shelvedByHand() && a.Shelved.Until <= now:
			until := a.Shelved.Until
			x.own().Alarms[i].unshelve(x.s.shelfAt(until))
			x.emit(i, change{event: telemetry.EventUnshelved, from: a.State, at: until})
			x.drop(i, now)
		}
	}
	x.relate(0) // of alarms promoted just now
	return x.end()
}

// Due returns when to call Tick, in ms by the clock; 0: never.
func (s State) Due() int64 {
	if s.mem == nil {
		return 0
	}
	due := int64(0)
	offer := func(at int64) {
		if due == 0 || at < due {
			due = at
		}
	}
	if at, what, _ := s.next(); what != noTimer {
		offer(at + tickGrace + s.Lag)
	}
	if m := s.Maintenance(); m != nil {
		offer(m.Until + tickGrace + min(s.Lag, maintenanceLag))
	}
	for i := range s.mem.Alarms {
		a := &s.mem.Alarms[i]
		if a.DeviceID == "" {
			continue
		}
		if a.Past {
			offer(a.PastDue)
		}
		if a.shelvedByHand() {
			offer(a.Shelved.Until)
		}
	}
	return due
}
