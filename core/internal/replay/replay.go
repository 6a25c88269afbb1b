// Package replay runs the alarm engine over readings that are still in Kafka: to explain
// an alarm (Explainer) and to try rules before they are used (DryRun, and Command, which
// is "core rules"). It reads committed records outside any consumer group and writes
// nothing to Kafka. Its functions block on Kafka until they are done or their context
// ends.
package replay

import (
	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
)

// input returns what the alarm stage judged of the reading in m. It is valid as long as
// in's reading.
func input(in *intake.Intake, m *sarama.ConsumerMessage) (alarm.Input, bool) {
	o := intake.Origin{Written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	if _, refusal := in.Accept(m.Key, m.Value, &o); refusal != nil {
		return alarm.Input{}, false
	}
	return alarm.Input{
		Reading: &in.Reading, Gateway: intake.GatewayName(o.Gateway), Received: o.Received, Waited: o.Waited(),
		Partition: m.Partition, Offset: m.Offset,
	}, true
}
