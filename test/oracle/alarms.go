package oracle

import (
	"cmp"
	"fmt"
	"slices"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

// Alarms compares the alerts topic with the simulator's labelled faults: every transition of
// an alarm once, one alarm for each fault of which a reading arrived, no alarm without a
// fault. Make it with NewAlarms. It is not safe for concurrent use.
type Alarms struct {
	arrived   map[string][]int64 // timestamps by device
	incidents map[string]*incident
	records   int
	samples   []string
	wrong     int
}

// incident is the alert records with one alert_id.
type incident struct {
	device, kind string
	source       telemetry.AlarmSource
	records      int64
	// occurrences, oldest first: an alarm that is raised again before it was acknowledged
	// belongs to the same incident.
	occurrences []*occurrence
}

// occurrence is the time during which an alarm's condition was true; to is 0 while it is.
type occurrence struct{ from, to int64 }

// AlarmVerdict is the result of Alarms.
type AlarmVerdict struct {
	Faults    int // labelled faults of which a reading arrived
	Incidents int
	Records   int      // in the alerts topic
	Wrong     int      // duplicate, missing and unexplained transitions
	Samples   []string // descriptions of the first of them
}

// Err returns nil when nothing was wrong and there were faults at all.
func (v *AlarmVerdict) Err() error {
	switch {
	case v.Faults == 0:
		return fmt.Errorf("no device had a fault: nothing was checked")
	case v.Wrong > 0:
		return fmt.Errorf("%s, %d wrong: %q", v, v.Wrong, v.Samples)
	}
	return nil
}

// String is the verdict in one line.
func (v *AlarmVerdict) String() string {
	return fmt.Sprintf("%d faults of devices, %d incidents, %d records in alerts", v.Faults, v.Incidents, v.Records)
}

// NewAlarms returns an empty Alarms.
func NewAlarms() *Alarms {
	return &Alarms{arrived: map[string][]int64{}, incidents: map[string]*incident{}}
}

func (a *Alarms) fail(format string, args ...any) {
	if a.wrong++; a.wrong <= maxSamples {
		a.samples = append(a.samples, fmt.Sprintf(format, args...))
	}
}

// Reading adds a reading that core could see.
func (a *Alarms) Reading(device string, timestamp int64) {
	a.arrived[device] = append(a.arrived[device], timestamp)
}

// Alert adds a record of the alerts topic, in the order of its partition.
func (a *Alarms) Alert(r *telemetry.Alert) {
	a.records++
	i, ok := a.incidents[r.AlertID]
	if !ok {
		i = &incident{device: r.DeviceID, kind: r.AlertType, source: r.Source}
		a.incidents[r.AlertID] = i
	}
	if i.records++; r.Revision != i.records {
		a.fail("%s of %s: revision %d (%s), expected %d", r.AlertType, r.DeviceID, r.Revision, r.Event, i.records)
	}
	n := len(i.occurrences)
	active := n > 0 && i.occurrences[n-1].to == 0
	switch r.Event {
	case telemetry.EventRaised, telemetry.EventRepeated:
		if active {
			a.fail("%s of %s was raised twice, at %d", r.AlertType, r.DeviceID, r.Timestamp)
		}
		i.occurrences = append(i.occurrences, &occurrence{from: r.Timestamp})
	case telemetry.EventCleared:
		if !active {
			a.fail("%s of %s was cleared without being raised, at %d", r.AlertType, r.DeviceID, r.Timestamp)
			return
		}
		i.occurrences[n-1].to = r.Timestamp
	case telemetry.EventNotAnomaly: // of one that may have cleared before
		if active {
			i.occurrences[n-1].to = r.Timestamp
		}
	default: // acknowledged, shelved, …
	}
}

// Verdict compares what was added with the labelled faults since a time (ms since 1970).
func (a *Alarms) Verdict(labels []fleet.Label, since int64) AlarmVerdict {
	v := AlarmVerdict{Incidents: len(a.incidents), Records: a.records}
	found := map[string][]*occurrence{}
	for _, i := range a.incidents {
		if i.source == telemetry.SourceRule { // watchdogs report the faults of the test
			found[i.device+" "+i.kind] = append(found[i.device+" "+i.kind], i.occurrences...)
		}
	}
	explained := map[*occurrence]bool{}
	for _, l := range labels {
		raised := false
		for _, o := range found[l.Device+" "+l.Type] {
			if o.from >= l.Onset && o.from <= l.Recovery {
				explained[o] = true
			}
			raised = raised || o.from <= l.End && (o.to == 0 || o.to >= l.Start)
		}
		if !slices.ContainsFunc(a.arrived[l.Device], func(ts int64) bool { return ts >= l.Start && ts <= l.End }) {
			continue
		}
		if v.Faults++; !raised {
			a.fail("no %s of %s from %d to %d, of which readings arrived", l.Type, l.Device, l.Start, l.End)
		}
	}
	for name, all := range found {
		for _, o := range all {
			if o.from >= since && !explained[o] {
				a.fail("%s was raised at %d without a fault", name, o.from)
			}
		}
	}
	v.Wrong, v.Samples = a.wrong, slices.SortedFunc(slices.Values(a.samples), cmp.Compare)
	return v
}
