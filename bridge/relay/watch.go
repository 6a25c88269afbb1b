package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/wire"
)

const (
	watchEvery = time.Second
	// stuckAfter is how long work may lie about without a checkpoint moving before the
	// bridge is not ready.
	stuckAfter = 15 * time.Second
	// freshHeartbeat is how old a gateway's heartbeat may be to say that it can be reached.
	freshHeartbeat = 5 * time.Second
)

// watch compares what the gateways say they hold with what is committed, once a second.
//
// It decides about readiness: whether the bridge does its part. Not to be in the group, a
// lane that does not open, packs in hand that are not committed, and no gateway moving at
// all are the bridge's. One gateway among others that cannot be read, or whose heartbeats
// come and go, is not: it has metrics and log lines of its own, and must not take the
// bridge away from the others.
type watch struct {
	roster   *roster.Roster
	progress *lane.Progress
	members  *membership

	known prometheus.Gauge
	lag   *prometheus.GaugeVec
	age   *prometheus.GaugeVec

	mu     sync.Mutex
	out    time.Time           // since when this bridge is not in the group, zero: it is
	closed map[int32]time.Time // since when an assigned lane is not working
	waits  map[string]wait     // by gateway
	moved  time.Time           // when any gateway last moved, or there was nothing to do
}

// wait is how one gateway stood at the last look.
type wait struct {
	seq    uint64    // committed
	lag    uint64    // packs that are not
	behind time.Time // since when there are such
	hand   bool      // some of them are fetched
	since  time.Time // since when it stands at seq with packs in hand
}

func newWatch(r *roster.Roster, p *lane.Progress, m *membership, reg prometheus.Registerer) *watch {
	w := &watch{
		roster: r, progress: p, members: m, moved: time.Now(), closed: map[int32]time.Time{}, waits: map[string]wait{},
		known: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_gateways_known", Help: "Gateways whose heartbeats arrive.",
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bridge_gateway_lag_packs", Help: "Packs that a gateway of our lanes held at its last heartbeat and that are not committed.",
		}, []string{"gateway"}),
		age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bridge_gateway_unbridged_age_seconds", Help: "Age of the oldest pack of a gateway of our lanes that is not committed, as far as it is known; 0 when there is none.",
		}, []string{"gateway"}),
	}
	reg.MustRegister(w.known, w.lag, w.age)
	return w
}

// run watches until ctx ends.
func (w *watch) run(ctx context.Context, lanes func() int32) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if n := lanes(); n > 0 {
				w.look(now, n)
			}
		}
	}
}

// look takes the figures of every gateway whose lane is worked here.
func (w *watch) look(now time.Time, lanes int32) {
	statuses := w.roster.Statuses()
	w.known.Set(float64(len(statuses)))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookAtLanes(now)
	waits := map[string]wait{}
	work, free, moved := false, false, false
	for i := range statuses {
		gateway := statuses[i].Gateway
		if !w.progress.Owns(lane.Of(gateway, lanes)) {
			continue
		}
		pos, ok := w.progress.Position(gateway)
		next := w.wait(now, &statuses[i], pos)
		before, had := w.waits[gateway]
		moved = moved || had && before.seq != next.seq
		// One that cannot be reached, or is left alone (two share its id, or its checkpoint
		// cannot be read), is no work.
		if ok && w.roster.Listed(gateway, freshHeartbeat) {
			work, free = work || next.lag > 0, free || next.lag == 0
		}
		w.lag.WithLabelValues(gateway).Set(float64(next.lag))
		w.age.WithLabelValues(gateway).Set(next.unbridged(now, pos).Seconds())
		waits[gateway] = next
	}
	if moved || free || !work {
		w.moved = now
	}
	w.forget(waits)
}

// lookAtLanes notes since when something keeps lanes from working.
func (w *watch) lookAtLanes(now time.Time) {
	_, in, mine := w.members.now()
	switch {
	case in:
		w.out = time.Time{}
	case w.out.IsZero():
		w.out = now
	}
	closed := map[int32]time.Time{}
	for _, l := range mine {
		if w.progress.Owns(l) {
			continue
		}
		closed[l] = now
		if since, ok := w.closed[l]; ok {
			closed[l] = since
		}
	}
	w.closed = closed
}

// wait judges one gateway by what it was at the last look.
func (w *watch) wait(now time.Time, s *wire.GatewayStatus, pos lane.Position) wait {
	next := wait{seq: pos.Committed.Seq, behind: now, hand: pos.Fetched.Seq > pos.Committed.Seq, since: now}
	if s.LastSeq > next.seq {
		next.lag = s.LastSeq - next.seq
	}
	before, had := w.waits[s.Gateway]
	if had && before.lag > 0 {
		next.behind = before.behind
	}
	if had && before.hand && next.hand && before.seq == next.seq {
		next.since = before.since
	}
	return next
}

// unbridged is the age of the oldest pack that is not committed: exact while it is
// fetched, else the time since it was first noticed.
func (v *wait) unbridged(now time.Time, pos lane.Position) time.Duration {
	switch {
	case pos.Oldest != 0:
		return max(0, now.Sub(time.UnixMilli(pos.Oldest)))
	case v.lag != 0:
		return now.Sub(v.behind)
	default:
		return 0
	}
}

// forget removes the figures of gateways that are not ours any more.
func (w *watch) forget(waits map[string]wait) {
	for gateway := range w.waits {
		if _, ours := waits[gateway]; !ours {
			w.lag.DeleteLabelValues(gateway)
			w.age.DeleteLabelValues(gateway)
		}
	}
	w.waits = waits
}

// stuck returns an error when something that is the bridge's part does not move.
func (w *watch) stuck(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	long := func(since time.Time) bool { return now.Sub(since) > stuckAfter }
	if !w.out.IsZero() && long(w.out) {
		return fmt.Errorf("%w: the group of bridges has no place for this one since %s", errNotReady, w.out.Format(time.TimeOnly))
	}
	for l, since := range w.closed {
		if long(since) {
			return fmt.Errorf("%w: lane %d does not open since %s", errNotReady, l, since.Format(time.TimeOnly))
		}
	}
	for gateway, v := range w.waits {
		if v.hand && long(v.since) {
			return fmt.Errorf("%w: packs of gateway %s are in hand and its checkpoint has not moved since %s", errNotReady, gateway, v.since.Format(time.TimeOnly))
		}
	}
	if long(w.moved) {
		return fmt.Errorf("%w: gateways hold packs and no checkpoint has moved since %s", errNotReady, w.moved.Format(time.TimeOnly))
	}
	return nil
}
