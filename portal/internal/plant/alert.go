package plant

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Alert is an incident as its newest record tells it. It is never changed: a new state
// is a new Alert.
type Alert struct {
	telemetry.Alert

	Raw []byte // the record's value, valid JSON, with all its fields
}

// Active tells whether the condition behind the alert still holds.
func (a *Alert) Active() bool { return a.Status == telemetry.AlertActive }

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
	return a, nil
}

var errAlertID = errors.New("alert_id or device_id is missing")

// alertBook keeps the newest state of every incident: all active ones and a bounded
// number of cleared ones.
type alertBook struct {
	byID     map[string]*Alert
	byDevice map[string][]*Alert // the active ones
	cleared  []string            // ids of cleared ones, oldest first
	max      int
	// silent are alerts read from the past: nobody was told of them yet. It is nil
	// from the first AlertsCaughtUp on, except while a partition is read again.
	silent map[string]*Alert
}

func newAlertBook(limit int) alertBook {
	return alertBook{byID: make(map[string]*Alert), byDevice: make(map[string][]*Alert), max: limit}
}

// put files a and tells whether it says anything new. Cleared is final; for the rest
// the later transition wins.
func (b *alertBook) put(a *Alert) bool {
	old := b.byID[a.AlertID]
	if old != nil {
		if !old.Active() || (a.Status == old.Status && a.Timestamp <= old.Timestamp) {
			return false
		}
		if old.Active() {
			b.unlist(old)
		}
	}
	b.byID[a.AlertID] = a
	if a.Active() {
		b.byDevice[a.DeviceID] = append(b.byDevice[a.DeviceID], a)
		return true
	}
	b.cleared = append(b.cleared, a.AlertID)
	for len(b.cleared) > b.max {
		delete(b.byID, b.cleared[0])
		b.cleared = b.cleared[1:]
	}
	return true
}

// unlist takes an active alert off its device's list.
func (b *alertBook) unlist(a *Alert) {
	var rest []*Alert // a new slice: readers may hold the old one
	for _, other := range b.byDevice[a.DeviceID] {
		if other != a {
			rest = append(rest, other)
		}
	}
	if len(rest) == 0 {
		delete(b.byDevice, a.DeviceID)
		return
	}
	b.byDevice[a.DeviceID] = rest
}

// ApplyAlert takes in a record of the alerts topic. The watcher is told at once when
// live is true; else, as while the topic's past is read, only by AlertsCaughtUp and only
// if the alert is still active then.
func (p *Plant) ApplyAlert(a *Alert, live bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alerts.put(a) {
		p.counts.Repeated++
		return
	}
	p.counts.Alerts++
	if live {
		delete(p.alerts.silent, a.AlertID)
		p.watcher.Alert(a)
		return
	}
	if !a.Active() {
		delete(p.alerts.silent, a.AlertID)
		return
	}
	if p.alerts.silent == nil {
		p.alerts.silent = make(map[string]*Alert)
	}
	p.alerts.silent[a.AlertID] = a
}

// AlertsCaughtUp says that the past of the alerts topic has been read: the watcher is
// told of every alert that is still active and that it has not been told of.
func (p *Plant) AlertsCaughtUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	silent := p.alerts.silent
	p.alerts.silent = nil
	for _, a := range silent {
		p.watcher.Alert(a)
	}
}

// ActiveAlerts calls f with every active alert of a device that the watcher has been told
// of. It is called within View, Change or a watcher's method.
func (p *Plant) ActiveAlerts(device string, f func(*Alert)) {
	for _, a := range p.alerts.byDevice[device] {
		if p.alerts.silent[a.AlertID] == nil {
			f(a)
		}
	}
}

// AllActiveAlerts is ActiveAlerts of every device, in no particular order.
func (p *Plant) AllActiveAlerts(f func(*Alert)) {
	for device := range p.alerts.byDevice {
		p.ActiveAlerts(device, f)
	}
}

// Alerts returns the alerts that keep says yes to, in no particular order.
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

// Attention tells how many alerts of a device are active and which severity is the
// worst of them. It is called within View, Change or a watcher's method.
func (p *Plant) Attention(device string) (active int, worst telemetry.Severity) {
	for _, a := range p.alerts.byDevice[device] {
		active++
		if worst == "" || Rank(a.Severity) < Rank(worst) {
			worst = a.Severity
		}
	}
	return active, worst
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
