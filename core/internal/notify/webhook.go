package notify

import (
	"slices"
	"strconv"
	"time"
)

// receiver is the name under which a webhook's message presents itself.
const receiver = "industrial-iot-monitor"

// message is one request to an output.
type message struct {
	body  []byte
	items []item
	group groupKey
}

// groupKey names the alarms that share webhook messages. The partition is part of it
// because the core that owns a partition sees only its alarms: if two cores wrote under
// one key, one core's "resolved" would end what still fires at the other. With the
// partition a key means the same whichever core writes.
type groupKey struct {
	partition int32
	building  string
}

func (k groupKey) String() string {
	return `{}/{partition="` + strconv.Itoa(int(k.partition)) + `"}:{building=` + strconv.Quote(k.building) + "}"
}

// webhook plans messages as Alertmanager does: the first of a group waits for company,
// further ones follow at an interval, and without news the message is repeated while
// an alarm in it holds unacknowledged.
type webhook struct {
	b      *outbox
	o      int
	cfg    *Config
	groups map[groupKey]*group
}

// group is what was sent of a group.
type group struct {
	last  time.Time // zero for never
	retry backoff
}

func newWebhook(b *outbox, o int, cfg *Config) *webhook {
	return &webhook{b: b, o: o, cfg: cfg, groups: map[groupKey]*group{}}
}

// view is the present state of a group.
type view struct {
	members []*incident
	waiting int
	since   time.Time // the first began to wait
	sent    time.Time // of the newest record sent by another core
	unacked bool      // an alarm holds and was not acknowledged
}

// plan returns the message that is due now, or when the next will be (zero: after the
// next change).
func (w *webhook) plan(now time.Time) (m *message, next time.Time) {
	views := map[groupKey]*view{}
	w.b.each(func(in *incident) { w.add(views, in) })
	var best groupKey
	var bestDue time.Time
	for key, v := range views {
		due := w.due(key, v, now)
		if !due.IsZero() && (bestDue.IsZero() || due.Before(bestDue)) {
			best, bestDue = key, due
		}
	}
	w.forget(views, now)
	if bestDue.IsZero() || bestDue.After(now) {
		return nil, bestDue
	}
	return w.write(best, now), now
}

// add puts an alarm in its group, unless its end was sent.
func (w *webhook) add(views map[groupKey]*view, in *incident) {
	t := &in.outputs[w.o]
	if !t.waiting && !in.want.firing {
		return
	}
	key := groupKey{in.partition, in.want.alert.Location.Building}
	v := views[key]
	if v == nil {
		v = &view{}
		views[key] = v
	}
	v.members = append(v.members, in)
	if t.waiting {
		v.waiting++
		if v.since.IsZero() || t.since.Before(v.since) {
			v.since = t.since
		}
	} else if in.want.alert.Ack == nil {
		v.unacked = true
	}
	if t.sent != nil && !t.ours && t.sent.at.After(v.sent) {
		v.sent = t.sent.at
	}
}

// due returns when a group's next message is due, zero for not at all.
func (w *webhook) due(key groupKey, v *view, now time.Time) time.Time {
	g := w.groups[key]
	if g == nil {
		g = &group{}
		if !v.sent.IsZero() {
			// Another core wrote. Repeats keep the rhythm of the newest alarm,
			// however often cores start.
			g.last = now.Add(-(now.Sub(v.sent) % w.cfg.RepeatInterval))
		}
		w.groups[key] = g
	}
	var due time.Time
	switch {
	case v.waiting > 0:
		due = v.since.Add(w.cfg.GroupWait)
		if !g.last.IsZero() {
			due = later(due, g.last.Add(w.cfg.GroupInterval))
		}
	case v.unacked:
		due = g.last.Add(w.cfg.RepeatInterval)
	default:
		return time.Time{}
	}
	return later(due, g.retry.until)
}

func (w *webhook) forget(views map[groupKey]*view, now time.Time) {
	for key, g := range w.groups {
		if views[key] == nil && now.Sub(g.last) > w.cfg.GroupInterval {
			delete(w.groups, key)
		}
	}
}

// write makes a group's message of the present state.
func (w *webhook) write(key groupKey, now time.Time) *message {
	var members []*incident
	m := &message{group: key}
	f := form{externalURL: w.cfg.ExternalURL, webhook: true}
	g := groupJSON{
		Receiver: receiver, Status: statusResolved, Alerts: []alertJSON{}, Version: "4", GroupKey: key.String(),
		GroupLabels: tidy(map[string]string{"building": key.building}), ExternalURL: w.cfg.ExternalURL,
	}
	w.b.each(func(in *incident) {
		if in.partition == key.partition && in.want.alert.Location.Building == key.building && (in.want.firing || in.outputs[w.o].waiting) {
			members = append(members, in)
		}
	})
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	slices.SortFunc(members, byImportance(w.o))
	for _, in := range members {
		if in.want.firing {
			g.Status = statusFiring
		}
		listed := len(g.Alerts) < w.cfg.MaxAlerts
		if listed {
			g.Alerts = append(g.Alerts, f.of(in, w.o, now)...)
		} else {
			g.TruncatedAlerts++
		}
		// The end of an alarm that was listed is listed too, in a later message.
		if listed || in.want.firing || !in.outputs[w.o].listed {
			m.items = append(m.items, item{in, in.want, listed})
		}
	}
	g.CommonLabels = common(g.Alerts, func(a *alertJSON) map[string]string { return a.Labels })
	g.CommonAnnotations = common(g.Alerts, func(a *alertJSON) map[string]string { return a.Annotations })
	m.body = encode(g)
	return m
}

// done records a message that was accepted, or dropped.
func (w *webhook) done(m *message, now time.Time) {
	w.groups[m.group] = &group{last: now}
}

// failed delays a group. The others are tried meanwhile: the receiver may object to this
// message only.
func (w *webhook) failed(m *message, now time.Time) (tries int) {
	return w.groups[m.group].retry.next(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
