package oracle

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Reader reads the committed records of one topic from the beginning on, with a client
// that the product itself does not use. Make it with NewReader and Close it.
type Reader struct {
	client *kgo.Client
	topic  string
	next   map[int32]int64 // by partition: the offset after the last one seen
}

// NewReader returns a reader at the beginning of the topic, which need not exist yet.
func NewReader(brokers []string, topic string) (*Reader, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they show how far a partition was read
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(100*time.Millisecond),
	)
	if err != nil {
		return nil, fmt.Errorf("making a reader of %s: %w", topic, err)
	}
	return &Reader{client: client, topic: topic, next: map[int32]int64{}}, nil
}

// Close frees the reader.
func (r *Reader) Close() { r.client.Close() }

// CatchUp hands every record committed by now, and not handed out before, to each, in
// the order of each partition. It blocks until it is through or ctx ends.
func (r *Reader) CatchUp(ctx context.Context, each func(*kgo.Record) error) error {
	for {
		ends, err := r.ends(ctx)
		if err != nil {
			return err
		}
		if r.reached(ends) {
			return nil
		}
		for !r.reached(ends) {
			if err := r.Poll(ctx, each); err != nil {
				return err
			}
		}
	}
}

// Poll hands the next records that are committed, and were not handed out before, to
// each, in the order of each partition. It blocks until there are some or ctx ends; a
// broker that does not answer is waited for.
func (r *Reader) Poll(ctx context.Context, each func(*kgo.Record) error) error {
	fetches := r.client.PollFetches(ctx)
	// What came counts also when ctx has ended meanwhile: the client does not hand it out
	// a second time.
	var err error
	fetches.EachRecord(func(rec *kgo.Record) {
		if rec.Offset < r.next[rec.Partition] {
			return // read again: the partition's leader moved
		}
		r.next[rec.Partition] = rec.Offset + 1
		if !rec.Attrs.IsControl() && err == nil {
			err = each(rec)
		}
	})
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("reading %s: %w", r.topic, ctx.Err())
	}
	return err
}

func (r *Reader) reached(ends map[int32]int64) bool {
	for p, end := range ends {
		if r.next[p] < end {
			return false
		}
	}
	return true
}

// errNotYet says that a topic's partitions cannot be asked at the moment.
var errNotYet = errors.New("not answered yet")

// ends returns the read_committed end of every partition that holds anything.
func (r *Reader) ends(ctx context.Context) (map[int32]int64, error) {
	for {
		ends, err := r.askEnds(ctx)
		if err == nil {
			return ends, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("asking for the end of %s: %w", r.topic, errors.Join(ctx.Err(), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *Reader) askEnds(ctx context.Context) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = new(r.topic)
	meta.Topics = append(meta.Topics, mt)
	mr, err := meta.RequestWith(ctx, r.client)
	if err != nil {
		return nil, err
	}
	if len(mr.Topics) != 1 || len(mr.Topics[0].Partitions) == 0 {
		return nil, errNotYet
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = 1 // read_committed
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = r.topic
	for _, p := range mr.Topics[0].Partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p.Partition, -1 // the end
		topic.Partitions = append(topic.Partitions, rp)
	}
	req.Topics = append(req.Topics, topic)
	ends := map[int32]int64{}
	for _, shard := range r.client.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, errors.Join(errNotYet, shard.Err)
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return nil, errNotYet
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}

// Header returns the value of a record's header, or "".
func Header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Decode makes of a device-data record what the oracle wants to know. A value that is
// no reading, or whose device_id is not the record's key, is an error.
func Decode(r *kgo.Record) (Record, error) {
	var reading telemetry.Reading
	if err := wire.DecodeReading(r.Value, &reading, nil); err != nil {
		return Record{}, fmt.Errorf("record %d/%d: %w", r.Partition, r.Offset, err)
	}
	if string(r.Key) != reading.DeviceID {
		return Record{}, fmt.Errorf("record %d/%d: key %q, device_id %q", r.Partition, r.Offset, r.Key, reading.DeviceID)
	}
	seq, err := strconv.ParseUint(Header(r, wire.HeaderSeq), 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("record %d/%d: header %s: %w", r.Partition, r.Offset, wire.HeaderSeq, err)
	}
	index, err := strconv.ParseUint(Header(r, wire.HeaderIndex), 10, 32)
	if err != nil {
		return Record{}, fmt.Errorf("record %d/%d: header %s: %w", r.Partition, r.Offset, wire.HeaderIndex, err)
	}
	return Record{
		Device: string(r.Key), Timestamp: reading.Timestamp, Partition: r.Partition, Offset: r.Offset,
		Origin: Origin{Header(r, wire.HeaderGateway), Header(r, wire.HeaderEpoch), seq, uint32(index)},
	}, nil
}

// CatchUp adds everything new in the reader's topic.
func (o *Oracle) CatchUp(ctx context.Context, r *Reader) error {
	return r.CatchUp(ctx, func(rec *kgo.Record) error {
		x, err := Decode(rec)
		if err != nil {
			return err
		}
		o.Stored(x)
		return nil
	})
}
