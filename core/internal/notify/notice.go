package notify

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// notice is one record of the alerts topic as receivers see it. It is immutable.
type notice struct {
	alert  telemetry.Alert // without what grows: history, comments, evidence
	offset int64
	at     time.Time // of the record
	// firing is set when the alarm holds and notifications are wanted: it is not
	// suppressed, shelved, out of service or below the minimum severity.
	firing      bool
	fingerprint string
}

// newNotice makes a notice of an alert.
func newNotice(a telemetry.Alert, offset int64, at time.Time, minSeverity int) *notice {
	a.History, a.Comments, a.Evidence = nil, nil, nil
	if a.Revision == 0 { // from before alerts were numbered
		a.Revision = 1
		if a.Status == telemetry.AlertCleared {
			a.Revision = 2
		}
	}
	n := &notice{alert: a, offset: offset, at: at}
	n.firing = a.Status == telemetry.AlertActive && !a.Historical && a.Suppressed == nil && a.Shelved == nil &&
		a.OutOfService == nil && rank(a.Severity) >= minSeverity
	n.fingerprint = fingerprint(n.labels())
	return n
}

func (n *notice) cleared() bool { return n.alert.Status == telemetry.AlertCleared }

// labels identify an alarm to Alertmanager: two alerts with the same labels are one.
// alert_id is among them, so each incident is raised and resolved by itself. Without it
// a second incident that starts before the first was sent as resolved would look like one
// alarm that never ended, and no notification would be sent. Silences and routes that
// name the device or the type still match all its incidents.
//
// The severity is among them because receivers are chosen by it. An alarm that escalates
// is therefore resolved under its old severity and fires under the new one.
func (n *notice) labels() map[string]string {
	a := &n.alert
	source := a.Source
	if source == "" {
		source = telemetry.SourceRule
	}
	l := map[string]string{
		"alertname": a.AlertType, "alert_id": a.AlertID, "device_id": a.DeviceID, "severity": string(a.Severity),
		"building": a.Location.Building, "room": a.Location.Room, "gateway": a.Gateway, "source": string(source),
	}
	if a.Location.Building != "" {
		l["floor"] = strconv.Itoa(a.Location.Floor)
	}
	return tidy(l)
}

// annotations describe the alarm to people. Receivers show the newest ones.
func (n *notice) annotations(link string) map[string]string {
	a := &n.alert
	m := map[string]string{
		"summary":     n.summary(),
		"description": a.Message,
		"value":       number(a.CurrentValue),
		"peak_value":  number(a.PeakValue),
		"threshold":   threshold(a.Threshold),
		"state":       string(a.State),
		"rule":        a.Rule,
		"link":        link,
		"assignee":    a.Assignee,
	}
	if a.Priority > 0 {
		m["priority"] = strconv.Itoa(a.Priority)
	}
	if a.OccurrenceCount > 1 {
		m["occurrence_count"] = strconv.Itoa(a.OccurrenceCount)
	}
	if a.Ack != nil {
		m["acknowledged_by"] = a.Ack.By
	}
	if !n.firing && !n.cleared() {
		m["resolved_because"] = n.silenced()
	}
	return tidy(m)
}

// silenced returns why no more notifications are sent for an alarm that holds.
func (n *notice) silenced() string {
	a := &n.alert
	switch {
	case a.OutOfService != nil:
		return "taken out of service by " + a.OutOfService.By
	case a.Shelved != nil && a.Shelved.Maintenance:
		return "under maintenance by " + a.Shelved.By + " until " + time.UnixMilli(a.Shelved.Until).UTC().Format(time.RFC3339)
	case a.Shelved != nil:
		return "shelved by " + a.Shelved.By + " until " + time.UnixMilli(a.Shelved.Until).UTC().Format(time.RFC3339)
	case a.Suppressed != nil:
		return "explained by alarm " + a.Suppressed.ByAlarm
	default:
		return "its severity is now " + string(a.Severity)
	}
}

func (n *notice) summary() string {
	a := &n.alert
	var place []string
	if a.Location.Building != "" {
		place = append(place, a.Location.Building, "floor "+strconv.Itoa(a.Location.Floor))
	}
	if a.Location.Room != "" {
		place = append(place, "room "+a.Location.Room)
	}
	if len(place) == 0 {
		return a.AlertType + " at " + a.DeviceID
	}
	return fmt.Sprintf("%s at %s (%s)", a.AlertType, a.DeviceID, strings.Join(place, ", "))
}

// began returns when the alarm was raised. Devices' clocks may be ahead of ours, and a
// receiver would take a start in the future for an alert that has not started.
func (n *notice) began(now time.Time) time.Time {
	ms := n.alert.RaisedAt
	if ms == 0 {
		ms = n.alert.Timestamp
	}
	return earlier(time.UnixMilli(ms), now).UTC()
}

// ended returns when an alarm that does not fire ended, not before it began.
func (n *notice) ended(now time.Time) time.Time {
	ms := n.alert.ClearedAt
	if ms == 0 {
		ms = n.alert.Timestamp
	}
	end, began := earlier(time.UnixMilli(ms), now).UTC(), n.began(now)
	if end.Before(began) {
		return began
	}
	return end
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// fingerprint returns the id that Alertmanager computes for a set of labels: FNV-1a of
// names and values in the order of the names, each ended by the byte 0xFF
// (prometheus/common, model.LabelSet.Fingerprint).
func fingerprint(labels map[string]string) string {
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		_, _ = h.Write([]byte(name + "\xff" + labels[name] + "\xff")) // a hash takes everything
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// tidy removes empty values, as Alertmanager does, and replaces invalid UTF-8, which it
// refuses.
func tidy(m map[string]string) map[string]string {
	for k, v := range m {
		if v == "" {
			delete(m, k)
			continue
		}
		m[k] = strings.ToValidUTF8(v, "�")
	}
	return m
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func threshold(t telemetry.Threshold) string {
	if t.Operator == "" {
		return ""
	}
	return strings.TrimSpace(t.Parameter + " " + t.Operator + " " + number(t.Value))
}
