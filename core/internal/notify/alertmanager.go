package notify

import (
	"slices"
	"time"
)

const (
	// batchSize is how many alerts go to Alertmanager in one request.
	batchSize = 200
	// keepResolved is how long a resolved alert is resent, as Prometheus does
	// (resolvedRetention): Alertmanager may have crashed before it notified anyone.
	keepResolved = 15 * time.Minute
	// holdFactor times the resend interval is how long an alarm fires at Alertmanager
	// without being sent again, as Prometheus does.
	holdFactor = 4
)

// alertmanager plans requests to one Alertmanager: news at once, and every alarm that
// holds at an interval, since Alertmanager resolves an alert that is not resent. Grouping,
// waiting and repeating are left to it.
type alertmanager struct {
	b     *outbox
	o     int
	cfg   *Config
	retry backoff
}

// plan returns the request that is due now, or when the next will be (zero: after the
// next change).
func (am *alertmanager) plan(now time.Time) (m *message, next time.Time) {
	if am.retry.until.After(now) {
		return nil, am.retry.until
	}
	var due []*incident
	am.b.each(func(in *incident) {
		at, ok := am.due(in, now)
		switch {
		case !ok:
		case !at.After(now):
			due = append(due, in)
		case next.IsZero() || at.Before(next):
			next = at
		}
	})
	if len(due) == 0 {
		return nil, next
	}
	return am.write(due, now), now
}

// due returns when an alarm is to be sent.
func (am *alertmanager) due(in *incident, now time.Time) (time.Time, bool) {
	t := &in.outputs[am.o]
	switch {
	case t.waiting:
		return now, true
	case in.want.firing || t.ours && t.sent != nil && !t.sent.firing && now.Sub(in.want.at) < keepResolved:
		return t.sentAt.Add(am.cfg.ResendInterval), true
	default:
		return time.Time{}, false
	}
}

func (am *alertmanager) write(due []*incident, now time.Time) *message {
	am.b.mu.Lock()
	defer am.b.mu.Unlock()
	slices.SortFunc(due, byImportance(am.o))
	f := form{externalURL: am.cfg.ExternalURL, hold: holdFactor * am.cfg.ResendInterval}
	m := &message{}
	var alerts []alertJSON
	for _, in := range due[:min(len(due), batchSize)] {
		alerts = append(alerts, f.of(in, am.o, now)...)
		m.items = append(m.items, item{in, in.want, true})
	}
	m.body = encode(alerts)
	return m
}

func (am *alertmanager) done(*message, time.Time) { am.retry = backoff{} }

func (am *alertmanager) failed(_ *message, now time.Time) (tries int) { return am.retry.next(now) }
