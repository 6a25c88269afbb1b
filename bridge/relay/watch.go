package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/bridge/internal/roster"
)

const (
	watchEvery = time.Second
	// stuckAfter is how long work may lie about without a checkpoint moving before the
	// bridge is not ready.
	stuckAfter = 15 * time.Second
)

// watch compares what the gateways say they hold with what is committed, once a second.
type watch struct {
	roster   *roster.Roster
	progress *lane.Progress

	known prometheus.Gauge
	lag   *prometheus.GaugeVec
	age   *prometheus.GaugeVec

	mu     sync.Mutex
	quiet  time.Time            // when there was last nothing to do
	behind map[string]time.Time // since when a gateway's newest pack is not committed
	shown  map[string]bool      // gateways that have figures
}

func newWatch(r *roster.Roster, p *lane.Progress, reg prometheus.Registerer) *watch {
	w := &watch{
		roster: r, progress: p, quiet: time.Now(), behind: map[string]time.Time{}, shown: map[string]bool{},
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
	seen := map[string]bool{}
	work := false
	for _, s := range statuses {
		if !w.progress.Owns(lane.Of(s.Gateway, lanes)) {
			continue
		}
		seen[s.Gateway] = true
		pos, _ := w.progress.Position(s.Gateway) // none: nothing is committed yet
		var lag uint64
		if s.LastSeq > pos.Seq {
			lag = s.LastSeq - pos.Seq
			work = true
		}
		w.lag.WithLabelValues(s.Gateway).Set(float64(lag))
		w.age.WithLabelValues(s.Gateway).Set(w.unbridged(now, s.Gateway, lag, pos).Seconds())
	}
	if !work {
		w.quiet = now
	}
	w.forget(seen)
}

// unbridged is the age of a gateway's oldest pack that is not committed: exact while
// it is fetched, else the time since it was first noticed.
func (w *watch) unbridged(now time.Time, gateway string, lag uint64, pos lane.Position) time.Duration {
	if lag == 0 {
		delete(w.behind, gateway)
	} else if _, ok := w.behind[gateway]; !ok {
		w.behind[gateway] = now
	}
	switch {
	case pos.Oldest != 0:
		return max(0, now.Sub(time.UnixMilli(pos.Oldest)))
	case lag != 0:
		return now.Sub(w.behind[gateway])
	default:
		return 0
	}
}

// forget removes the figures of gateways that are not ours any more.
func (w *watch) forget(seen map[string]bool) {
	for gateway := range w.behind {
		if !seen[gateway] {
			delete(w.behind, gateway)
		}
	}
	for gateway := range w.shown {
		if !seen[gateway] {
			w.lag.DeleteLabelValues(gateway)
			w.age.DeleteLabelValues(gateway)
		}
	}
	w.shown = seen
}

// stuck returns an error when there has been work for a while and nothing moves.
func (w *watch) stuck(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := w.quiet
	if moved := w.progress.Moved(); moved.After(since) {
		since = moved
	}
	if still := now.Sub(since); still > stuckAfter {
		return fmt.Errorf("%w: gateways hold packs and no checkpoint has moved for %s", errNotReady, still.Round(time.Second))
	}
	return nil
}
