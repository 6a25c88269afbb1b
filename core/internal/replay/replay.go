// Package replay runs the alarm engine over readings that are still in Kafka: to explain
// an alarm (Explainer) and to try rules before they are used (DryRun, and Command, which
// is "core rules"). It reads committed records outside any consumer group and writes
// nothing to Kafka. Its functions block on Kafka until they are done or their context
// ends.
package replay

import (
	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/clock"
	"industrial-iot-monitor/core/internal/intake"
)

// record is a reading of device-data and where it came from.
type record struct {
	in     alarm.Input
	origin intake.Origin
}

// read returns the reading in m, valid as long as that of in, without its place in time.
func read(in *intake.Intake, m *sarama.ConsumerMessage) (record, bool) {
	o := intake.Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	if _, refusal := in.Accept(m.Key, m.Value, &o); refusal != nil {
		return record{}, false
	}
	return record{alarm.Input{
		Reading: &in.Reading, Gateway: intake.GatewayName(o.Gateway), Partition: m.Partition, Offset: m.Offset,
	}, o}, true
}

// place returns what the alarm stage judged, given the device's clock.
func (r record) place(c *clock.Clock) (alarm.Input, clock.Placed) {
	p := r.origin.Place(c, r.in.Reading)
	r.in.At, r.in.Restart, r.in.Received, r.in.Waited = p.At, p.Found, p.Received, p.Waited
	return r.in, p.Placed
}

// placeAll places the readings of a device from somewhere within its history. A wrong clock
// is confirmed by its second reading only; core knew it before, so what the first live
// reading shows is used from the start.
func placeAll(records []record) []alarm.Input {
	var learned, c clock.Clock
	for _, r := range records {
		if _, p := r.place(&learned); !p.Old {
			c = clock.Restore(p.Offset)
			break
		}
	}
	inputs := make([]alarm.Input, len(records))
	for i, r := range records {
		inputs[i], _ = r.place(&c)
	}
	return inputs
}
