package gateway

import (
	"context"
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
	for {
		was := listening
		listening = g.broker.HubWants(wire.StatusSubject(g.cfg.ID))
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
		g.alive.Store(time.Now().UnixNano())
		g.held = state
	} else if ctx.Err() == nil {
		g.log.Warn("the stream does not answer", "err", err)
	}
	g.metrics.bufferBytes.Set(float64(g.held.Bytes))
	g.metrics.bufferPacks.Set(float64(g.held.Messages))
	g.metrics.bufferAge.Set(age(g.held.Oldest).Seconds())
	if !listening {
		return
	}
	data, err := g.status(g.held).Encode()
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
	s := wire.GatewayStatus{
		Gateway: g.cfg.ID, Building: g.cfg.Building, Epoch: g.Epoch(),
		Time: time.Now().UnixMilli(), Started: g.started.UnixMilli(),
		FirstSeq: state.FirstSeq, LastSeq: state.LastSeq,
		BufferBytes: state.Bytes, BufferLimit: uint64(g.broker.BufferLimit()),
		Accepted: stats.Accepted, Refused: stats.Refused, Unpromised: stats.Unpromised,
		BufferFull: refusing != nil && refusing.Reason == telemetry.ReasonBufferFull,
		Version:    ops.Version,
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

// Ready returns nil while readings are taken: the stream answered within the last
// seconds, and neither a full buffer nor failing storage turns readings away.
func (g *Gateway) Ready() error {
	if r := g.collector.Refusing(); r != nil {
		return r
	}
	alive := g.alive.Load()
	if alive == 0 {
		return fmt.Errorf("the gateway is starting")
	}
	if silent := time.Since(time.Unix(0, alive)); silent > aliveFor {
		return fmt.Errorf("the stream has not answered for %s", silent.Round(time.Second))
	}
	return nil
}
