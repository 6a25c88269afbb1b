package processor

import (
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/core/internal/gateways"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// maxNames bounds what headers can make a task remember.
	maxNames = 10_000
	// What a dead letter may hold, so that no poison is too large to be put away:
	// bytes of value, key and headers together below the smallest usual limit of a
	// topic, 1 MB.
	maxLetterValue   = 900_000
	maxLetterKey     = 1024
	maxLetterHeaders = 64 << 10
)

// sourced is where a record came from, with the gateway as the task knows it.
type sourced struct {
	intake.Origin
	from *source
}

func (t *task) origin(m *sarama.ConsumerMessage) sourced {
	o := sourced{Origin: intake.Origin{Written: m.Timestamp.UnixMilli()}}
	for _, h := range m.Headers {
		o.ReadHeader(h.Key, h.Value)
	}
	o.from = t.source(o.Gateway)
	return o
}

// source is a gateway as the readings of one partition show it.
type source struct {
	name       string
	live       int64 // ms by Kafka's clock, the newest live reading, 0: none since the last tick
	backfilled int64 // ms by the clock, when a reading from its buffer last came by

	// As of the last tick.
	verdict gateways.Verdict
	gone    int64  // ms by the clock, since when the verdict is Gone, 0: it is not
	alarm   string // id of the alarm that says so
}

// source returns the gateway of that name, which is kept once.
func (t *task) source(name []byte) *source {
	if s, ok := t.gateways[string(name)]; ok {
		return s
	}
	s := intake.GatewayName(name)
	if len(t.gateways) >= maxNames {
		s = intake.Direct
	}
	if known, ok := t.gateways[s]; ok {
		return known
	}
	t.gateways[s] = &source{name: s}
	return t.gateways[s]
}

// bury makes a dead letter of a record that is no reading: as it was, with the reason
// and the place where it lies.
func bury(topic string, m *sarama.ConsumerMessage, why *telemetry.Refusal) deadLetter {
	message := &sarama.ProducerMessage{
		Topic:   topic,
		Value:   sarama.ByteEncoder(m.Value[:min(len(m.Value), maxLetterValue)]),
		Headers: inherited(m.Headers),
	}
	if m.Key != nil {
		message.Key = sarama.ByteEncoder(m.Key[:min(len(m.Key), maxLetterKey)])
	}
	add := func(key, value string) {
		if value != "" {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(key), Value: []byte(value)})
		}
	}
	add(wire.HeaderReason, string(why.Reason))
	add(wire.HeaderField, why.Field)
	add(wire.HeaderMessage, why.Message)
	add(wire.HeaderTopic, m.Topic)
	add(wire.HeaderPartition, strconv.Itoa(int(m.Partition)))
	add(wire.HeaderOffset, strconv.FormatInt(m.Offset, 10))
	if len(m.Value) > maxLetterValue {
		add(wire.HeaderLength, strconv.Itoa(len(m.Value)))
	}
	return deadLetter{message: message, reason: why.Reason}
}

// inherited returns the headers of a record, as far as they are short and do not
// pretend to be ours.
func inherited(headers []*sarama.RecordHeader) []sarama.RecordHeader {
	var kept []sarama.RecordHeader
	size := 0
	for _, h := range headers {
		size += len(h.Key) + len(h.Value)
		if size > maxLetterHeaders {
			break
		}
		if !reserved(string(h.Key)) {
			kept = append(kept, *h)
		}
	}
	return kept
}

func reserved(key string) bool {
	switch strings.ToLower(key) {
	case wire.HeaderReason, wire.HeaderField, wire.HeaderMessage,
		wire.HeaderTopic, wire.HeaderPartition, wire.HeaderOffset, wire.HeaderLength:
		return true
	}
	return false
}
