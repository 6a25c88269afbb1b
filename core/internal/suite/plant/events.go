// Package plant measures detectors of anomalies on simulated plants whose faults are known, by the plain
// measures of events. It is not part of a running core. Run blocks for as long as the data take; nothing does I/O.
package plant

import (
	"cmp"
	"math"
	"slices"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// Event is one labelled fault. Times are ms since 1970, inclusive.
type Event struct {
	Device     string
	Sensor     string // empty: any of the device
	With       string // another sensor that takes part; empty: none
	Kind       telemetry.AnomalyKind
	Onset, End int64
}

// Alarm is an interval in which a detector holds a sensor to be unusual. Times are ms since 1970;
// To is the first moment at which it no longer does.
type Alarm struct {
	Device, Sensor string
	From, To       int64
}

// Tolerance is how far from an event an alarm may begin to be true: not earlier than Before its
// onset, not later than After its end. An alarm that began earlier says nothing about the event, even
// if it still holds: otherwise an alarm that never ends would find every event.
type Tolerance struct{ Before, After time.Duration }

// DefaultTolerance lets alarms be true until half an hour after the end: the way back from a fault
// is as unusual as the way in, and a gap can only be told once it is over.
var DefaultTolerance = Tolerance{Before: time.Minute, After: 30 * time.Minute}

// Span is the time that is judged: From to To in ms, To exclusive. Events must lie in it. An alarm that
// already holds when it begins is a false one; alarms outside of it do not count.
type Span struct{ From, To int64 }

// Delay is how long after its onset an event was told.
type Delay struct {
	Kind telemetry.AnomalyKind
	Took time.Duration
}

// Tally counts what became of the events and alarms of some devices. The zero value is ready. Tallies
// of other devices can be added.
type Tally struct {
	Found, Missed map[telemetry.AnomalyKind]int
	Delays        []Delay // of the found events
	False         int     // alarms near no event of their device
	// Aside are alarms of other sensors of a device while it has an event. They neither find the
	// event nor are they false: something is wrong with the device.
	Aside int
	// Days are device-days; of them, Right had a found event, or neither an event nor a false alarm.
	Days, Right int
}

// Judge counts the alarms of one device against its events. Each event is found by the first true
// alarm of its sensor; further ones are not counted. It keeps no reference to its arguments.
func (t *Tally) Judge(events []Event, alarms []Alarm, span Span, tol Tolerance) {
	if t.Found == nil {
		t.Found, t.Missed = map[telemetry.AnomalyKind]int{}, map[telemetry.AnomalyKind]int{}
	}
	alarms = slices.Clone(alarms)
	slices.SortStableFunc(alarms, func(a, b Alarm) int { return cmp.Compare(a.From, b.From) })
	found := make([]bool, len(events))
	var wrong []Alarm
	for _, a := range alarms {
		if a.To <= span.From || a.From >= span.To {
			continue
		}
		near, mine := false, false
		if a.From >= span.From {
			near, mine = t.match(events, found, a, tol)
		}
		switch {
		case mine:
		case near:
			t.Aside++
		default:
			t.False++
			wrong = append(wrong, a)
		}
	}
	for i := range events {
		if found[i] {
			t.Found[events[i].Kind]++
		} else {
			t.Missed[events[i].Kind]++
		}
	}
	t.days(events, found, wrong, span)
}

// match marks the events that an alarm finds. It reports whether one is near in time, and whether one
// is of the alarm's sensor.
func (t *Tally) match(events []Event, found []bool, a Alarm, tol Tolerance) (near, mine bool) {
	for i := range events {
		e := &events[i]
		if !tol.near(e, a.From) {
			continue
		}
		near = true
		if !e.concerns(a.Sensor) {
			continue
		}
		mine = true
		if !found[i] {
			found[i] = true
			t.Delays = append(t.Delays, Delay{e.Kind, time.Duration(max(0, a.From-e.Onset)) * time.Millisecond})
		}
	}
	return near, mine
}

// near reports whether an alarm that begins at from can be about the event.
func (tol Tolerance) near(e *Event, from int64) bool {
	return from >= e.Onset-tol.Before.Milliseconds() && from <= e.End+tol.After.Milliseconds()
}

func (e *Event) concerns(sensor string) bool {
	return e.Sensor == "" || sensor == e.Sensor || sensor == e.With
}

const dayMS = int64(24 * time.Hour / time.Millisecond)

// days judges each day of a device: of one with events, one must be found; another must be free of
// false alarms.
func (t *Tally) days(events []Event, found []bool, wrong []Alarm, span Span) {
	for from := span.From; from < span.To; from += dayMS {
		to := min(from+dayMS, span.To)
		had, told := false, false
		for i := range events {
			if events[i].Onset < to && events[i].End >= from {
				had, told = true, told || found[i]
			}
		}
		cried := slices.ContainsFunc(wrong, func(a Alarm) bool { return a.From < to && a.To > from })
		t.Days++
		if had && told || !had && !cried {
			t.Right++
		}
	}
}

// Add adds the counts of other devices.
func (t *Tally) Add(o *Tally) {
	if t.Found == nil {
		t.Found, t.Missed = map[telemetry.AnomalyKind]int{}, map[telemetry.AnomalyKind]int{}
	}
	for k, n := range o.Found {
		t.Found[k] += n
	}
	for k, n := range o.Missed {
		t.Missed[k] += n
	}
	t.Delays = append(t.Delays, o.Delays...)
	t.False += o.False
	t.Aside += o.Aside
	t.Days += o.Days
	t.Right += o.Right
}

func sum(of map[telemetry.AnomalyKind]int) (n int) {
	for _, k := range of {
		n += k
	}
	return n
}

// Precision is the share of true ones: found events among found events and false alarms. It is 0
// without any alarm.
func (t *Tally) Precision() float64 { return quotient(sum(t.Found), sum(t.Found)+t.False) }

// Recall is the share of the events that were found.
func (t *Tally) Recall() float64 { return quotient(sum(t.Found), sum(t.Found)+sum(t.Missed)) }

// F1 is the harmonic mean of Precision and Recall.
func (t *Tally) F1() float64 {
	return quotient(2*sum(t.Found), 2*sum(t.Found)+t.False+sum(t.Missed))
}

// Accuracy is the share of device-days with the right verdict.
func (t *Tally) Accuracy() float64 { return quotient(t.Right, t.Days) }

// FalsePerDay is the number of false alarms per device and day.
func (t *Tally) FalsePerDay() float64 { return quotient(t.False, t.Days) }

// RecallOf is the share of the events of a kind that were found.
func (t *Tally) RecallOf(k telemetry.AnomalyKind) float64 {
	return quotient(t.Found[k], t.Found[k]+t.Missed[k])
}

// Delay returns the quantile q of the delays of a kind, 0 if none was found. Quantiles are nearest
// ranks: no value is made up.
func (t *Tally) Delay(k telemetry.AnomalyKind, q float64) time.Duration {
	var took []time.Duration
	for _, d := range t.Delays {
		if d.Kind == k {
			took = append(took, d.Took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[max(0, int(math.Ceil(q*float64(len(took))))-1)]
}

func quotient(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
