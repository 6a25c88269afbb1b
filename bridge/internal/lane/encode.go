package lane

import (
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
)

const (
	// startDeadLetter is the first limit for the payload of a dead letter, in bytes; any
	// message of a device fits.
	startDeadLetter = 2 << 20
	// maxRefusalText bounds the headers with the reason.
	maxRefusalText = 1 << 10

	// reasonDamaged marks the dead letter of an unreadable pack.
	reasonDamaged telemetry.Reason = "damaged_pack"

	// preformatted is the number of indexes formatted in advance.
	preformatted = 4096
)

// text is a key or value for sarama. A pointer to it fits into an interface without an
// allocation.
type text []byte

// Encode implements sarama.Encoder.
func (t *text) Encode() ([]byte, error) { return *t, nil }

// Length implements sarama.Encoder.
func (t *text) Length() int { return len(*t) }

// encoder turns packs into records and sends them to a producer. The producer keeps the
// bytes of a record until the transaction is committed, but not the record itself, so
// one record is reused for all; text formatted for it stays in digits until then. It is for
// one goroutine.
type encoder struct {
	deviceData    string
	deadLetters   string
	checkpoints   string
	maxDeadLetter int

	// Keys of headers, and constant values.
	gateway, epoch, seq, index, received, backfill []byte
	reason, field, message, truncated, mapping     []byte
	one                                            []byte
	indexes                                        [preformatted][]byte // "0", "1", …

	now    clock
	digits []byte
	record sarama.ProducerMessage
	key    text
	value  text
}

func newEncoder(topics topology.Topics, maxDeadLetter int) *encoder {
	e := &encoder{
		deviceData: topics.DeviceData, deadLetters: topics.DeadLetters, checkpoints: topics.Checkpoints,
		maxDeadLetter: maxDeadLetter,
		gateway:       []byte(wire.HeaderGateway), epoch: []byte(wire.HeaderEpoch), seq: []byte(wire.HeaderSeq),
		index: []byte(wire.HeaderIndex), received: []byte(wire.HeaderReceived), backfill: []byte(wire.HeaderBackfill),
		reason: []byte(wire.HeaderReason), field: []byte(wire.HeaderField), message: []byte(wire.HeaderMessage),
		truncated: []byte(wire.HeaderTruncated), mapping: []byte(wire.HeaderMapping), one: []byte("1"),
	}
	for i := range e.indexes {
		e.indexes[i] = e.number(uint64(i))
	}
	e.digits = nil // the indexes keep the former array
	return e
}

// begin starts a transaction and drops the text formatted for the previous one.
func (e *encoder) begin(now time.Time) {
	e.now = newClock(now)
	e.digits = e.digits[:0]
}

// number formats n. The array may move as it grows; text formatted before stays valid.
func (e *encoder) number(n uint64) []byte {
	from := len(e.digits)
	e.digits = strconv.AppendUint(e.digits, n, 10)
	return e.digits[from:len(e.digits):len(e.digits)]
}

// packHeaders are the header values that the records of one pack share.
type packHeaders struct {
	gateway, epoch, seq []byte
	backfill            bool
	// received is the receive time of the previous entry, often that of the next too.
	received []byte
	at       int64
	// trace has the headers of a traced pack; they are on the record at index traced alone.
	trace  []sarama.RecordHeader
	traced int
}

// send sends the records of an item to the producer.
func (e *encoder) send(p Producer, b *batch, it *item) error {
	o := packHeaders{gateway: it.gateway.text, seq: e.number(it.next.Seq)}
	switch {
	case it.damaged != nil:
		b.sent.packs++
		b.sent.damaged++
		return e.sendDamaged(p, b, &o, 0, "the gateway's pack is unreadable", it.damaged)
	case it.pack != nil:
		b.sent.packs++
		return e.sendPack(p, b, it, &o)
	default:
		return nil
	}
}

func (e *encoder) sendPack(p Producer, b *batch, it *item, o *packHeaders) error {
	h := &it.pack.Header
	o.epoch = []byte(checkpoint.Hex(h.Epoch))
	o.backfill = it.late
	if it.span != nil {
		o.trace, o.traced = traceHeaders(it.span), tracing.Reading(it.span.Context())
	}
	index := 0
	for ; ; index++ {
		entry, ok := it.pack.Next()
		if !ok {
			break
		}
		var err error
		if entry.Refusal == nil {
			b.sent.readings++
			e.fill(e.deviceData, &entry, o, index)
			err = p.Send(&e.record)
		} else {
			err = e.sendRefused(p, b, &entry, o, index)
		}
		if err != nil {
			return err
		}
	}
	if err := it.pack.Err(); err != nil {
		// The checksum was right, so the gateway wrote it so. The rest is lost, and was
		// counted when the pack arrived.
		return e.sendDamaged(p, b, o, index, err.Error(), nil)
	}
	return nil
}

// fill makes e.record the record of an entry, with the headers common to all records.
func (e *encoder) fill(topic string, entry *wire.PackEntry, o *packHeaders, index int) {
	headers := append(e.record.Headers[:0], sarama.RecordHeader{Key: e.gateway, Value: o.gateway})
	if o.epoch != nil {
		headers = append(headers, sarama.RecordHeader{Key: e.epoch, Value: o.epoch})
	}
	if o.received == nil || entry.Received != o.at {
		from := len(e.digits)
		e.digits = strconv.AppendInt(e.digits, entry.Received, 10)
		o.received, o.at = e.digits[from:len(e.digits):len(e.digits)], entry.Received
	}
	headers = append(headers,
		sarama.RecordHeader{Key: e.seq, Value: o.seq},
		sarama.RecordHeader{Key: e.index, Value: e.indexText(index)},
		sarama.RecordHeader{Key: e.received, Value: o.received},
	)
	if o.backfill {
		headers = append(headers, sarama.RecordHeader{Key: e.backfill, Value: e.one})
	}
	if entry.Mapping != "" {
		headers = append(headers, sarama.RecordHeader{Key: e.mapping, Value: e.copied(entry.Mapping)})
	}
	if o.trace != nil && index == o.traced {
		headers = append(headers, o.trace...)
	}
	e.value = entry.Payload
	e.record = sarama.ProducerMessage{Topic: topic, Value: &e.value, Headers: headers, Timestamp: e.now.stamp}
	if entry.Device != "" {
		e.key = e.copied(entry.Device)
		e.record.Key = &e.key
	}
}

// copied returns a copy of s that is valid until the next begin.
func (e *encoder) copied(s string) []byte {
	from := len(e.digits)
	e.digits = append(e.digits, s...)
	return e.digits[from:len(e.digits):len(e.digits)]
}

func (e *encoder) indexText(index int) []byte {
	if index < len(e.indexes) {
		return e.indexes[index]
	}
	return e.number(uint64(index))
}

// sendRefused sends a dead letter.
func (e *encoder) sendRefused(p Producer, b *batch, entry *wire.PackEntry, o *packHeaders, index int) error {
	b.sent.letters++
	full := len(entry.Payload)
	entry.Payload = entry.Payload[:min(full, e.maxDeadLetter)]
	e.fill(e.deadLetters, entry, o, index)
	e.record.Headers = append(e.record.Headers,
		sarama.RecordHeader{Key: e.reason, Value: cut(string(entry.Refusal.Reason))},
		sarama.RecordHeader{Key: e.field, Value: cut(entry.Refusal.Field)},
		sarama.RecordHeader{Key: e.message, Value: cut(entry.Refusal.Message)},
	)
	if len(entry.Payload) < full {
		e.record.Headers = append(e.record.Headers, sarama.RecordHeader{Key: e.truncated, Value: e.number(uint64(full))})
	}
	return p.Send(&e.record)
}

func cut(s string) []byte { return []byte(s[:min(len(s), maxRefusalText)]) }

// sendDamaged sends a dead letter about an unreadable pack.
func (e *encoder) sendDamaged(p Producer, b *batch, o *packHeaders, index int, message string, raw []byte) error {
	return e.sendRefused(p, b, &wire.PackEntry{
		Received: e.now.ms, Payload: raw,
		Refusal: &telemetry.Refusal{Reason: reasonDamaged, Message: message},
	}, o, index)
}

// sendCheckpoint sends a checkpoint to the lane's partition.
func (e *encoder) sendCheckpoint(p Producer, partition int32, m *update) error {
	data, err := m.to.Encode()
	if err != nil {
		return err
	}
	return p.SendTo(partition, &sarama.ProducerMessage{
		Topic: e.checkpoints, Key: sarama.StringEncoder(m.to.Gateway), Value: sarama.ByteEncoder(data), Timestamp: e.now.stamp,
	})
}
