package notify

import (
	"context"
	"log/slog"
	"time"

	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// gatherPause is how long news is collected before a message is planned.
	gatherPause = 50 * time.Millisecond
	// stopTimeout is how long a request under way may last when the program stops.
	stopTimeout = 2 * time.Second
)

// planner decides what to send to an output, and when.
type planner interface {
	plan(now time.Time) (m *message, next time.Time)
	done(m *message, now time.Time)
	failed(m *message, now time.Time) (tries int)
}

// deliverer sends to one output, one request at a time. What it could not deliver stays
// in the outbox; a retry sends the state of that moment.
type deliverer struct {
	name    string
	o       int
	b       *outbox
	planner planner
	poster  *poster
	counts  *counts
	log     *slog.Logger

	notBefore time.Time // set by the receiver's Retry-After
	failing   bool
}

// run delivers until ctx ends.
func (d *deliverer) run(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		if d.notBefore.After(now) {
			lifecycle.Pause(ctx, d.notBefore.Sub(now))
			continue
		}
		m, next := d.planner.plan(now)
		if m == nil {
			d.wait(ctx, next, now)
			continue
		}
		d.deliver(ctx, m)
	}
}

// wait blocks until next (for ever when that is zero) or until the outbox changes.
func (d *deliverer) wait(ctx context.Context, next, now time.Time) {
	var timer <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(next.Sub(now))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-d.b.changed[d.o]:
		lifecycle.Pause(ctx, gatherPause)
	}
}

// deliver sends one message and records its outcome.
func (d *deliverer) deliver(ctx context.Context, m *message) {
	life, cut := lifecycle.Outlive(ctx, stopTimeout)
	defer cut()
	a := d.poster.post(life, m.body)
	now := time.Now()
	d.counts.requests[a.outcome].Inc()
	switch a.outcome {
	case accepted:
		d.settle(m, now)
		d.counts.lastSuccess.Store(now.UnixMilli())
		if d.failing {
			d.failing = false
			d.log.Info("receiver accepts notifications again")
		}
	case refused:
		d.counts.refused.Add(float64(len(m.items)))
		d.log.Error("notification refused, dropped", "status", a.status, "alarms", len(m.items), "answer", a.text, "err", a.err)
		d.settle(m, now)
	case failed:
		d.failing = true
		d.notBefore = now.Add(a.pause)
		tries := d.planner.failed(m, now)
		if tries&(tries-1) == 0 { // the 1st, 2nd, 4th, … time
			d.log.Warn("notification failed, retrying", "status", a.status, "alarms", len(m.items), "tries", tries, "answer", a.text, "err", a.err)
		}
	}
}

func (d *deliverer) settle(m *message, now time.Time) {
	d.b.delivered(d.o, m.items, now)
	d.planner.done(m, now)
}
