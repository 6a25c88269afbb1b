package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	heartbeatEvery = time.Second
	// linkLook is how often a gateway without a listening hub looks for one, so that
	// the hub learns of the gateway as soon as the link is up.
	linkLook = 100 * time.Millisecond
	// aliveFor is how long a sign of life from the stream counts.
	aliveFor = 5 * time.Second
)

// monitor looks after the stream, the disk and the link each second, and sends the
// heartbeat.
func (g *Gateway) monitor(ctx context.Context) error {
	tick := time.NewTicker(linkLook)
	defer tick.Stop()
	var last time.Time
	listening := false
	var l lull
	for {
		was := listening
		listening = g.broker.HubWants(wire.StatusSubject(g.cfg.ID))
		linger := g.cfg.Linger
		if l.look(time.Now(), listening, g.held.FirstSeq, g.collector.Stored().Seq) {
			linger = max(linger, lingerAway)
		}
		g.collector.SetLinger(linger)
		if now := time.Now(); now.Sub(last) >= heartbeatEvery || (listening && !was) {
			last = now
			g.beat(ctx, listening)
		}
		if listening != was {
			g.log.Info("hub link changed", "connected", listening)
			tick.Reset(every(listening))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// every returns the pause between two looks at the link.
func every(listening bool) time.Duration {
	if listening {
		return heartbeatEvery
	}
	return linkLook
}

// beat measures, and sends the heartbeat when somebody listens. While the stream does
// not answer it tells what the stream held last.
func (g *Gateway) beat(ctx context.Context, listening bool) {
	if free, err := g.broker.CheckDisk(); err != nil {
		g.log.Warn("free disk space is unknown", "err", err)
	} else {
		g.metrics.diskFree.Set(float64(free))
	}
	g.metrics.hubConnected.Set(0)
	if g.broker.HubConnected() {
		g.metrics.hubConnected.Set(1)
	}
	g.metrics.natsClients.Set(float64(g.broker.Clients()))
	if state, err := g.probe(ctx); err == nil {
		now := time.Now()
		g.alive.Store(&now)
		g.held = state
	} else if ctx.Err() == nil {
		g.log.Warn("the stream does not answer", "err", err)
	}
	g.metrics.bufferBytes.Set(float64(g.held.Bytes))
	g.metrics.bufferPacks.Set(float64(g.held.Messages))
	g.metrics.bufferAge.Set(age(g.held.Oldest).Seconds())
	s := g.status(g.held)
	g.metrics.bufferFull.Set(0)
	if s.BufferFull {
		g.metrics.bufferFull.Set(1)
	}
	g.metrics.bytesPerSecond.Set(s.BytesPerSecond)
	g.metrics.horizon.Set(float64(s.HorizonSeconds))
	g.watchHub()
	g.watchClock(time.Now())
	if !listening {
		return
	}
	data, err := s.Encode()
	if err == nil {
		err = g.broker.PublishUplink(wire.StatusSubject(g.cfg.ID), data)
	}
	if err != nil {
		g.log.Warn("heartbeat not sent", "err", err)
	}
}

// probe asks the stream for a sign of life and for what it holds.
func (g *Gateway) probe(ctx context.Context) (broker.State, error) {
	ctx, cancel := context.WithTimeout(ctx, heartbeatEvery)
	defer cancel()
	if err := g.broker.Stream().Probe(ctx); err != nil {
		return broker.State{}, err
	}
	return g.broker.Stream().Info(ctx)
}

func (g *Gateway) status(state broker.State) wire.GatewayStatus {
	stats := g.collector.Stats()
	refusing := g.collector.Refusing()
	stored := g.collector.Stored()
	now := time.Now()
	bytes := stored.Bytes + stored.Counter*broker.PackOverhead
	g.rate.add(now, bytes)
	perSecond, _ := g.rate.perSecond(now, bytes)
	salvaged := g.broker.Salvaged()
	s := wire.GatewayStatus{
		Gateway: g.cfg.ID, Building: g.cfg.Building, Epoch: g.Epoch(),
		Time: now.UnixMilli(), Started: g.started.UnixMilli(),
		FirstSeq: state.FirstSeq, LastSeq: state.LastSeq,
		BufferBytes: state.Bytes, BufferLimit: uint64(g.broker.BufferLimit()),
		Accepted: stats.Accepted, Refused: stats.Refused, Unpromised: stats.Unpromised,
		BufferFull: refusing != nil && refusing.Reason == telemetry.ReasonBufferFull,
		Version:    ops.Version,
		Instance:   g.broker.Instance(), Counter: stored.Counter, Packed: stored.Totals,
		BytesPerSecond: perSecond, HorizonSeconds: horizon(state.Bytes, uint64(g.broker.BufferLimit()), perSecond),
		Salvaged: salvaged.Salvaged, DamagedBytes: salvaged.DamagedBytes, StoreRestarts: g.restarts.Load(),
	}
	if !state.Oldest.IsZero() {
		s.OldestMS = state.Oldest.UnixMilli()
	}
	return s
}

func age(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t), 0)
}

// watchClock says when the clock was set. Nothing here depends on it: packs are ordered
// by their sequence and never expire, and time that passes is measured by the monotonic
// clock. But receive times are wrong until then or from then on.
func (g *Gateway) watchClock(now time.Time) {
	ran := now.Sub(g.started)                     // by the monotonic clock
	shown := now.Round(0).Sub(g.started.Round(0)) // by the clock on the wall
	step := clockStep(ran, shown, g.stepped)
	if step == 0 {
		return
	}
	g.stepped = shown - ran
	g.metrics.clockStep.Set(step.Seconds())
	g.log.Warn("the clock was set; receive times of readings jump with it", "by", step)
}

// clockStep returns by how much a clock was set that shows another time than ran, beyond
// what is known of it; 0 for an adjustment in passing.
func clockStep(ran, shown, known time.Duration) time.Duration {
	step := (shown - ran - known).Round(time.Second)
	if step.Abs() < clockSlack {
		return 0
	}
	return step
}

// clockSlack is how far a clock that is being adjusted may drift.
const clockSlack = 10 * time.Second

// watchHub says in plain words that the hub turns this gateway away. It is no reason
// not to be ready: readings are taken as before.
func (g *Gateway) watchHub() {
	times, now := g.broker.HubRefused()
	g.metrics.hubRefusals.Set(float64(times))
	g.metrics.hubRefused.Set(0)
	if !now {
		g.refused = time.Time{}
		return
	}
	g.metrics.hubRefused.Set(1)
	if !g.refused.IsZero() && time.Since(g.refused) < refusedEvery {
		return
	}
	g.refused = time.Now()
	g.log.Warn("the hub refuses this gateway: another gateway with its id is connected, or the user in EDGE_HUB_URL is not known there; readings are kept here",
		"instance", g.broker.Instance(), "refusals", times)
}

// refusedEvery is how often a refusal is said again.
const refusedEvery = time.Minute

// Ready returns nil while readings are taken and stored: neither a full buffer nor
// failing storage turns them away, the stream answered within the last seconds, and
// none has been waiting for longer than that.
func (g *Gateway) Ready() error {
	var refusing error
	if r := g.collector.Refusing(); r != nil {
		refusing = r
	}
	return readiness(refusing, g.alive.Load(), g.collector.Waiting(), aliveFor)
}

func readiness(refusing error, alive *time.Time, waiting time.Time, patience time.Duration) error {
	switch {
	case refusing != nil:
		return refusing
	case alive == nil:
		return errors.New("the gateway is starting")
	case time.Since(*alive) > patience:
		return fmt.Errorf("the stream has not answered for %s", time.Since(*alive).Round(time.Second))
	case !waiting.IsZero() && time.Since(waiting) > patience:
		return fmt.Errorf("readings have been waiting for %s and nothing was stored", time.Since(waiting).Round(time.Second))
	}
	return nil
}
