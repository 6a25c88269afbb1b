package kafkatest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record is a record as it lies in a topic.
type Record struct {
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte
	Value     []byte // nil is a tombstone
	Headers   []kgo.RecordHeader
}

// Header returns the value of the first header with that key, or "".
func (r Record) Header(key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Produce writes records without a transaction and waits until they are stored. A
// partition of -1 places each by the hash of its key.
func Produce(tb testing.TB, brokers []string, topic string, partition int32, records ...Record) {
	tb.Helper()
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.RequiredAcks(kgo.AllISRAcks())}
	if partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	cl, err := kgo.NewClient(opts...)
	require.NoError(tb, err)
	defer cl.Close()
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Topic: topic, Partition: max(partition, 0), Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	require.NoError(tb, cl.ProduceSync(ctx, out...).FirstErr())
}

// ReadAll waits until the topic holds at least want committed records, reads on to the
// committed end of every partition and returns all of them, ordered by partition and
// offset. So a test that wants exactly n compares the length and sees a surplus too.
func ReadAll(tb testing.TB, brokers []string, topic string, want int, timeout time.Duration) []Record {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), timeout)
	defer cancel()
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they show how far a partition was read
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.UnknownTopicRetries(-1), // the topic may be created while we wait
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	require.NoError(tb, err)
	defer cl.Close()

	var all []Record
	next := map[int32]int64{} // by partition: the offset after the last one seen
	for len(all) < want || !atEnd(ctx, cl, topic, next) {
		poll, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := cl.PollFetches(poll)
		stop()
		require.NoError(tb, ctx.Err(), "%s holds %d committed records, wanted %d", topic, len(all), want)
		fetches.EachRecord(func(r *kgo.Record) {
			next[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				all = append(all, Record{r.Partition, r.Offset, r.Timestamp, r.Key, r.Value, r.Headers})
			}
		})
	}
	slices.SortStableFunc(all, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return all
}

// atEnd says whether every partition was read to its read_committed end.
func atEnd(ctx context.Context, cl *kgo.Client, topic string, next map[int32]int64) bool {
	starts, ok := listOffsets(ctx, cl, topic, -2)
	if !ok {
		return false
	}
	ends, ok := listOffsets(ctx, cl, topic, -1)
	if !ok {
		return false
	}
	for p, end := range ends {
		if max(next[p], starts[p]) < end {
			return false
		}
	}
	return true
}

// partitions returns the partitions of a topic.
func partitions(ctx context.Context, cl *kgo.Client, topic string) ([]int32, bool) {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = new(topic)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) == 0 {
		return nil, false
	}
	var out []int32
	for _, p := range resp.Topics[0].Partitions {
		out = append(out, p.Partition)
	}
	return out, true
}

// listOffsets returns the start (-2) or read_committed end (-1) of every partition.
func listOffsets(ctx context.Context, cl *kgo.Client, topic string, at int64) (map[int32]int64, bool) {
	all, ok := partitions(ctx, cl, topic)
	if !ok {
		return nil, false
	}
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for _, p := range all {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, at
		rt.Partitions = append(rt.Partitions, rp)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = 1
	req.Topics = append(req.Topics, rt)
	offsets := map[int32]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, false
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if rp.ErrorCode != 0 {
					return nil, false
				}
				offsets[rp.Partition] = rp.Offset
			}
		}
	}
	return offsets, true
}
