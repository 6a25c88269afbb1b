package gateway

import (
	"context"
	"errors"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
)

// Timing of the healer.
const (
	healEvery = 250 * time.Millisecond
	// healAfter is how long storage may fail before its server is restarted. After a
	// write error a stream does not respond, or refuses everything, until then.
	healAfter = 2 * time.Second
	// canaryTimeout is how long the canary may fail: a slow disk is not a dead one.
	canaryTimeout = 5 * time.Second
	// slowDisk is a test write so slow that a restart would not help.
	slowDisk = time.Second
	// healPause separates two restarts; it doubles up to healPauseMax while they do not help.
	healPause    = 3 * time.Second
	healPauseMax = 30 * time.Second
	restartLimit = 30 * time.Second
	// stuckAfter ends the gateway as the last resort, for the supervisor to restart it.
	stuckAfter = 5 * time.Minute
	warnEvery  = 10 * time.Second
)

// healer restarts the embedded server when storage fails although the disk works. While
// the disk accepts no writes it only waits.
type healer struct {
	g      *Gateway
	pause  time.Duration
	last   time.Time // of the newest restart
	warned time.Time // when the bad disk was last logged
}

// heal checks storage until ctx ends.
func (g *Gateway) heal(ctx context.Context) error {
	h := &healer{g: g, pause: healPause}
	tick := time.NewTicker(healEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		h.check(ctx)
	}
}

func (h *healer) check(ctx context.Context) {
	why := h.g.storageFailure()
	if why == "" {
		if time.Since(h.last) > healPauseMax {
			h.pause = healPause
		}
		return
	}
	if !h.last.IsZero() && time.Since(h.last) < h.pause {
		return
	}
	took, err := h.g.broker.TryDisk()
	if err != nil || took > slowDisk {
		h.g.diskBad.Store(true)
		if time.Since(h.warned) > warnEvery {
			h.warned = time.Now()
			h.g.log.Error("storage failing and the disk accepts no writes, waiting", "why", why, "took", took, "err", err)
		}
		return
	}
	h.g.diskBad.Store(false)
	h.restart(ctx, why)
}

func (h *healer) restart(ctx context.Context, why string) {
	h.g.log.Warn("storage failing on a working disk, restarting it", "why", why)
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, restartLimit)
	defer cancel()
	err := h.g.broker.Restart(ctx, false)
	if errors.Is(err, broker.ErrStopped) {
		return
	}
	if h.last.IsZero() || time.Since(h.last) < healPauseMax {
		h.pause = min(2*h.pause, healPauseMax)
	}
	h.last = time.Now()
	h.g.restarts.Add(1)
	h.g.metrics.storeRestarts.Inc()
	h.g.noteDamage()
	if err != nil {
		h.g.log.Error("storage restart failed", "err", err, "took", time.Since(start))
		return
	}
	h.g.log.Info("storage restarted", "took", time.Since(start))
}

// storageFailure describes the failure of storage, "" while it works.
func (g *Gateway) storageFailure() string {
	if since := g.collector.Failing(); !since.IsZero() && time.Since(since) > healAfter {
		return "packs are not stored"
	}
	if at := g.alive.Load(); at != nil && time.Since(*at) > canaryTimeout {
		return "the stream does not respond"
	}
	return ""
}

// noteDamage sets the metrics of the salvage.
func (g *Gateway) noteDamage() {
	r := g.broker.Salvaged()
	g.metrics.salvaged.Set(float64(r.Salvaged))
	g.metrics.damagedBytes.Set(float64(r.DamagedBytes))
	g.metrics.missingPacks.Set(float64(r.MissingPacks))
}
