package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Alert is an incident as of its newest record. It is immutable: a new state is a new Alert.
// ParseAlert fills in State, Priority and RaisedAt of records without a revision, which do not
// have them.
type Alert struct {
	telemetry.Alert

	Raw []byte // the record's value, valid JSON, with all its fields
}

// Active reports whether the condition behind the alert still holds.
func (a *Alert) Active() bool { return a.Status == telemetry.AlertActive }

// Over returns when the condition behind the alert ended, in ms, and whether it did.
func (a *Alert) Over() (at int64, over bool) {
	switch {
	case a.Active() && a.Open():
		return 0, false
	case a.ClearedAt != 0:
		return a.ClearedAt, true
	}
	return a.Timestamp, true
}

// Open reports whether an alarm is not normal: its condition holds or it is unacknowledged. An
// incident found in late readings is history and never open.
func (a *Alert) Open() bool { return a.State != telemetry.AlarmNormal && !a.Historical }

// Aside reports whether an alarm is hidden from operators: shelved, suppressed under another
// one, out of service, or uncertain because its device is offline.
func (a *Alert) Aside() bool {
	return a.Shelved != nil || a.Suppressed != nil || a.OutOfService != nil || a.Uncertain
}

// NeedsAttention reports whether an alarm needs an operator's attention: it is open and not put aside.
func (a *Alert) NeedsAttention() bool { return a.Open() && !a.Aside() }

// Unseen reports whether an open alarm is unacknowledged.
func (a *Alert) Unseen() bool { return a.Open() && a.State != telemetry.AlarmAcknowledged }

var errAlertText = errors.New("not valid UTF-8")

// ParseAlert parses a record of the alerts topic. The bytes are copied.
func ParseAlert(raw []byte) (*Alert, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("parsing alert: %w", errAlertText)
	}
	a := &Alert{Raw: append([]byte(nil), raw...)}
	if err := json.Unmarshal(a.Raw, &a.Alert); err != nil {
		return nil, fmt.Errorf("parsing alert: %w", err)
	}
	if a.AlertID == "" || a.DeviceID == "" {
		return nil, fmt.Errorf("parsing alert: %w", errAlertID)
	}
	a.complete()
	return a, nil
}

var errAlertID = errors.New("alert_id or device_id is missing")

// complete fills in the fields that a record without a revision does not have. Such an
// incident is unacknowledged while it is active and normal once it is cleared: at that time
// alarms could not be acknowledged.
func (a *Alert) complete() {
	if a.State == "" {
		a.State = telemetry.AlarmNormal
		if a.Active() {
			a.State = telemetry.AlarmUnacknowledged
		}
	}
	if a.Priority == 0 {
		a.Priority = min(Rank(a.Severity)+1, len(severities)-1)
	}
	if a.RaisedAt == 0 {
		a.RaisedAt = a.Timestamp
	}
}

// succeeds reports whether a is newer than old, a record of the same incident. The higher
// revision wins; without revisions cleared is final, otherwise the later transition wins.
func (a *Alert) succeeds(old *Alert) bool {
	if a.Revision != 0 || old.Revision != 0 {
		return a.Revision > old.Revision
	}
	return old.Active() && (a.Status != old.Status || a.Timestamp > old.Timestamp)
}

// ApplyAlert applies a record of the alerts topic. When live is true observers are notified
// at once; otherwise, while the topic's past is read, by AlertsCaughtUp if the alarm is still
// open then. They are not notified of historical incidents.
func (m *Model) ApplyAlert(a *Alert, live bool) {
	now := m.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.alerts.byID[a.AlertID]
	if !m.alerts.put(a) {
		m.counts.Repeated++
		return
	}
	m.counts.Alerts++
	m.annunciations.note(m.annunciationOf(a, old == nil), now)
	_, hidden := m.alerts.silent[a.AlertID]
	notified := old != nil && old.Open() && !hidden
	switch {
	case live || notified && !a.Open():
		delete(m.alerts.silent, a.AlertID)
		if !a.Historical || notified {
			m.notify(a)
		}
	case !a.Open():
		delete(m.alerts.silent, a.AlertID)
	default:
		if m.alerts.silent == nil {
			m.alerts.silent = make(map[string]*Alert)
		}
		m.alerts.silent[a.AlertID] = a
	}
}

// AlertsCaughtUp is called when the past of the alerts topic has been read. Observers are
// notified of alarms that are still open and that they have not been notified of.
func (m *Model) AlertsCaughtUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	silent := m.alerts.silent
	m.alerts.silent = nil
	for _, a := range silent {
		m.notify(a)
	}
}

func (m *Model) notify(a *Alert) {
	for _, o := range m.observers {
		o.Alert(a)
	}
}

// OpenAlerts calls f with every open alarm of a device that observers were notified of. It is
// called within View or an Observer's method.
func (m *Model) OpenAlerts(device string, f func(*Alert)) {
	for _, a := range m.alerts.byDevice[device] {
		if m.alerts.silent[a.AlertID] == nil {
			f(a)
		}
	}
}

// AllOpenAlerts is OpenAlerts of every device, in no particular order.
func (m *Model) AllOpenAlerts(f func(*Alert)) {
	for device := range m.alerts.byDevice {
		m.OpenAlerts(device, f)
	}
}

// Alerts returns the alerts for which keep returns true, in no particular order. keep is called
// within a View, so it may call Place.
func (m *Model) Alerts(keep func(*Alert) bool) []*Alert {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*Alert
	for _, a := range m.alerts.byID {
		if keep(a) {
			out = append(out, a)
		}
	}
	return out
}

// Alert returns the newest state of an incident, or nil.
func (m *Model) Alert(id string) *Alert {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.alerts.byID[id]
}

// Place returns the location of an alarm: that of its record, else that of its device. It is
// called within View or an Observer's method.
func (m *Model) Place(a *Alert) telemetry.Location {
	if a.Location.Building != "" {
		return a.Location
	}
	if d := m.devices[a.DeviceID]; d != nil {
		return d.location
	}
	return a.Location
}

// Attention returns how many alarms of a device need attention, and the worst severity of
// these. It is called within View or an Observer's method.
func (m *Model) Attention(device string) (calling int, worst telemetry.Severity) {
	for _, a := range m.alerts.byDevice[device] {
		if !a.NeedsAttention() {
			continue
		}
		calling++
		if worst == "" || Rank(a.Severity) < Rank(worst) {
			worst = a.Severity
		}
	}
	return calling, worst
}

// Standing is what of a device's alarms that are not put aside an operator is shown: how many
// hold, the worst severity of these, and the worst of those that are over and were not
// acknowledged. A severity is empty without such an alarm.
type Standing struct {
	Holding int
	Worst   telemetry.Severity
	Over    telemetry.Severity
}

// Standing returns that of a device. It is called within View or an Observer's method.
func (m *Model) Standing(device string) (s Standing) {
	for _, a := range m.alerts.byDevice[device] {
		worst := &s.Over
		switch {
		case !a.NeedsAttention():
			continue
		case a.Active():
			s.Holding++
			worst = &s.Worst
		}
		if *worst == "" || Rank(a.Severity) < Rank(*worst) {
			*worst = a.Severity
		}
	}
	return s
}

// Rank orders severities: 0 is the worst, 4 is unknown.
func Rank(s telemetry.Severity) int {
	switch s {
	case telemetry.SeverityCritical:
		return 0
	case telemetry.SeverityHigh:
		return 1
	case telemetry.SeverityMedium:
		return 2
	case telemetry.SeverityLow:
		return 3
	default:
		return 4
	}
}
