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
	// linkCheckEvery is how often a gateway without a hub checks for one, so that the
	// first heartbeat is sent as soon as the link is up.
	linkCheckEvery = 100 * time.Millisecond
	// probeMaxAge is how old the newest successful probe of the stream may be.
	probeMaxAge = 5 * time.Second
)

// monitor checks the stream, the disk and the link each second and sends the heartbeat.
func (g *Gateway) monitor(ctx context.Context) error {
	tick := time.NewTicker(linkCheckEvery)
	defer tick.Stop()
	var last time.Time
	listening := false
	var l lull
	for {
		was := listening
		listening = g.broker.HubWants(wire.StatusSubject(g.cfg.ID))
		linger := g.cfg.Linger
		if l.update(time.Now(), listening, g.held.FirstSeq, g.collector.Stored().Seq) {
			linger = max(linger, lingerAway)
		}
		g.collector.SetLinger(linger)
		if now := time.Now(); now.Sub(last) >= heartbeatEvery || (listening && !was) {
			last = now
			g.beat(ctx, listening)
		}
		if listening != was {
			g.log.Info("hub link changed", "connected", listening)
			tick.Reset(linkInterval(listening))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// linkInterval returns the interval of link checks.
func linkInterval(listening bool) time.Duration {
	if listening {
		return heartbeatEvery
	}
	return linkCheckEvery
}

// beat updates the metrics and sends the heartbeat if the hub listens. While the stream
// does not respond, both show its last known state.
func (g *Gateway) beat(ctx context.Context, listening bool) {
	if free, err := g.broker.CheckDisk(); err != nil {
		g.log.Warn("free disk space unknown", "err", err)
	} else {
		g.metrics.diskFree.Set(float64(free))
	}
	g.metrics.hubConnected.Set(asFloat(g.broker.HubConnected()))
	g.metrics.natsClients.Set(float64(g.broker.Clients()))
	state, err := g.probe(ctx)
	g.alivePulse(err == nil)
	if err == nil {
		now := time.Now()
		g.alive.Store(&now)
		g.held = state
	} else if ctx.Err() == nil {
		g.log.Warn("stream does not respond", "err", err)
	}
	g.metrics.bufferBytes.Set(float64(g.held.Bytes))
	g.metrics.bufferPacks.Set(float64(g.held.Messages))
	g.metrics.bufferAge.Set(age(g.held.Oldest).Seconds())
	s := g.status(g.held)
	g.metrics.bufferFull.Set(asFloat(s.BufferFull))
	g.metrics.bytesPerSecond.Set(s.BytesPerSecond)
	g.metrics.horizon.Set(float64(s.HorizonSeconds))
	g.reportRefusal()
	g.checkClock(time.Now())
	if !listening {
		return
	}
	data, err := s.Encode()
	if err == nil {
		err = g.broker.PublishUplink(wire.StatusSubject(g.cfg.ID), data)
	}
	if err != nil {
		g.log.Warn("sending the heartbeat failed", "err", err)
	}
}

// probe checks that the stream responds and returns its state.
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
		Salvaged: salvaged.Salvaged, DamagedBytes: salvaged.DamagedBytes, StoreRestarts: g.restarts.Load(), Devices: g.stored(),
		KeepFrom: g.collector.KeepFrom(),
	}
	if !state.Oldest.IsZero() {
		s.OldestMS = state.Oldest.UnixMilli()
	}
	return s
}

func asFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func age(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(time.Since(t), 0)
}

// checkClock logs steps of the wall clock. Only receive times depend on it: packs are
// ordered by sequence and never expire, and durations use the monotonic clock.
func (g *Gateway) checkClock(now time.Time) {
	ran := now.Sub(g.started)                     // by the monotonic clock
	shown := now.Round(0).Sub(g.started.Round(0)) // by the wall clock
	step := clockStep(ran, shown, g.stepped)
	if step == 0 {
		return
	}
	g.stepped = shown - ran
	g.metrics.clockStep.Set(step.Seconds())
	g.log.Warn("clock was set, receive times of readings jump", "by", step)
}

// clockStep returns the new step of a wall clock that advanced by shown while ran passed
// and whose earlier steps add up to stepped; 0 for a drift below clockSlack.
func clockStep(ran, shown, stepped time.Duration) time.Duration {
	step := (shown - ran - stepped).Round(time.Second)
	if step.Abs() < clockSlack {
		return 0
	}
	return step
}

// clockSlack is how far a clock under NTP adjustment may drift.
const clockSlack = 10 * time.Second

// reportRefusal logs that the hub refuses this gateway. The gateway stays ready: it
// accepts readings as before.
func (g *Gateway) reportRefusal() {
	times, now := g.broker.HubRefused()
	g.metrics.hubRefusals.Set(float64(times))
	g.metrics.hubRefused.Set(asFloat(now))
	if !now {
		g.refused = time.Time{}
		return
	}
	if !g.refused.IsZero() && time.Since(g.refused) < refusedEvery {
		return
	}
	g.refused = time.Now()
	g.log.Warn("the hub refuses this gateway: it was revoked or is not enrolled there (edge enroll), another gateway with its id is connected, or the hub has no such user as in EDGE_HUB_URL; readings stay in the buffer",
		"refusals", times)
}

// refusedEvery is the interval of that warning.
const refusedEvery = time.Minute

// Ready returns nil while readings are accepted and stored: no full buffer or failing
// storage, and a successful probe and write within probeMaxAge.
func (g *Gateway) Ready() error {
	var refusing error
	if r := g.collector.Refusing(); r != nil {
		refusing = r
	}
	alive := g.alive.Load()
	if !g.listening.Load() {
		alive = nil
	}
	if err := readiness(refusing, alive, g.collector.Waiting(), probeMaxAge); err != nil || g.devices == nil {
		return err
	}
	return g.devices.Ready()
}

func readiness(refusing error, alive *time.Time, waiting time.Time, limit time.Duration) error {
	switch {
	case refusing != nil:
		return refusing
	case alive == nil:
		return errors.New("the gateway is starting")
	case time.Since(*alive) > limit:
		return fmt.Errorf("the stream has not responded for %s", time.Since(*alive).Round(time.Second))
	case !waiting.IsZero() && time.Since(waiting) > limit:
		return fmt.Errorf("a pack write has been pending for %s", time.Since(waiting).Round(time.Second))
	}
	return nil
}
