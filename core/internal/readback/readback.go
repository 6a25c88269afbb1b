// Package readback reads once more what Kafka holds of the readings, read_committed and
// outside any consumer group, for whoever wants to know what was: why an alarm was
// raised, or what a new rule would have raised. It changes nothing. Its methods block
// on Kafka until their context ends; a Log's connections end with the context it was
// opened with.
package readback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
)

const (
	// quiet is how long nothing comes at the end of what is to be read until it is
	// believed that nothing will: offsets there may be markers of transactions.
	quiet = 600 * time.Millisecond
	// stuck is the same before the end.
	stuck = 5 * time.Second
	// markers is how many offsets at the end are taken for markers.
	markers = 16
)

// ErrIncomplete says that not all of a range could be read: no broker answers, or a
// transaction in it is not decided.
var ErrIncomplete = errors.New("not all of it could be read")

// Log is a topic opened for reading.
type Log struct {
	topic    string
	client   sarama.Client
	consumer sarama.Consumer
}

// Open connects to Kafka.
func Open(ctx context.Context, brokers []string, topic, clientID string) (*Log, error) {
	settings := kafka.NewSettings(clientID)
	settings.Metadata.Retry.Max = 4 // somebody waits for an answer
	client, err := kafka.NewClient(ctx, brokers, settings)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		_ = client.Close() // the first error says why
		return nil, fmt.Errorf("making a consumer: %w", err)
	}
	return &Log{topic: topic, client: client, consumer: consumer}, nil
}

// Close frees the connections.
func (l *Log) Close() error { return errors.Join(l.consumer.Close(), l.client.Close()) }

// Partitions returns the topic's partitions, in order.
func (l *Log) Partitions() ([]int32, error) {
	partitions, err := l.client.Partitions(l.topic)
	if err != nil {
		return nil, fmt.Errorf("asking for the partitions of %s: %w", l.topic, err)
	}
	return slices.Sorted(slices.Values(partitions)), nil
}

// Bounds returns the oldest offset of a partition and the one after its last.
func (l *Log) Bounds(partition int32) (oldest, end int64, err error) {
	if oldest, err = l.offset(partition, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	end, err = l.offset(partition, sarama.OffsetNewest)
	return oldest, end, err
}

// At returns the offset of the first record that was written at ms or later, the end of
// the partition where there is none.
func (l *Log) At(partition int32, ms int64) (int64, error) {
	offset, err := l.offset(partition, max(ms, 0))
	if err == nil && offset < 0 {
		offset, err = l.offset(partition, sarama.OffsetNewest)
	}
	return offset, err
}

func (l *Log) offset(partition int32, at int64) (int64, error) {
	offset, err := l.client.GetOffset(l.topic, partition, at)
	if err != nil {
		return 0, fmt.Errorf("asking for an offset of %s/%d: %w", l.topic, partition, err)
	}
	return offset, nil
}

// Read hands the committed records of a partition with offsets in [from, to) to f, in
// order, until f returns false.
func (l *Log) Read(ctx context.Context, partition int32, from, to int64, f func(*sarama.ConsumerMessage) bool) error {
	if from >= to {
		return nil
	}
	pc, err := l.consumer.ConsumePartition(l.topic, partition, from)
	if err != nil {
		return fmt.Errorf("reading %s/%d from %d: %w", l.topic, partition, from, err)
	}
	defer shut(pc)
	return read(ctx, pc, from, to, f)
}

func read(ctx context.Context, pc sarama.PartitionConsumer, from, to int64, f func(*sarama.ConsumerMessage) bool) error {
	idle := time.NewTimer(stuck)
	defer idle.Stop()
	last := from - 1
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return ErrIncomplete
			}
			if m.Offset >= to || !f(m) || m.Offset == to-1 {
				return nil
			}
			last = m.Offset
			if to-last <= markers {
				idle.Reset(quiet)
			} else {
				idle.Reset(stuck)
			}
		case e := <-pc.Errors():
			return fmt.Errorf("reading: %w", e.Err)
		case <-idle.C:
			if pc.HighWaterMarkOffset() == 0 || to-last > markers {
				return ErrIncomplete
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("reading: %w", ctx.Err())
		}
	}
}

// shut ends the consumer and throws away what was fetched too much.
func shut(pc sarama.PartitionConsumer) {
	pc.AsyncClose()
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}
