package kafka

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// delivery is a load on its way to the brokers.
type delivery struct {
	load
	done chan struct{}
	err  error // valid once done
}

// flush waits for the delivery in progress and starts the next with the gathered batches.
func (p *Producer) flush() error {
	if err := p.await(); err != nil {
		return err
	}
	if len(p.filling.batches) == 0 {
		return nil
	}
	d := &delivery{load: p.filling, done: make(chan struct{})}
	for _, b := range d.batches {
		t := p.topics[b.topic]
		b.seal(p.compression, p.txn.producerID, p.txn.epoch, t.sequence[b.partition])
		t.sequence[b.partition] = nextSequence(t.sequence[b.partition], len(b.records))
		t.batches[b.partition] = nil
	}
	p.filling = load{}
	p.inflight = d
	go func() { // awaited by the next flush, Commit or Close
		defer close(d.done)
		d.err = p.deliver(d)
	}()
	return nil
}

// await waits for the delivery in progress, if any. deliver bounds the wait.
func (p *Producer) await() error {
	d := p.inflight
	if d == nil {
		return nil
	}
	<-d.done
	p.inflight = nil
	if d.err != nil {
		return d.err
	}
	for _, b := range d.batches {
		if err := p.confirm(b); err != nil {
			return err
		}
		b.reset()
	}
	p.spare = append(p.spare, d.batches...)
	return nil
}

// confirm counts acknowledged records. A partition only grows: a batch at the offset of an
// earlier one shows that the broker lost the earlier one.
func (p *Producer) confirm(b *batch) error {
	t := p.topics[b.topic]
	if b.offset >= 0 {
		if b.offset < t.end[b.partition] {
			return fmt.Errorf("%w: %s/%d: acknowledged at offset %d, expected at least %d", ErrRewound, b.topic, b.partition, b.offset, t.end[b.partition])
		}
		t.end[b.partition] = b.offset + int64(len(b.records))
	}
	p.acknowledged[b.topic] += len(b.records)
	return nil
}

// deliver sends a load to the brokers and repeats unanswered requests.
func (p *Producer) deliver(d *delivery) error {
	err := persist(p.began, p.log, "adding partitions to the transaction", func() error { return p.txn.addPartitions(d.batches) })
	if err != nil {
		return err
	}
	return persist(p.began, p.log, "producing", func() error { return p.produce(d.batches) })
}

// produce sends the batches that are not stored yet, one request per leader, all at once.
func (p *Producer) produce(batches []*batch) error {
	byLeader := make(map[*sarama.Broker][]*batch, 1)
	for _, b := range batches {
		if b.stored {
			continue
		}
		leader, err := p.client.Leader(b.topic, b.partition)
		if err != nil {
			return err
		}
		byLeader[leader] = append(byLeader[leader], b)
	}
	var wg sync.WaitGroup
	results := make(chan error, len(byLeader))
	for leader, batches := range byLeader {
		wg.Go(func() { results <- p.produceTo(leader, batches) })
	}
	wg.Wait()
	close(results)
	var err error
	for e := range results {
		if err == nil || !retriable(e) && e != nil {
			err = e // one that cannot be retried decides
		}
	}
	if err != nil && retriable(err) {
		_ = p.client.RefreshMetadata() // the leaders may have moved; if this fails, the next try does too
	}
	return err
}

func (p *Producer) produceTo(leader *sarama.Broker, batches []*batch) error {
	id := p.txn.id
	req := &sarama.ProduceRequest{
		TransactionalID: &id,
		RequiredAcks:    sarama.WaitForAll,
		Timeout:         int32(produceTimeout / time.Millisecond),
		Version:         10,
	}
	for _, b := range batches {
		req.AddBatch(b.topic, b.partition, &b.wire)
	}
	resp, err := leader.Produce(req)
	if err != nil {
		return err
	}
	var worst error
	for _, b := range batches {
		block := resp.GetBlock(b.topic, b.partition)
		err := stored(block)
		b.stored = err == nil
		if b.stored {
			b.offset = block.Offset
		}
		if err != nil && (worst == nil || !retriable(err)) {
			worst = err
		}
	}
	return worst
}

// stored returns nil when the broker has the batch, from this or an earlier request.
func stored(block *sarama.ProduceResponseBlock) error {
	switch {
	case block == nil:
		return sarama.ErrIncompleteResponse
	case errors.Is(block.Err, sarama.ErrNoError), errors.Is(block.Err, sarama.ErrDuplicateSequenceNumber):
		return nil
	default:
		return block.Err
	}
}
