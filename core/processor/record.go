package processor

import (
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

const (
	// direct stands for the gateway of a reading that came to Kafka without one.
	direct = "direct"
	// maxNames bounds what headers can make a task remember.
	maxNames = 10_000
	// What a dead letter may hold, so that no poison is too large to be put away:
	// bytes of value, key and headers together below the smallest usual limit of a
	// topic, 1 MB.
	maxLetterValue   = 900_000
	maxLetterKey     = 1024
	maxLetterHeaders = 64 << 10
)

// origin is where a record came from, as its headers say.
type origin struct {
	gateway  string
	received int64 // ms, when the gateway took it; when it was written if that is not known
	written  int64 // ms, when it was written to Kafka
	backfill bool
}

// waited returns how long a backfilled reading waited in its gateway's buffer, in ms.
func (o *origin) waited() int64 {
	if !o.backfill {
		return 0
	}
	return o.written - o.received
}

func (t *task) origin(m *sarama.ConsumerMessage) origin {
	o := origin{gateway: direct, written: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		switch string(h.Key) {
		case wire.HeaderGateway:
			o.gateway = t.gateway(h.Value)
		case wire.HeaderReceived:
			o.received = milliseconds(h.Value)
		case wire.HeaderBackfill:
			o.backfill = len(h.Value) == 1 && h.Value[0] == '1'
		}
	}
	if o.received <= 0 {
		o.received = o.written
	}
	return o
}

// gateway returns the name as a string that is kept once.
func (t *task) gateway(name []byte) string {
	if s, ok := t.gateways[string(name)]; ok {
		return s
	}
	s := string(name)
	if !telemetry.ValidDeviceID(s) || len(t.gateways) >= maxNames {
		return direct // no name that a subject could carry
	}
	t.gateways[s] = s
	return s
}

// milliseconds parses a decimal number without a sign, 0 for anything else.
func milliseconds(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return 0
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
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
