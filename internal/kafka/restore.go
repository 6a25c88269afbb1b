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

// fencePatience is how long Restore reads without meeting its fence before it commits
// another one: the first may have been compacted away by a newer owner's, and then
// the commit is what says so.
const fencePatience = 5 * time.Second

// Restore reads a partition of a compacted topic and returns the newest value of each
// key (a key whose newest value is nil is absent). To know where the end is, it first
// commits a fence record under the reserved key "\x00fence" through p and reads,
// read_committed, until it meets that record: so a transaction that an older owner left open is
// decided before Restore returns. An older owner with p's transactional id was fenced and
// its transaction aborted when p was made; one with another id is waited for until the
// broker gives it up (the other's transaction timeout).
func Restore(ctx context.Context, log *slog.Logger, brokers []string, p *Producer, topic string, partition int32) (map[string][]byte, error) {
	nonce := []byte(rand.Text())
	if err := p.fence(topic, partition, nonce); err != nil {
		return nil, fmt.Errorf("fencing %s/%d: %w", topic, partition, err)
	}
	var state map[string][]byte
	err := persist(ctx, log, "reading state", func() (err error) {
		state, err = restore(ctx, brokers, p, topic, partition, nonce)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("restoring %s/%d: %w", topic, partition, err)
	}
	return state, nil
}

// fence commits the record that marks the end of what there is to read.
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

func restore(ctx context.Context, brokers []string, p *Producer, topic string, partition int32, nonce []byte) (map[string][]byte, error) {
	conns, cut := context.WithCancel(ctx)
	defer cut()
	conf := NewSettings(p.client.Config().ClientID)
	bindOnce(conns, conf)
	consumer, err := sarama.NewConsumer(brokers, conf)
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

// drain throws away what was fetched too much and waits until the consumer is gone.
func drain(pc sarama.PartitionConsumer) {
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}

// collect gathers the newest values up to the fence with that nonce, and calls again for
// another fence when none comes.
func collect(ctx context.Context, pc sarama.PartitionConsumer, nonce []byte, again func() error) (map[string][]byte, error) {
	state := make(map[string][]byte)
	patience := time.NewTicker(fencePatience)
	defer patience.Stop()
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
		case <-patience.C:
			if err := again(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// set takes a record into the state. It copies the value, which lies in a fetch buffer a
// thousand times its size.
func set(state map[string][]byte, m *sarama.ConsumerMessage) {
	if m.Value == nil {
		delete(state, string(m.Key))
		return
	}
	state[string(m.Key)] = bytes.Clone(m.Value)
}
