package kafka

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// fenceKey is reserved in every restored topic.
const fenceKey = "\x00fence"

// Reserved reports whether a record's key is that of the fences that Restore writes.
func Reserved(key []byte) bool { return string(key) == fenceKey }

// fenceTimeout is how long Restore reads without finding its fence before it commits another
// one: a newer owner's fence may have compacted the first one away, and then the commit
// fails.
const fenceTimeout = 5 * time.Second

// Restore reads a partition of a compacted topic and returns the newest value of each
// key (a key whose newest value is nil is absent). To know where the end is, it first
// commits a fence record under the reserved key "\x00fence" through p and reads,
// read_committed, until it finds that record: so an older owner's open transaction is
// decided before Restore returns. An older owner with p's transactional id was fenced and
// its transaction aborted when p was made; Restore waits for one with another id until the
// broker times it out.
func Restore(ctx context.Context, log *slog.Logger, cluster Cluster, p *Producer, topic string, partition int32) (map[string][]byte, error) {
	nonce := []byte(rand.Text())
	if err := p.fence(topic, partition, nonce); err != nil {
		return nil, fmt.Errorf("fencing %s/%d: %w", topic, partition, err)
	}
	var state map[string][]byte
	err := persist(ctx, log, "reading state", func() (err error) {
		state, err = restore(ctx, cluster, p, topic, partition, nonce)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("restoring %s/%d: %w", topic, partition, err)
	}
	return state, nil
}

// fence commits the record that marks the end of the data to read.
func (p *Producer) fence(topic string, partition int32, nonce []byte) error {
	if err := p.Begin(); err != nil {
		return err
	}
	m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fenceKey), Value: sarama.ByteEncoder(nonce)}
	if err := p.SendTo(partition, m); err != nil {
		return err
	}
	return p.Commit()
}

func restore(ctx context.Context, cluster Cluster, p *Producer, topic string, partition int32, nonce []byte) (map[string][]byte, error) {
	conns, cut := context.WithCancel(ctx)
	defer cut()
	conf := cluster.Settings(p.client.Config().ClientID)
	bindOnce(conns, conf)
	consumer, err := sarama.NewConsumer(cluster.Brokers, conf)
	if err != nil {
		return nil, err
	}
	defer func() { _ = consumer.Close() }() // nothing was written through it
	pc, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer func() {
		pc.AsyncClose()
		cut() // or it would wait for the fetch in progress to come back
		drain(pc)
	}()
	return collect(ctx, pc, nonce, func() error { return p.fence(topic, partition, nonce) })
}

// drain discards surplus records and waits until the consumer has closed.
func drain(pc sarama.PartitionConsumer) {
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}

// collect gathers the newest values up to the fence with that nonce, and calls again for
// another fence when none arrives in time.
func collect(ctx context.Context, pc sarama.PartitionConsumer, nonce []byte, again func() error) (map[string][]byte, error) {
	state := make(map[string][]byte)
	overdue := time.NewTicker(fenceTimeout)
	defer overdue.Stop()
	for {
		select {
		case m := <-pc.Messages():
			switch {
			case string(m.Key) != fenceKey:
				set(state, m)
			case bytes.Equal(m.Value, nonce):
				return state, nil
			}
		case e := <-pc.Errors():
			return nil, e.Err
		case <-overdue.C:
			if err := again(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// set applies a record to the state. It copies the value, which is part of a fetch buffer a
// thousand times its size.
func set(state map[string][]byte, m *sarama.ConsumerMessage) {
	if m.Value == nil {
		delete(state, string(m.Key))
		return
	}
	state[string(m.Key)] = bytes.Clone(m.Value)
}
