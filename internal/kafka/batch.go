package kafka

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

const (
	// maxBatchBytes bounds a batch before compression, so that it fits a topic with
	// Kafka's default max.message.bytes (1 MiB) however badly it compresses. A larger
	// single record travels alone.
	maxBatchBytes = 1_000_000
	// flushBytes is the amount gathered before a request is sent in an open transaction:
	// few large requests cost least.
	flushBytes = 4 << 20
	// recordOverhead is the most that a record's framing adds to its content, and
	// headerOverhead a header's.
	recordOverhead = 31
	headerOverhead = 10
	// batchOverhead bounds what a batch adds to a single record that does not compress.
	batchOverhead = 1 << 10
)

// byKey is the partition of a record that is placed by its key.
const byKey = -1

type topicPartition struct {
	topic     string
	partition int32
}

// batch gathers the records of one partition. It is reused: its arrays stay, so a
// steady stream of transactions allocates nothing here.
type batch struct {
	topicPartition
	bytes   int
	wire    sarama.RecordBatch
	records []sarama.Record
	headers []sarama.RecordHeader
	refs    []*sarama.RecordHeader
	stored  bool
	offset  int64 // of the first record, once stored; negative when the broker does not report it
}

// placement holds a topic's partitions and the batches being filled for them.
type placement struct {
	batches  []*batch // by partition
	byKey    sarama.Partitioner
	sequence []int32 // by partition: the sequence number of the next record
	end      []int64 // by partition: the lowest offset that the next record can get
}

// load is the batches of one delivery.
type load struct {
	batches []*batch
	bytes   int
}

// add puts a record into its partition's batch and flushes full batches.
func (p *Producer) add(partition int32, m *sarama.ProducerMessage) error {
	t, err := p.placement(m.Topic)
	if err != nil {
		return err
	}
	if partition == byKey {
		if partition, err = t.byKey.Partition(m, int32(len(t.batches))); err != nil {
			return fmt.Errorf("placing by key: %w", err)
		}
	}
	if partition < 0 || int(partition) >= len(t.batches) {
		return fmt.Errorf("partition %d of %d: %w", partition, len(t.batches), sarama.ErrInvalidPartition)
	}
	size := recordSize(m)
	if size > MaxRecordBytes-batchOverhead {
		return fmt.Errorf("record of %d bytes, at most %d: %w", size, MaxRecordBytes-batchOverhead, sarama.ErrMessageSizeTooLarge)
	}
	if b := t.batches[partition]; b != nil && b.bytes+size > maxBatchBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	b := t.batches[partition]
	if b == nil {
		b = p.newBatch(topicPartition{m.Topic, partition})
		t.batches[partition] = b
		p.filling.batches = append(p.filling.batches, b)
	}
	if err := b.add(m, size); err != nil {
		return err
	}
	p.filling.bytes += size
	if p.filling.bytes >= flushBytes {
		return p.flush()
	}
	return nil
}

// placement returns a topic's placement, looking it up on first use.
func (p *Producer) placement(topic string) (*placement, error) {
	if t := p.topics[topic]; t != nil {
		return t, nil
	}
	var partitions []int32
	err := persist(p.began, p.log, "looking up topic", func() (err error) {
		partitions, err = p.client.Partitions(topic)
		return err
	})
	if err != nil {
		return nil, err
	}
	t := &placement{
		batches:  make([]*batch, len(partitions)),
		byKey:    sarama.NewMurmur2Partitioner(topic),
		sequence: make([]int32, len(partitions)),
		end:      make([]int64, len(partitions)),
	}
	p.topics[topic] = t
	return t, nil
}

func (p *Producer) newBatch(tp topicPartition) *batch {
	b := &batch{}
	if n := len(p.spare); n > 0 {
		b = p.spare[n-1]
		p.spare = p.spare[:n-1]
	}
	b.topicPartition = tp
	return b
}

// add appends a record. The arrays may move as they grow; pointers into the old ones stay
// valid.
func (b *batch) add(m *sarama.ProducerMessage, size int) error {
	r := sarama.Record{}
	var err error
	if m.Key != nil {
		if r.Key, err = m.Key.Encode(); err != nil {
			return fmt.Errorf("encoding key: %w", err)
		}
	}
	if m.Value != nil {
		if r.Value, err = m.Value.Encode(); err != nil {
			return fmt.Errorf("encoding value: %w", err)
		}
	}
	at := m.Timestamp
	if at.IsZero() {
		at = time.Now()
	}
	at = at.Truncate(time.Millisecond)
	if len(b.records) == 0 {
		b.wire.FirstTimestamp, b.wire.MaxTimestamp = at, at
	} else if at.After(b.wire.MaxTimestamp) {
		b.wire.MaxTimestamp = at
	}
	r.TimestampDelta = at.Sub(b.wire.FirstTimestamp)
	r.OffsetDelta = int64(len(b.records))
	first := len(b.refs)
	for i := range m.Headers {
		b.headers = append(b.headers, m.Headers[i])
		b.refs = append(b.refs, &b.headers[len(b.headers)-1])
	}
	r.Headers = b.refs[first:len(b.refs):len(b.refs)]
	b.records = append(b.records, r)
	b.bytes += size
	return nil
}

// seal makes the batch ready to be sent, for the first time or again: a batch that is
// repeated must be the same to the last byte.
func (b *batch) seal(c Compression, producerID int64, epoch int16, sequence int32) {
	b.wire.Version = 2
	b.wire.Codec, b.wire.CompressionLevel, _ = c.codec()
	b.wire.PartitionLeaderEpoch = -1
	b.wire.IsTransactional = true
	b.wire.ProducerID, b.wire.ProducerEpoch, b.wire.FirstSequence = producerID, epoch, sequence
	b.wire.LastOffsetDelta = int32(len(b.records) - 1)
	b.wire.Records = b.wire.Records[:0]
	for i := range b.records {
		b.wire.Records = append(b.wire.Records, &b.records[i])
	}
}

// reset empties the batch and releases the records' bytes.
func (b *batch) reset() {
	clear(b.records)
	clear(b.headers)
	clear(b.wire.Records)
	records := b.wire.Records[:0]
	b.records, b.headers, b.refs = b.records[:0], b.headers[:0], b.refs[:0]
	b.wire = sarama.RecordBatch{Records: records}
	b.bytes, b.stored, b.offset = 0, false, 0
}

// recordSize is an upper bound of a record's encoded size.
func recordSize(m *sarama.ProducerMessage) int {
	n := recordOverhead
	if m.Key != nil {
		n += m.Key.Length()
	}
	if m.Value != nil {
		n += m.Value.Length()
	}
	for i := range m.Headers {
		n += len(m.Headers[i].Key) + len(m.Headers[i].Value) + headerOverhead
	}
	return n
}

// nextSequence is Kafka's: 31 bits, starting again at 0.
func nextSequence(s int32, records int) int32 {
	return int32((int64(s) + int64(records)) & 0x7fffffff)
}
