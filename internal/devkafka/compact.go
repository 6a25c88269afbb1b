package devkafka

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// compact appends a copy of the newest record of every key whose newest record is not at the end
// already, in their order, so that everything before the first copy is superseded.
//
// A copy is appended only while its partition is exactly as it was read, without an open
// transaction: then no record can come between a record and its copy, and none that is
// superseded can be the last committed one. Nothing is deleted here, so a crash at any
// point loses nothing.
func (c *cleaner) compact(ctx context.Context, at partition) (compacted, error) {
	log, err := c.open(at)
	if err != nil {
		return compacted{}, err
	}
	defer log.client.Close()
	from := int64(-1) // the first copy
	for {
		end, err := log.read(ctx)
		if err != nil {
			return compacted{}, err
		}
		before := end
		if from >= 0 {
			before = from
		}
		batch, n := encode(log.before(before), maxBatch)
		if n == 0 {
			return compacted{from: before, to: end, keys: len(log.newest)}, nil
		}
		copied, err := c.appendAt(ctx, at, batch, end)
		if err != nil {
			return compacted{}, err
		}
		if copied && from < 0 {
			from = end
		}
	}
}

// partitionLog reads the newest committed record of every key.
type partitionLog struct {
	*cleaner
	at     partition
	client *kgo.Client
	next   int64 // the offset to read next
	newest map[string]*kgo.Record
}

func (c *cleaner) open(at partition) (*partitionLog, error) {
	start := int64(0)
	if p := c.cluster.PartitionInfo(at.topic, at.index); p != nil {
		start = p.LogStartOffset
	}
	client, err := kgo.NewClient(append(connection(c.addr),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{at.topic: {at.index: kgo.NewOffset().At(start)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())...)
	return &partitionLog{cleaner: c, at: at, client: client, next: start, newest: map[string]*kgo.Record{}}, err
}

// read reads on to the end, once no transaction is open, and returns the end.
func (l *partitionLog) read(ctx context.Context) (end int64, err error) {
	for {
		p := l.cluster.PartitionInfo(l.at.topic, l.at.index)
		switch {
		case p == nil:
			return 0, kerr.UnknownTopicOrPartition
		case l.next < p.LastStableOffset:
			if err := l.poll(ctx); err != nil {
				return 0, err
			}
		case p.LastStableOffset == p.HighWatermark:
			return l.next, nil
		default:
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Millisecond): // until the open transaction ends
			}
		}
	}
}

func (l *partitionLog) poll(ctx context.Context) error {
	fetches := l.client.PollFetches(ctx)
	for _, e := range fetches.Errors() {
		return e.Err
	}
	fetches.EachRecord(func(r *kgo.Record) {
		l.next = r.Offset + 1
		switch {
		case r.Attrs.IsControl() || r.Key == nil:
		case r.Value == nil:
			delete(l.newest, string(r.Key))
		default:
			l.newest[string(r.Key)] = r
		}
	})
	return nil
}

// before returns the newest records of all keys that are before an offset, in order.
func (l *partitionLog) before(offset int64) []*kgo.Record {
	var out []*kgo.Record
	for _, r := range l.newest {
		if r.Offset < offset {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *kgo.Record) int { return cmp.Compare(a.Offset, b.Offset) })
	return out
}

// appendAt appends a batch if the partition still ends at that offset. kfake handles one request after the other and calls a control function right before
// it handles a request, so nothing can come between the comparison and the append.
func (c *cleaner) appendAt(ctx context.Context, at partition, batch []byte, end int64) (bool, error) {
	p := c.cluster.PartitionInfo(at.topic, at.index)
	if p == nil {
		return false, kerr.UnknownTopicOrPartition
	}
	var over atomic.Bool
	defer over.Store(true)
	c.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req, ok := r.(*kmsg.ProduceRequest)
		switch {
		case over.Load():
			c.cluster.DropControl()
			return nil, nil, false
		case !ok || !carries(req, batch):
			return nil, nil, false
		}
		c.cluster.DropControl()
		if p := c.cluster.PartitionInfo(at.topic, at.index); p == nil || p.HighWatermark != end {
			return answer(req, at, kerr.OperationNotAttempted.Code), nil, true
		}
		return nil, nil, false
	})
	resp, err := c.client.Broker(int(p.Leader)).Request(ctx, produce(at, batch))
	if err != nil {
		return false, err
	}
	err = outcome(resp)
	if errors.Is(err, kerr.OperationNotAttempted) {
		return false, nil
	}
	return err == nil, err
}

// carries reports whether the request is the one with that batch and nothing else.
func carries(req *kmsg.ProduceRequest, batch []byte) bool {
	return len(req.Topics) == 1 && len(req.Topics[0].Partitions) == 1 && bytes.Equal(req.Topics[0].Partitions[0].Records, batch)
}
