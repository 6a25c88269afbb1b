package gateway

import (
	"context"
	"errors"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
)

// Timing of the healer.
const (
	healLook = 250 * time.Millisecond
	// healAfter is how long storage may fail before its server is started again. A
	// stream that met a write error answers nobody, or refuses everything, until then.
	healAfter = 2 * time.Second
	// silentFor is how long the canary may get no answer: a slow disk is not a dead one.
	silentFor = 5 * time.Second
	// slowDisk is a disk on which a restart would help nobody.
	slowDisk = time.Second
	// healPause lies between two restarts; it doubles up to healPauseMax while they do not help.
	healPause    = 3 * time.Second
	healPauseMax = 30 * time.Second
	restartLimit = 30 * time.Second
	// stuckAfter ends the gateway as the last resort. The supervisor starts it again.
	stuckAfter = 5 * time.Minute
	warnEvery  = 10 * time.Second
)

// healer starts the embedded server again when storage does not work and the disk
// does: on a disk that takes no writes nothing helps but waiting for it.
type healer struct {
	g     *Gateway
	pause time.Duration
	last  time.Time // of the newest restart
	said  time.Time // when it was last said that the disk takes nothing
}

// heal looks after storage until ctx ends.
func (g *Gateway) heal(ctx context.Context) error {
	h := &healer{g: g, pause: healPause}
	tick := time.NewTicker(healLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		h.look(ctx)
	}
}

func (h *healer) look(ctx context.Context) {
	why := h.g.ailing()
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
		if time.Since(h.said) > warnEvery {
			h.said = time.Now()
			h.g.log.Error("storage does not work, and the disk takes no writes; waiting for it", "why", why, "took", took, "err", err)
		}
		return
	}
	h.g.diskBad.Store(false)
	h.restart(ctx, why)
}

func (h *healer) restart(ctx context.Context, why string) {
	h.g.log.Warn("storage does not work although the disk does, starting it again", "why", why)
	began := time.Now()
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
		h.g.log.Error("storage could not be started again", "err", err, "took", time.Since(began))
		return
	}
	h.g.log.Info("storage was started again", "took", time.Since(began))
}

// ailing says what is wrong with storage, nothing when it works.
func (g *Gateway) ailing() string {
	if since := g.collector.Failing(); !since.IsZero() && time.Since(since) > healAfter {
		return "packs are not stored"
	}
	if at := g.alive.Load(); at != nil && time.Since(*at) > silentFor {
		return "the stream does not answer"
	}
	return ""
}

// noteDamage shows what was salvaged.
func (g *Gateway) noteDamage() {
	r := g.broker.Salvaged()
	g.metrics.salvaged.Set(float64(r.Salvaged))
	g.metrics.damagedBytes.Set(float64(r.DamagedBytes))
	g.metrics.missingPacks.Set(float64(r.MissingPacks))
}
