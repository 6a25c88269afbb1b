package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	// quietTime is how long nothing must come before the rest of a range is looked at: it may be transaction
	// markers and aborted records, which are never delivered.
	quietTime = 300 * time.Millisecond
	// stallTime is how long a read may make no progress.
	stallTime = 30 * time.Second
	// tailBytes is how much of the rest is fetched at once.
	tailBytes = 1 << 20
	// fetchVersion is the newest without tagged fields; brokers have had it since 2.3.
	fetchVersion = 11
)

// ErrUnfinished is wrapped by errors of a range that was not read to its end.
var ErrUnfinished = errors.New("not read to its end: brokers are unreachable, or a transaction is still open")

// ReadCommitted calls each with the committed records of a partition with offsets in [from, to), in order, until each
// returns an error. It returns nil only if it has seen all of them: unlike a consumer that waits for silence, it makes sure
// that what is missing at the end are markers and aborted records. It wraps ErrUnfinished after 30 s without progress.
func (l *Log) ReadCommitted(ctx context.Context, partition int32, from, to int64, each func(*sarama.ConsumerMessage) error) error {
	if from >= to {
		return nil
	}
	pc, err := l.Consume(partition, from)
	if err != nil {
		return err
	}
	defer Discard(pc)
	next, moved := from, time.Now()
	quiet := time.NewTimer(quietTime)
	defer quiet.Stop()
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return fmt.Errorf("%s/%d: %w", l.topic, partition, ErrUnfinished)
			}
			if m.Offset >= to {
				return nil
			}
			if err := each(m); err != nil {
				return err
			}
			if next, moved = m.Offset+1, time.Now(); next >= to {
				return nil
			}
		case e := <-pc.Errors():
			return fmt.Errorf("reading %s/%d: %w", l.topic, partition, e.Err)
		case <-quiet.C:
			if ended, err := l.nothingLeft(partition, next, to); ended {
				return nil
			} else if time.Since(moved) > stallTime {
				return fmt.Errorf("%s/%d at offset %d of %d: %w", l.topic, partition, next, to, errors.Join(ErrUnfinished, err))
			}
		case <-ctx.Done():
			return fmt.Errorf("reading %s/%d: %w", l.topic, partition, ctx.Err())
		}
		quiet.Reset(quietTime)
	}
}

// nothingLeft reports whether [next, to) holds no committed record. It is false while that is unknown.
func (l *Log) nothingLeft(partition int32, next, to int64) (bool, error) {
	for next < to {
		block, err := l.fetch(partition, next)
		if err != nil {
			return false, err
		}
		if block.LastStableOffset < to || len(block.RecordsSet) == 0 {
			return false, nil
		}
		open := transactions{aborted: block.AbortedTransactions, now: make(map[int64]bool)}
		slices.SortFunc(open.aborted, func(a, b *sarama.AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
		for _, set := range block.RecordsSet {
			b := set.RecordBatch
			if b == nil || !open.discards(b) && b.LastOffset() >= next && b.FirstOffset < to {
				return false, nil // the consumer delivers it
			}
			next = max(next, b.LastOffset()+1)
		}
	}
	return true, nil
}

// transactions follows the aborted transactions of a response, batch by batch.
type transactions struct {
	aborted []*sarama.AbortedTransaction // those that have not begun yet
	now     map[int64]bool               // by producer: its transaction here will be aborted
}

// discards reports whether consumers never receive the records of the next batch: a marker, or one of an aborted transaction.
func (t *transactions) discards(b *sarama.RecordBatch) bool {
	for len(t.aborted) > 0 && t.aborted[0].FirstOffset <= b.LastOffset() {
		t.now[t.aborted[0].ProducerID] = true
		t.aborted = t.aborted[1:]
	}
	if b.Control {
		if aborts(b) {
			delete(t.now, b.ProducerID)
		}
		return true
	}
	return b.IsTransactional && t.now[b.ProducerID]
}

// aborts reports whether a marker ends its transaction by aborting it: its key is a version and a type of 16 bits
// each (Kafka protocol guide, "Control Batches").
func aborts(b *sarama.RecordBatch) bool {
	return len(b.Records) == 1 && len(b.Records[0].Key) >= 4 && b.Records[0].Key[2] == 0 && b.Records[0].Key[3] == 0
}

func (l *Log) fetch(partition int32, offset int64) (*sarama.FetchResponseBlock, error) {
	leader, err := l.client.Leader(l.topic, partition)
	if err != nil {
		return nil, fmt.Errorf("looking up the leader of %s/%d: %w", l.topic, partition, err)
	}
	req := &sarama.FetchRequest{
		Version: fetchVersion, MaxWaitTime: int32(quietTime.Milliseconds()), MinBytes: 1, MaxBytes: tailBytes,
		Isolation: sarama.ReadCommitted, SessionEpoch: -1,
	}
	req.AddBlock(l.topic, partition, offset, tailBytes, -1)
	resp, err := leader.Fetch(req)
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d: %w", l.topic, partition, err)
	}
	block := resp.GetBlock(l.topic, partition)
	switch {
	case block == nil:
		return nil, fmt.Errorf("reading %s/%d: %w", l.topic, partition, sarama.ErrIncompleteResponse)
	case !errors.Is(block.Err, sarama.ErrNoError):
		return nil, fmt.Errorf("reading %s/%d: %w", l.topic, partition, block.Err)
	}
	return block, nil
}
