package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Reader reads the committed records of one topic from its start. Make it with NewReader
// and Close it.
type Reader struct {
	client *kgo.Client
	topic  string
	next   map[int32]int64 // by partition: the offset after the last one seen
}

// NewReader returns a reader at the start of the topic, which need not exist yet.
func NewReader(brokers []string, topic string) (*Reader, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they show how far a partition was read
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", topic, err)
	}
	return &Reader{client: client, topic: topic, next: map[int32]int64{}}, nil
}

// Close frees the reader.
func (r *Reader) Close() { r.client.Close() }

// CatchUp calls each for every record committed by now that was not delivered before, in
// the order of each partition. It blocks until the end of the topic or of ctx.
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

// Poll calls each for the next committed records, in the order of each partition. It
// blocks until there are some or ctx ends; it waits for a broker that does not answer.
func (r *Reader) Poll(ctx context.Context, each func(*kgo.Record) error) error {
	fetches := r.client.PollFetches(ctx)
	// Records that were fetched count even when ctx has ended: the client does not return
	// them a second time.
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

// ends returns the committed end of every partition that has records, and retries until
// the topic exists.
func (r *Reader) ends(ctx context.Context) (map[int32]int64, error) {
	for {
		starts, err := offsets(ctx, r.client, r.topic, startOffset, readCommitted)
		if err == nil {
			var ends map[int32]int64
			if ends, err = offsets(ctx, r.client, r.topic, endOffset, readCommitted); err == nil {
				for p, start := range starts {
					r.next[p] = max(r.next[p], start)
				}
				return ends, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("asking for the end of %s: %w", r.topic, errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// OpenTransactions returns the partitions of a topic in which a read_committed reader
// cannot reach the end, because a transaction is open there.
func OpenTransactions(ctx context.Context, brokers []string, topic string) ([]int32, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	committed, err := offsets(ctx, client, topic, endOffset, readCommitted)
	if err != nil {
		return nil, err
	}
	all, err := offsets(ctx, client, topic, endOffset, readUncommitted)
	var open []int32
	for p, end := range all {
		if committed[p] < end {
			open = append(open, p)
		}
	}
	return open, err
}

// Special timestamps and isolation levels of the request ListOffsets.
const (
	startOffset, endOffset         int64 = -2, -1
	readUncommitted, readCommitted int8  = 0, 1
)

var errNoAnswer = errors.New("the partitions did not all answer")

// offsets returns the start or end of every partition of a topic.
func offsets(ctx context.Context, cl *kgo.Client, topic string, at int64, isolation int8) (map[int32]int64, error) {
	all, err := partitions(ctx, cl, topic)
	if err != nil {
		return nil, err
	}
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for _, p := range all {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, at
		rt.Partitions = append(rt.Partitions, rp)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = isolation
	req.Topics = append(req.Topics, rt)
	found := map[int32]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, errors.Join(errNoAnswer, shard.Err)
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if rp.ErrorCode != 0 {
					return nil, errNoAnswer
				}
				found[rp.Partition] = rp.Offset
			}
		}
	}
	return found, nil
}

// partitions returns the partitions of a topic.
func partitions(ctx context.Context, cl *kgo.Client, topic string) ([]int32, error) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = new(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) == 0 {
		return nil, fmt.Errorf("topic %s: %w", topic, errNoAnswer)
	}
	var out []int32
	for _, p := range resp.Topics[0].Partitions {
		out = append(out, p.Partition)
	}
	return out, nil
}
