package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writer writes records into the partitions that they name, in order.
type writer struct {
	client *kgo.Client

	mu   sync.Mutex
	next map[int32]int64 // the offset after the newest, of what add wrote
	err  error
}

func newWriter(brokers []string) (*writer, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1), kgo.MaxBufferedRecords(50_000),
	)
	if err != nil {
		return nil, fmt.Errorf("writing to Kafka: %w", err)
	}
	return &writer{client: client, next: map[int32]int64{}}, nil
}

func (w *writer) close() { w.client.Close() }

// write stores a record and sets its offset.
func (w *writer) write(ctx context.Context, r *kgo.Record) error {
	if err := w.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("writing to %s: %w", r.Topic, err)
	}
	return nil
}

// add stores a record in the background. The records of one writer are of one topic.
func (w *writer) add(ctx context.Context, r *kgo.Record) {
	w.client.Produce(ctx, r, func(r *kgo.Record, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = errors.Join(w.err, err)
		w.next[r.Partition] = max(w.next[r.Partition], r.Offset+1)
	})
}

// flush waits until everything is stored and returns the offset after the newest by partition.
func (w *writer) flush(ctx context.Context) (map[int32]int64, error) {
	err := w.client.Flush(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.next), errors.Join(err, w.err)
}
