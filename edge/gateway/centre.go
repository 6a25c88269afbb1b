package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/wire"
)

// hearCentre takes what the centre says of devices. It comes from the hub, from the account of this gateway:
// neither devices nor other gateways have a way to the subject.
func (g *Gateway) hearCentre(parts *lifecycle.Group) error {
	sub, err := g.broker.Uplink().Subscribe(wire.DevicesSubject(g.cfg.ID), g.mergeDevices)
	if err != nil {
		return fmt.Errorf("listening to the centre: %w", err)
	}
	parts.OnStop("centre", func(context.Context) error { return sub.Unsubscribe() })
	return nil
}

// mergeDevices answers wire.DeviceRecords once they are on disk, and in force.
func (g *Gateway) mergeDevices(m *nats.Msg) {
	var records wire.DeviceRecords
	have := g.devices.Stored()
	err := json.Unmarshal(m.Data, &records)
	if err == nil {
		have, err = g.devices.Merge(&records)
	}
	if err != nil {
		if skipped, ok := g.untaken.Allow(); ok { // it is sent again each second
			g.log.Error("what the centre says of devices was not taken", "err", err, "skipped", skipped)
		}
		have.Error = err.Error()
	}
	answer, err := json.Marshal(have)
	if err == nil {
		err = m.Respond(answer)
	}
	if err != nil {
		g.log.Warn("answering the centre failed", "err", err)
	}
}

// stored is what the heartbeat says of the centre's devices.
func (g *Gateway) stored() *wire.DeviceVersion {
	if g.devices == nil {
		return nil
	}
	return new(g.devices.Stored())
}
