package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/lifecycle"
)

// Log is a topic opened for reading from any offset, without a consumer group. It is safe for
// concurrent use.
type Log struct {
	ctx      context.Context //nolint:containedctx // of the connections, which end with it
	topic    string
	client   sarama.Client
	consumer sarama.Consumer
}

// OpenLog connects to Kafka, within seconds or not at all: a person waits for the answer. The
// connections end with ctx.
func OpenLog(ctx context.Context, cluster Cluster, topic, clientID string) (*Log, error) {
	settings := cluster.Settings(clientID)
	settings.Metadata.Retry.Max = 4
	client, err := NewClient(ctx, cluster, settings)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating a consumer: %w", err), client.Close())
	}
	return &Log{ctx: ctx, topic: topic, client: client, consumer: consumer}, nil
}

// Close frees the connections.
func (l *Log) Close() error { return errors.Join(l.consumer.Close(), l.client.Close()) }

// Partitions returns the topic's partitions, in order.
func (l *Log) Partitions() ([]int32, error) {
	partitions, err := l.client.Partitions(l.topic)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", l.topic, err)
	}
	return slices.Sorted(slices.Values(partitions)), nil
}

// Bounds returns the oldest offset of a partition and the one after its newest.
func (l *Log) Bounds(partition int32) (oldest, end int64, err error) {
	if oldest, err = l.offset(partition, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	end, err = l.offset(partition, sarama.OffsetNewest)
	return oldest, end, err
}

// At returns the offset of the first record written at ms (since 1970) or later, the end of
// the partition if there is none.
func (l *Log) At(partition int32, ms int64) (int64, error) {
	offset, err := l.offset(partition, max(ms, 0))
	if err == nil && offset < 0 {
		offset, err = l.offset(partition, sarama.OffsetNewest)
	}
	return offset, err
}

// A partition that was just made, or moves, has no leader for a moment.
const leaderRetries, leaderWait = 20, 250 * time.Millisecond

func (l *Log) offset(partition int32, at int64) (int64, error) {
	offset, err := l.client.GetOffset(l.topic, partition, at)
	for n := 0; n < leaderRetries && (errors.Is(err, sarama.ErrNotLeaderForPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable)); n++ {
		lifecycle.Pause(l.ctx, leaderWait)
		offset, err = l.client.GetOffset(l.topic, partition, at)
	}
	if err != nil {
		return 0, fmt.Errorf("finding an offset of %s/%d: %w", l.topic, partition, err)
	}
	return offset, nil
}

// Consume delivers the committed records of a partition from an offset on. Discard ends it.
func (l *Log) Consume(partition int32, from int64) (sarama.PartitionConsumer, error) {
	pc, err := l.consumer.ConsumePartition(l.topic, partition, from)
	if err != nil {
		return nil, fmt.Errorf("reading %s/%d from %d: %w", l.topic, partition, from, err)
	}
	return pc, nil
}

// Discard closes a consumer and drops what it fetched beyond what was read.
func Discard(pc sarama.PartitionConsumer) {
	pc.AsyncClose()
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}
