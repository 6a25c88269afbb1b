package processor

import (
	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/deadletter"
	"industrial-iot-monitor/internal/telemetry"
)

func newDeadLetter(topic string, m *sarama.ConsumerMessage, why *telemetry.Refusal) deadLetter {
	return deadLetter{message: deadletter.New(topic, m, why), reason: why.Reason}
}
