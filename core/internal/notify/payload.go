package notify

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"time"
)

// Statuses of an alert and of a group of them.
const (
	statusFiring   = "firing"
	statusResolved = "resolved"
)

// alertJSON is an alert as Alertmanager's API (v2, postableAlert) takes it, and, with
// status and fingerprint, as its webhooks show it.
type alertJSON struct {
	Status       string            `json:"status,omitempty"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
}

// groupJSON is the message of Alertmanager's webhooks, version 4
// (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
type groupJSON struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []alertJSON       `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
}

// form writes alerts.
type form struct {
	externalURL string
	// webhook adds status and fingerprint, and gives a firing alert no end. Otherwise
	// a firing alert ends after hold unless it is sent again.
	webhook bool
	hold    time.Duration
}

// link returns the portal's page of an alarm.
func (f form) link(id string) string {
	if f.externalURL == "" {
		return ""
	}
	return strings.TrimSuffix(f.externalURL, "/") + "/#/alarms/" + url.PathEscape(id)
}

// of returns the alerts to send to output o for an alarm: usually one. An alarm whose
// severity changed is a different alert to Alertmanager, so the previous one is resolved.
func (f form) of(in *incident, o int, now time.Time) []alertJSON {
	want, sent := in.want, in.outputs[o].sent
	changed := sent != nil && sent.firing && sent.fingerprint != want.fingerprint
	switch {
	case want.firing && changed:
		return []alertJSON{f.alert(want, want, now), f.alert(sent, &notice{alert: want.alert}, now)}
	case changed:
		return []alertJSON{f.alert(sent, want, now)}
	default:
		return []alertJSON{f.alert(want, want, now)}
	}
}

// alert writes the alarm known by id's labels in a state.
func (f form) alert(id, state *notice, now time.Time) alertJSON {
	link := f.link(id.alert.AlertID)
	a := alertJSON{Labels: id.labels(), Annotations: state.annotations(link), StartsAt: id.began(now), GeneratorURL: link}
	if !state.firing {
		a.EndsAt = state.ended(now)
	} else if !f.webhook {
		a.EndsAt = now.Add(f.hold).UTC()
	}
	if f.webhook {
		a.Fingerprint, a.Status = id.fingerprint, statusResolved
		if state.firing {
			a.Status = statusFiring
		}
	}
	return a
}

// common returns what all maps agree on.
func common(alerts []alertJSON, of func(*alertJSON) map[string]string) map[string]string {
	out := map[string]string{}
	for i := range alerts {
		m := of(&alerts[i])
		if i == 0 {
			maps.Copy(out, m)
			continue
		}
		for k, v := range out {
			if m[k] != v {
				delete(out, k)
			}
		}
	}
	return out
}

// encode writes v as JSON, without escaping < and >.
func encode(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // texts, times and whole numbers can always be written
	}
	return buf.Bytes()
}
