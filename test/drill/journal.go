package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/drill/rig"
	"industrial-iot-monitor/test/oracle"
)

// journal compares the records in alerts with the devices' simulated faults: one incident
// for each fault of which readings arrived, no incident without a fault, every transition
// once.
type journal struct {
	from int64 // ms

	mu   sync.Mutex
	seen map[string][2]int64 // by device: the first and the last reading's timestamp
}

func newJournal(*rig.Round) *journal {
	return &journal{from: time.Now().UnixMilli(), seen: map[string][2]int64{}}
}

// observe notes a reading that arrived.
func (j *journal) observe(x oracle.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, ok := j.seen[x.Device]
	if !ok {
		s[0] = x.Timestamp
	}
	s[1] = max(s[1], x.Timestamp)
	j.seen[x.Device] = s
}

// incident is the records with one alert_id.
type incident struct {
	first   telemetry.Alert
	records int
	// occurrences, oldest first: an alarm that is raised again before it was acknowledged
	// belongs to the same incident.
	occurrences []*occurrence
}

// occurrence is the time during which an alarm's condition was true; to is 0 while it is.
type occurrence struct{ from, to int64 }

// check reads alerts until no more arrive, and compares.
func (j *journal) check(ctx context.Context, r *rig.Round) error {
	in, err := kafkatest.NewReader(r.Brokers(), r.Topics.Alerts)
	if err != nil {
		return err
	}
	defer in.Close()
	incidents := map[string]*incident{}
	records := 0
	for before := -1; records != before; {
		before = records
		limit, cancel := context.WithTimeout(ctx, rig.WaitTimeout)
		err := in.CatchUp(limit, func(rec *kgo.Record) error {
			records++
			var a telemetry.Alert
			if err := json.Unmarshal(rec.Value, &a); err != nil {
				return fmt.Errorf("alerts %d/%d: %w", rec.Partition, rec.Offset, err)
			}
			j.add(r, incidents, &a)
			return nil
		})
		cancel()
		if err != nil {
			return err
		}
		if err := rig.Sleep(ctx, 4*time.Second); err != nil {
			return err
		}
	}
	expected, err := j.compare(r, incidents)
	r.Note("%d faults of devices, %d incidents, %d records in alerts", expected, len(incidents), records)
	return err
}

// add adds one record to its incident and checks that it continues it.
func (j *journal) add(r *rig.Round, incidents map[string]*incident, a *telemetry.Alert) {
	i, ok := incidents[a.AlertID]
	if !ok {
		i = &incident{first: *a}
		incidents[a.AlertID] = i
	}
	i.records++
	switch {
	case a.Revision > 0: // 1, 2, 3, …
		r.Check(a.Revision == int64(i.records), "%s of %s: revision %d where %d was next (%s)", a.AlertType, a.DeviceID, a.Revision, i.records, a.Event)
	case a.Status == telemetry.AlertActive:
		r.Check(i.records == 1, "%s of %s was raised %d times as %s", a.AlertType, a.DeviceID, i.records, a.AlertID)
	default:
		r.Check(i.records == 2, "%s of %s was cleared as record %d of %s", a.AlertType, a.DeviceID, i.records, a.AlertID)
	}
	n := len(i.occurrences)
	held := n > 0 && i.occurrences[n-1].to == 0
	switch {
	case a.Status == telemetry.AlertActive && !held:
		i.occurrences = append(i.occurrences, &occurrence{from: a.Timestamp})
	case a.Status == telemetry.AlertCleared && held:
		i.occurrences[n-1].to = a.Timestamp
	}
}

// compare compares the incidents with the devices' faults and returns the number of faults
// of which readings arrived.
func (j *journal) compare(r *rig.Round, incidents map[string]*incident) (int, error) {
	byDevice := map[string][]*incident{}
	for _, i := range incidents {
		byDevice[i.first.DeviceID+" "+i.first.AlertType] = append(byDevice[i.first.DeviceID+" "+i.first.AlertType], i)
	}
	labels, err := r.Labels(j.from, time.Now().UnixMilli())
	if err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	expected := 0
	explained := map[*occurrence]bool{}
	for _, l := range labels {
		found := false
		for _, i := range byDevice[l.Device+" "+l.Type] {
			for _, o := range i.occurrences {
				if o.from >= l.Onset && o.from <= l.Recovery {
					explained[o] = true
				}
				found = found || o.from <= l.End && (o.to == 0 || o.to >= l.Start)
			}
		}
		s := j.seen[l.Device]
		if arrived := s[0] <= l.End && s[1] >= l.Start; arrived && s[0] > 0 {
			expected++
			r.Check(found, "no alert for %s of %s from %d to %d, of which readings arrived", l.Type, l.Device, l.Start, l.End)
		}
	}
	kinds := []string{"temperature_high", "temperature_low", "humidity_high", "current_high"}
	for _, i := range incidents {
		for _, o := range i.occurrences {
			if slices.Contains(kinds, i.first.AlertType) && o.from >= j.from {
				r.Check(explained[o], "%s of %s at %d was raised without a fault", i.first.AlertType, i.first.DeviceID, o.from)
			}
		}
	}
	r.Check(expected > 0, "no device had a fault: nothing was checked")
	return expected, nil
}
