package gateway

import (
	"context"
	"encoding/json"
	"time"

	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
)

// hearTraces answers requests for traces until ctx ends.
func (g *Gateway) hearTraces(ctx context.Context) error {
	stop, err := vitals.Listen(g.broker.Uplink())(wire.TraceSubject, g.follow)
	if err != nil {
		return err
	}
	defer stop()
	<-ctx.Done()
	return nil
}

// follow answers a wire.TraceRequest, nil if another gateway is meant.
func (g *Gateway) follow(request []byte) (reply []byte) {
	var q wire.TraceRequest
	if json.Unmarshal(request, &q) != nil || q.Instance != g.cfg.ID {
		return nil
	}
	until := time.Now().Add(wire.TraceFor * time.Millisecond)
	a := wire.TraceAnswer{Until: until.UnixMilli()}
	if err := g.collector.Follow(q.DeviceID, q.TraceParent, "", until); err != nil {
		a = wire.TraceAnswer{Error: err.Error()}
	} else {
		g.log.Info("the next reading of a device will be traced", "device", q.DeviceID, "traceparent", q.TraceParent, "by", q.By)
	}
	reply, err := json.Marshal(a)
	if err != nil {
		g.log.Error("an answer about a trace is not encodable", "err", err)
	}
	return reply
}
