package processor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
)

// unusualEvery is the time between two reports of what is unusual.
const unusualEvery = 2 * time.Second

func byState(a, b *device) int {
	return cmp.Or(cmp.Compare(b.detect.state, a.detect.state), strings.Compare(a.id, b.id))
}

// describeUnusual describes the first of devices, which are in order.
func describeUnusual(devices []*device) []telemetry.Unusual {
	out := make([]telemetry.Unusual, 0, min(len(devices), wire.MaxUnusual))
	for _, d := range devices[:min(len(devices), wire.MaxUnusual)] {
		x := d.detect
		a, ok := x.describe(x.sensor)
		if !ok {
			continue
		}
		a.Score = max(a.Score, x.state)
		out = append(out, telemetry.Unusual{DeviceID: d.id, Location: d.presence.Location(), At: x.Seen(), Unit: x.unit, Anomaly: a})
	}
	return out
}

// unusual returns the most unusual devices of all partitions of this process.
func (p *Processor) unusual() []telemetry.Unusual {
	out := []telemetry.Unusual{}
	s := p.session.Load()
	if s == nil {
		return out
	}
	for _, t := range s.order {
		if top := t.detects.unusual.Load(); top != nil {
			out = append(out, *top...)
		}
	}
	slices.SortFunc(out, func(a, b telemetry.Unusual) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.DeviceID, b.DeviceID))
	})
	return out[:min(len(out), wire.MaxUnusual)]
}

// reportUnusual publishes them until ctx ends.
func (p *Processor) reportUnusual(ctx context.Context, nc *nats.Conn) error {
	ticker := time.NewTicker(unusualEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			data, err := json.Marshal(wire.UnusualReport{Instance: vitals.Instance(p.Addr()), At: now.UnixMilli(), Devices: p.unusual()})
			if err != nil {
				return fmt.Errorf("encoding the report of unusual devices: %w", err)
			}
			if err := nc.Publish(wire.UnusualSubject, data); err != nil {
				p.log.Debug("report of unusual devices not sent", "err", err)
			}
		}
	}
}
