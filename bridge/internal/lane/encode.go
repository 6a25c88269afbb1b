package lane

import (
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
)

const (
	// startDeadLetter is how many bytes of a refused message are kept at first; what a
	// device can send fits.
	startDeadLetter = 2 << 20
	// maxRefusalText bounds the headers that say why.
	maxRefusalText = 1 << 10

	// headerTruncated gives the full length of a dead letter that was cut.
	headerTruncated = "iot-truncated"
	// reasonDamaged marks the dead letter of a pack that could not be read.
	reasonDamaged telemetry.Reason = "damaged_pack"

	// spelled is how many indexes are spelled beforehand.
	spelled = 4096
)

// text is a key or value as sarama asks for it. A pointer to one fits into an
// interface without an allocation.
type text []byte

// Encode implements sarama.Encoder.
func (t *text) Encode() ([]byte, error) { return *t, nil }

// Length implements sarama.Encoder.
func (t *text) Length() int { return len(*t) }

// encoder turns packs into records and gives them to a producer. The producer keeps the
// bytes of a record until the transaction is committed, but not the record itself, so
// one record serves for all; what is spelled for it lies in digits until then. An encoder
// is used by one goroutine.
type encoder struct {
	deviceData    string
	deadLetters   string
	checkpoints   string
	maxDeadLetter int

	// Keys of headers, and values that are always the same.
	gateway, epoch, seq, index, received, backfill []byte
	reason, field, message, truncated              []byte
	one                                            []byte
	indexes                                        [spelled][]byte // "0", "1", …

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
		truncated: []byte(headerTruncated), one: []byte("1"),
	}
	for i := range e.indexes {
		e.indexes[i] = e.number(uint64(i))
	}
	e.digits = nil // the indexes keep the one before
	return e
}

// begin starts a transaction: what was spelled for the one before is not needed any more.
func (e *encoder) begin(now time.Time) {
	e.now = newClock(now)
	e.digits = e.digits[:0]
}

// number spells n. The array may move as it grows; what was spelled stays where it is.
func (e *encoder) number(n uint64) []byte {
	from := len(e.digits)
	e.digits = strconv.AppendUint(e.digits, n, 10)
	return e.digits[from:len(e.digits):len(e.digits)]
}

// origin is what the records of one pack have in common.
type origin struct {
	gateway, epoch, seq []byte
	backfill            bool
	// received spells the receive time of the entry before, which often is that of the next.
	received []byte
	at       int64
}

// send gives the records of an item to the producer.
func (e *encoder) send(p Producer, b *batch, it *item) error {
	o := origin{gateway: it.gateway.text, seq: e.number(it.next.Seq)}
	switch {
	case it.damaged != nil:
		b.sent.packs++
		b.sent.damaged++
		return e.sendNote(p, b, &o, 0, "the gateway's pack cannot be read", it.damaged)
	case it.pack != nil:
		b.sent.packs++
		return e.sendPack(p, b, it, &o)
	default:
		return nil
	}
}

func (e *encoder) sendPack(p Producer, b *batch, it *item, o *origin) error {
	h := &it.pack.Header
	o.epoch = []byte(checkpoint.Hex(h.Epoch))
	o.backfill = it.late
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
		// The checksum was right, so a gateway wrote it so. What follows is lost, which is
		// known since the pack was taken.
		return e.sendNote(p, b, o, index, err.Error(), nil)
	}
	return nil
}

// fill makes e.record the record of an entry, with the headers that all records carry.
func (e *encoder) fill(topic string, entry *wire.PackEntry, o *origin, index int) {
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
	e.value = entry.Payload
	e.record = sarama.ProducerMessage{Topic: topic, Value: &e.value, Headers: headers, Timestamp: e.now.stamp}
	if entry.Device != "" {
		from := len(e.digits)
		e.digits = append(e.digits, entry.Device...)
		e.key = e.digits[from:len(e.digits):len(e.digits)]
		e.record.Key = &e.key
	}
}

func (e *encoder) indexText(index int) []byte {
	if index < len(e.indexes) {
		return e.indexes[index]
	}
	return e.number(uint64(index))
}

// sendRefused sends a dead letter.
func (e *encoder) sendRefused(p Producer, b *batch, entry *wire.PackEntry, o *origin, index int) error {
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

// sendNote leaves a dead letter about what could not be read.
func (e *encoder) sendNote(p Producer, b *batch, o *origin, index int, message string, raw []byte) error {
	return e.sendRefused(p, b, &wire.PackEntry{
		Received: e.now.ms, Payload: raw,
		Refusal: &telemetry.Refusal{Reason: reasonDamaged, Message: message},
	}, o, index)
}

// sendMove sends a checkpoint to the lane's partition.
func (e *encoder) sendMove(p Producer, partition int32, m *move) error {
	data, err := m.to.Encode()
	if err != nil {
		return err
	}
	return p.SendTo(partition, &sarama.ProducerMessage{
		Topic: e.checkpoints, Key: sarama.StringEncoder(m.to.Gateway), Value: sarama.ByteEncoder(data), Timestamp: e.now.stamp,
	})
}
