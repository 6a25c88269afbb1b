package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Alert is an incident as its newest record tells it. It is never changed: a new state
// is a new Alert. Where a record says nothing of State, Priority and RaisedAt, as those
// from before there were revisions do, ParseAlert fills them in.
type Alert struct {
	telemetry.Alert

	Raw []byte // the record's value, valid JSON, with all its fields
}

// Active tells whether the condition behind the alert still holds.
func (a *Alert) Active() bool { return a.Status == telemetry.AlertActive }

// Open tells whether an alarm is not done with: its condition holds or nobody has seen it. An
// incident found in late readings is history and never open.
func (a *Alert) Open() bool { return a.State != telemetry.AlarmNormal && !a.Historical }

// Aside tells whether an alarm is not for an operator's eyes now: shelved, suppressed under
// another one, or out of service.
func (a *Alert) Aside() bool {
	return a.Shelved != nil || a.Suppressed != nil || a.OutOfService != nil
}

// Calls tells whether an alarm needs an operator's attention: it is open and not put aside.
func (a *Alert) Calls() bool { return a.Open() && !a.Aside() }

// Unseen tells whether nobody has acknowledged an open alarm.
func (a *Alert) Unseen() bool { return a.Open() && a.State != telemetry.AlarmAcknowledged }

var errAlertText = errors.New("not valid UTF-8")

// ParseAlert reads a record of the alerts topic. The bytes are copied.
func ParseAlert(raw []byte) (*Alert, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("reading an alert: %w", errAlertText)
	}
	a := &Alert{Raw: append([]byte(nil), raw...)}
	if err := json.Unmarshal(a.Raw, &a.Alert); err != nil {
		return nil, fmt.Errorf("reading an alert: %w", err)
	}
	if a.AlertID == "" || a.DeviceID == "" {
		return nil, fmt.Errorf("reading an alert: %w", errAlertID)
	}
	a.complete()
	return a, nil
}

var errAlertID = errors.New("alert_id or device_id is missing")

// complete fills in what a record from before there were revisions does not say. Such an
// incident is unacknowledged as long as it is active and done with when it is cleared:
// there was no way to acknowledge one.
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

// succeeds tells whether a is newer than what is known of the same incident. The higher
// revision wins; between records without one cleared is final and else the later
// transition wins.
func (a *Alert) succeeds(old *Alert) bool {
	if a.Revision != 0 || old.Revision != 0 {
		return a.Revision > old.Revision
	}
	return old.Active() && (a.Status != old.Status || a.Timestamp > old.Timestamp)
}

// ApplyAlert takes in a record of the alerts topic. The watcher is told at once when
// live is true; else, as while the topic's past is read, only by AlertsCaughtUp and only
// if the alarm is still open then. Of historical incidents it is not told.
func (p *Plant) ApplyAlert(a *Alert, live bool) {
	now := p.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.alerts.byID[a.AlertID]
	if !p.alerts.put(a) {
		p.counts.Repeated++
		return
	}
	p.counts.Alerts++
	p.calls.note(p.callOf(a, old == nil), now)
	_, hidden := p.alerts.silent[a.AlertID]
	told := old != nil && old.Open() && !hidden
	switch {
	case live || told && !a.Open():
		delete(p.alerts.silent, a.AlertID)
		if !a.Historical || told {
			p.watcher.Alert(a)
		}
	case !a.Open():
		delete(p.alerts.silent, a.AlertID)
	default:
		if p.alerts.silent == nil {
			p.alerts.silent = make(map[string]*Alert)
		}
		p.alerts.silent[a.AlertID] = a
	}
}

// AlertsCaughtUp says that the past of the alerts topic has been read: the watcher is
// told of every alarm that is still open and that it has not been told of.
func (p *Plant) AlertsCaughtUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	silent := p.alerts.silent
	p.alerts.silent = nil
	for _, a := range silent {
		p.watcher.Alert(a)
	}
}

// OpenAlerts calls f with every open alarm of a device that the watcher has been told
// of. It is called within View, Change or a watcher's method.
func (p *Plant) OpenAlerts(device string, f func(*Alert)) {
	for _, a := range p.alerts.byDevice[device] {
		if p.alerts.silent[a.AlertID] == nil {
			f(a)
		}
	}
}

// AllOpenAlerts is OpenAlerts of every device, in no particular order.
func (p *Plant) AllOpenAlerts(f func(*Alert)) {
	for device := range p.alerts.byDevice {
		p.OpenAlerts(device, f)
	}
}

// Alerts returns the alerts that keep says yes to, in no particular order. keep is called
// within a View, so it may call Place.
func (p *Plant) Alerts(keep func(*Alert) bool) []*Alert {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []*Alert
	for _, a := range p.alerts.byID {
		if keep(a) {
			out = append(out, a)
		}
	}
	return out
}

// Alert returns the newest state of an incident, or nil.
func (p *Plant) Alert(id string) *Alert {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.alerts.byID[id]
}

// Place returns where an alarm is: as its record says, else where its device hangs. It is
// called within View, Change or a watcher's method.
func (p *Plant) Place(a *Alert) telemetry.Location {
	if a.Location.Building != "" {
		return a.Location
	}
	if d := p.devices[a.DeviceID]; d != nil {
		return d.location
	}
	return a.Location
}

// Attention tells how many alarms of a device need attention and which severity is the
// worst of them. It is called within View, Change or a watcher's method.
func (p *Plant) Attention(device string) (calling int, worst telemetry.Severity) {
	for _, a := range p.alerts.byDevice[device] {
		if !a.Calls() {
			continue
		}
		calling++
		if worst == "" || Rank(a.Severity) < Rank(worst) {
			worst = a.Severity
		}
	}
	return calling, worst
}

// Rank orders severities: 0 is the worst, 4 is one that is not known.
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
