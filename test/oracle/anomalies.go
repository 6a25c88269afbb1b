package oracle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// Anomalies compares what alarms of the detector went through with what one run of it over the
// same readings gives: each transition once, those of a device in order. Make it with
// NewAnomalies. It is not safe for concurrent use.
type Anomalies struct{ got, want map[string][]transition }

// transition is an alert record as far as readings and commands decide it: when it was noticed,
// and that a silent device explains it, depend on the clock.
type transition struct {
	AlertID, AlertType string
	Event              telemetry.AlarmEvent
	Severity           telemetry.Severity
	At, RaisedAt       int64
	Value, Peak        float64
	Occurrence         int
	Anomaly            telemetry.Anomaly
}

func (t *transition) String() string { return fmt.Sprintf("%s %s at %d", t.AlertType, t.Event, t.At) }

// AnomalyVerdict is the result of Anomalies.
type AnomalyVerdict struct {
	Raised, Cleared, Accepted int // transitions of the run to judge: accepted are those by not_anomaly
	Others                    int // escalated
	Lost                      int // transitions that only the one run has
	Surplus                   int // transitions that it does not have, or not so often
	OutOfOrder                int // devices with the same transitions in another order
	Samples                   []string
}

// Err returns nil when the two are equal and there were alarms that were raised and that cleared.
func (v *AnomalyVerdict) Err() error {
	switch {
	case v.Lost+v.Surplus+v.OutOfOrder > 0:
		return fmt.Errorf("%s: %q", v, v.Samples)
	case v.Raised == 0 || v.Cleared == 0:
		return fmt.Errorf("%s: nothing was checked", v)
	}
	return nil
}

// String is the verdict in one line.
func (v *AnomalyVerdict) String() string {
	return fmt.Sprintf("alarms of the detector: %d raised, %d cleared, %d ended by not_anomaly, %d escalated; %d lost, %d doubled, %d devices out of order",
		v.Raised, v.Cleared, v.Accepted, v.Others, v.Lost, v.Surplus, v.OutOfOrder)
}

// NewAnomalies returns an empty Anomalies.
func NewAnomalies() *Anomalies {
	return &Anomalies{got: map[string][]transition{}, want: map[string][]transition{}}
}

// Got adds a record of the alerts topic to judge, in the order of its partition.
func (a *Anomalies) Got(r *telemetry.Alert) { add(a.got, r) }

// Want adds a record of the alerts topic of the one run, in the order of its partition.
func (a *Anomalies) Want(r *telemetry.Alert) { add(a.want, r) }

func add(to map[string][]transition, r *telemetry.Alert) {
	if r.Source != telemetry.SourceAnomaly {
		return
	}
	switch r.Event {
	case telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventEscalated, telemetry.EventCleared, telemetry.EventNotAnomaly:
	default: // the clock's or an operator's
		return
	}
	t := transition{
		AlertID: r.AlertID, AlertType: r.AlertType, Event: r.Event, Severity: r.Severity, At: r.Timestamp, RaisedAt: r.RaisedAt,
		Value: r.CurrentValue, Peak: r.PeakValue, Occurrence: r.OccurrenceCount,
	}
	if r.Anomaly != nil {
		t.Anomaly = *r.Anomaly
	}
	to[r.DeviceID] = append(to[r.DeviceID], t)
}

// Verdict compares what was added, without the devices that leave is true for.
func (a *Anomalies) Verdict(leave func(device string) bool) AnomalyVerdict {
	var v AnomalyVerdict
	for _, device := range slices.Sorted(maps.Keys(union(a.got, a.want))) {
		if !leave(device) {
			v.compare(device, a.got[device], a.want[device])
		}
	}
	v.Samples = v.Samples[:min(len(v.Samples), maxSamples)]
	return v
}

func (v *AnomalyVerdict) compare(device string, got, want []transition) {
	left := map[transition]int{}
	for _, t := range want {
		left[t]++
	}
	wrong := 0
	note := func(what string, t *transition) {
		wrong++
		v.Samples = append(v.Samples, fmt.Sprintf("%s: %s %s", device, t, what))
	}
	for i := range got {
		t := &got[i]
		v.count(t.Event)
		if left[*t]--; left[*t] < 0 {
			v.Surplus++
			note("doubled, or not in one run", t)
		}
	}
	for i := range want {
		t := &want[i]
		if left[*t] > 0 {
			left[*t]--
			v.Lost++
			note("lost", t)
		}
	}
	if wrong == 0 && !slices.Equal(got, want) {
		v.OutOfOrder++
		v.Samples = append(v.Samples, device+": out of order")
	}
}

func (v *AnomalyVerdict) count(e telemetry.AlarmEvent) {
	switch e {
	case telemetry.EventRaised, telemetry.EventRepeated:
		v.Raised++
	case telemetry.EventCleared:
		v.Cleared++
	case telemetry.EventNotAnomaly:
		v.Accepted++
	default:
		v.Others++
	}
}

func union[K cmp.Ordered, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
