package state

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// CallsKept is how far back, in ms, it is remembered when alarms came up.
	CallsKept = 24 * 3_600_000
	// mostCalls bounds how many such moments are remembered.
	mostCalls = 100_000
)

// call is one moment at which an alarm came up, in ms by the clock that core detected it
// with.
type call struct {
	at       int64
	device   string
	kind     string // alert_type
	place    telemetry.Location
	occurred bool // it was raised, or raised again before it was acknowledged
	shown    bool // to the operator: it was not put aside
}

// callOf tells what record a says in this regard; the zero call says nothing. first is set when
// nothing was known of the incident.
func (m *Model) callOf(a *Alert, first bool) call {
	c := call{at: a.Timestamp, device: a.DeviceID, kind: a.AlertType, place: m.Place(a), shown: !a.Aside()}
	switch {
	case a.Historical:
		return call{}
	case a.Event == telemetry.EventRaised, a.Revision == 0 && first && a.Active():
		c.occurred = true
		if c.at = a.RaisedAt; a.DetectedAt != 0 {
			c.at = a.DetectedAt
		}
	case a.Event == telemetry.EventRepeated:
		c.occurred = true
	case a.Event == telemetry.EventUnsuppressed:
	default:
		return call{}
	}
	return c
}

// callLog remembers when alarms came up: the newest, in no particular order.
type callLog struct {
	list []call
	lost int64 // of the calls that were forgotten for want of room, the time of the newest
}

// note remembers c. What is too old, or beyond the bound, is forgotten now and then.
func (l *callLog) note(c call, now int64) {
	if !c.occurred && !c.shown || now-c.at > CallsKept {
		return
	}
	l.list = append(l.list, c)
	if len(l.list) < 2*mostCalls {
		return
	}
	l.list = slices.DeleteFunc(l.list, func(c call) bool { return now-c.at > CallsKept })
	if len(l.list) < mostCalls {
		return
	}
	slices.SortFunc(l.list, func(a, b call) int { return cmp.Compare(a.at, b.at) })
	drop := len(l.list) - mostCalls
	l.lost = l.list[drop-1].at
	l.list = slices.Delete(l.list, 0, drop)
}

// since calls f with every call after from.
func (l *callLog) since(from int64, f func(*call)) {
	for i := range l.list {
		if c := &l.list[i]; c.at > from {
			f(c)
		}
	}
}
