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
	monitorEvery = time.Second
	// stuckAfter is how long work may wait without a checkpoint moving before the bridge is
	// not ready.
	stuckAfter = 15 * time.Second
	// freshHeartbeat is how old the heartbeat of a reachable gateway may be.
	freshHeartbeat = 5 * time.Second
)

// monitor compares the gateways' heartbeats with their checkpoints, once a second.
//
// It decides about readiness: whether the bridge does its part. That fails if it is not in
// the group, a lane does not open, fetched packs are not committed, or no gateway at all
// advances. A single gateway that is unreadable, or whose heartbeats come and go, does not
// count: it has its own metrics and log lines, and must not take the bridge from the others.
type monitor struct {
	roster   *roster.Roster
	progress *lane.Progress
	members  *membership

	known prometheus.Gauge
	lag   *prometheus.GaugeVec
	age   *prometheus.GaugeVec

	mu       sync.Mutex
	out      time.Time           // since when this bridge is not in the group, zero: it is
	closed   map[int32]time.Time // since when an assigned lane is not running
	gateways map[string]backlog
	moved    time.Time // when any gateway last advanced, or there was nothing to do
}

// backlog is the state of one gateway at a check.
type backlog struct {
	seq     uint64    // committed
	lag     uint64    // packs that are not
	behind  time.Time // since when there are any
	fetched bool      // some of them are fetched
	since   time.Time // since when it is at seq with fetched packs
}

func newMonitor(r *roster.Roster, p *lane.Progress, m *membership, reg prometheus.Registerer) *monitor {
	w := &monitor{
		roster: r, progress: p, members: m, moved: time.Now(), closed: map[int32]time.Time{}, gateways: map[string]backlog{},
		known: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_gateways_known", Help: "Gateways whose heartbeats arrive.",
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bridge_gateway_lag_packs", Help: "Uncommitted packs of a gateway at its last heartbeat.",
		}, []string{"gateway"}),
		age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bridge_gateway_unbridged_age_seconds", Help: "Age of the oldest uncommitted pack of a gateway, as far as known; 0 if there is none.",
		}, []string{"gateway"}),
	}
	reg.MustRegister(w.known, w.lag, w.age)
	return w
}

// run checks until ctx ends.
func (w *monitor) run(ctx context.Context, lanes func() int32) error {
	tick := time.NewTicker(monitorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if n := lanes(); n > 0 {
				w.check(now, n)
			}
		}
	}
}

// check updates the state of every gateway whose lane runs here.
func (w *monitor) check(now time.Time, lanes int32) {
	statuses := w.roster.Statuses()
	w.known.Set(float64(len(statuses)))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkLanes(now)
	gateways := map[string]backlog{}
	work, free, moved := false, false, false
	for i := range statuses {
		gateway := statuses[i].Gateway
		if !w.progress.Owns(lane.Of(gateway, lanes)) {
			continue
		}
		pos, ok := w.progress.Position(gateway)
		next := w.backlog(now, &statuses[i], pos)
		before, had := w.gateways[gateway]
		moved = moved || had && before.seq != next.seq
		// One that is unreachable or skipped (it has a duplicate, or an unreadable
		// checkpoint) is no work.
		if ok && w.roster.Listed(gateway, freshHeartbeat) {
			work, free = work || next.lag > 0, free || next.lag == 0
		}
		w.lag.WithLabelValues(gateway).Set(float64(next.lag))
		w.age.WithLabelValues(gateway).Set(next.unbridged(now, pos).Seconds())
		gateways[gateway] = next
	}
	if moved || free || !work {
		w.moved = now
	}
	w.replace(gateways)
}

// checkLanes records since when this bridge is out of the group, and lanes are closed.
func (w *monitor) checkLanes(now time.Time) {
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

// backlog returns the state of one gateway, given the one at the last check.
func (w *monitor) backlog(now time.Time, s *wire.GatewayStatus, pos lane.Position) backlog {
	next := backlog{seq: pos.Committed.Seq, behind: now, fetched: pos.Fetched.Seq > pos.Committed.Seq, since: now}
	if s.LastSeq > next.seq {
		next.lag = s.LastSeq - next.seq
	}
	before, had := w.gateways[s.Gateway]
	if had && before.lag > 0 {
		next.behind = before.behind
	}
	if had && before.fetched && next.fetched && before.seq == next.seq {
		next.since = before.since
	}
	return next
}

// unbridged returns the age of the oldest uncommitted pack: exact if it is fetched, else
// the time since it was first noticed.
func (b *backlog) unbridged(now time.Time, pos lane.Position) time.Duration {
	switch {
	case pos.Oldest != 0:
		return max(0, now.Sub(time.UnixMilli(pos.Oldest)))
	case b.lag != 0:
		return now.Sub(b.behind)
	default:
		return 0
	}
}

// replace sets the gateways, and removes the metrics of those that are gone.
func (w *monitor) replace(gateways map[string]backlog) {
	for gateway := range w.gateways {
		if _, ours := gateways[gateway]; !ours {
			w.lag.DeleteLabelValues(gateway)
			w.age.DeleteLabelValues(gateway)
		}
	}
	w.gateways = gateways
}

// stuck returns an error if any of the bridge's own work does not move.
func (w *monitor) stuck(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	long := func(since time.Time) bool { return now.Sub(since) > stuckAfter }
	if !w.out.IsZero() && long(w.out) {
		return fmt.Errorf("%w: not in the consumer group since %s", errNotReady, w.out.Format(time.TimeOnly))
	}
	for l, since := range w.closed {
		if long(since) {
			return fmt.Errorf("%w: lane %d assigned but not open since %s", errNotReady, l, since.Format(time.TimeOnly))
		}
	}
	for gateway, b := range w.gateways {
		if b.fetched && long(b.since) {
			return fmt.Errorf("%w: gateway %s has fetched packs and no commit since %s", errNotReady, gateway, b.since.Format(time.TimeOnly))
		}
	}
	if long(w.moved) {
		return fmt.Errorf("%w: gateways have a backlog and no checkpoint moved since %s", errNotReady, w.moved.Format(time.TimeOnly))
	}
	return nil
}
