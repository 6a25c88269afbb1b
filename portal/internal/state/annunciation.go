package state

import (
	"cmp"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

const (
	// AnnunciationsKept is how long annunciations are kept, in ms.
	AnnunciationsKept = 24 * 3_600_000
	// maxAnnunciations bounds how many are kept.
	maxAnnunciations = 100_000
)

// annunciation is one occurrence of an alarm, at a time in ms by the clock that core detected
// it with.
type annunciation struct {
	at       int64
	device   string
	kind     string // alert_type
	place    telemetry.Location
	occurred bool // it was raised, or raised again before it was acknowledged
	shown    bool // to the operator: it was not aside
}

// annunciationOf returns the annunciation that record a is, the zero one for none. first is
// set when the incident is new.
func (m *Model) annunciationOf(a *Alert, first bool) annunciation {
	c := annunciation{at: a.Timestamp, device: a.DeviceID, kind: a.AlertType, place: m.Place(a), shown: !a.Aside()}
	switch {
	case a.Historical:
		return annunciation{}
	case a.Event == telemetry.EventRaised, a.Revision == 0 && first && a.Active():
		c.occurred = true
		if c.at = a.RaisedAt; a.DetectedAt != 0 {
			c.at = a.DetectedAt
		}
	case a.Event == telemetry.EventRepeated:
		c.occurred = true
	case a.Event == telemetry.EventUnsuppressed:
	default:
		return annunciation{}
	}
	return c
}

// annunciationLog keeps the newest annunciations, in no particular order.
type annunciationLog struct {
	list []annunciation
	lost int64 // time of the newest one dropped for lack of room
}

// note adds c. Those too old, or beyond the bound, are dropped now and then.
func (l *annunciationLog) note(c annunciation, now int64) {
	if !c.occurred && !c.shown || now-c.at > AnnunciationsKept {
		return
	}
	l.list = append(l.list, c)
	if len(l.list) < 2*maxAnnunciations {
		return
	}
	l.list = slices.DeleteFunc(l.list, func(c annunciation) bool { return now-c.at > AnnunciationsKept })
	if len(l.list) < maxAnnunciations {
		return
	}
	slices.SortFunc(l.list, func(a, b annunciation) int { return cmp.Compare(a.at, b.at) })
	drop := len(l.list) - maxAnnunciations
	l.lost = l.list[drop-1].at
	l.list = slices.Delete(l.list, 0, drop)
}

// since calls f with every annunciation after from.
func (l *annunciationLog) since(from int64, f func(*annunciation)) {
	for i := range l.list {
		if c := &l.list[i]; c.at > from {
			f(c)
		}
	}
}
