// Package deadletter makes dead letters: records that were refused, with the reason and their place in
// the input. It does no I/O and nothing in it blocks.
package deadletter

import (
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Bounds of a dead letter in bytes, so that none is too large to be stored: value, key and
// headers together are below the smallest usual limit of a topic, 1 MB.
const (
	MaxValue   = 900_000
	maxKey     = 1024
	MaxHeaders = 64 << 10
)

// New returns a dead letter for topic with a record, the reason why it was refused, and its place in
// the input.
func New(topic string, m *sarama.ConsumerMessage, why *telemetry.Refusal) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{
		Topic:   topic,
		Value:   sarama.ByteEncoder(m.Value[:min(len(m.Value), MaxValue)]),
		Headers: inherited(m.Headers),
	}
	if m.Key != nil {
		message.Key = sarama.ByteEncoder(m.Key[:min(len(m.Key), maxKey)])
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
	if len(m.Value) > MaxValue {
		add(wire.HeaderLength, strconv.Itoa(len(m.Value)))
	}
	return message
}

// inherited returns the headers of a record up to MaxHeaders bytes, without those
// that only core may set.
func inherited(headers []*sarama.RecordHeader) []sarama.RecordHeader {
	var kept []sarama.RecordHeader
	size := 0
	for _, h := range headers {
		size += len(h.Key) + len(h.Value)
		if size > MaxHeaders {
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
