package letterbox

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
	// The end of a partition may be transaction markers, which are never delivered: it counts as
	// read once nothing came for quietTime and no more than maxMarkers offsets are missing, or for
	// stallTime, which an open transaction takes.
	maxMarkers = 16
	quietTime  = 600 * time.Millisecond
	stallTime  = 3 * time.Second
)

// topicLog is the topic opened for reading.
type topicLog struct {
	topic    string
	client   sarama.Client
	consumer sarama.Consumer
}

// open connects to Kafka. The connections end with ctx.
func open(ctx context.Context, brokers []string, topic string) (*topicLog, error) {
	settings := kafka.NewSettings(clientID)
	settings.Metadata.Retry.Max = 4 // an operator waits for the answer
	client, err := kafka.NewClient(ctx, brokers, settings)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("creating a consumer: %w", err), client.Close())
	}
	return &topicLog{topic: topic, client: client, consumer: consumer}, nil
}

func (l *topicLog) close() error { return errors.Join(l.consumer.Close(), l.client.Close()) }

// partitions returns the topic's partitions, in order.
func (l *topicLog) partitions() ([]int32, error) {
	partitions, err := l.client.Partitions(l.topic)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", l.topic, err)
	}
	return slices.Sorted(slices.Values(partitions)), nil
}

// bounds returns the oldest offset of a partition and the one after its newest.
func (l *topicLog) bounds(partition int32) (oldest, end int64, err error) {
	if oldest, err = l.client.GetOffset(l.topic, partition, sarama.OffsetOldest); err == nil {
		end, err = l.client.GetOffset(l.topic, partition, sarama.OffsetNewest)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("finding the bounds of %s/%d: %w", l.topic, partition, err)
	}
	return oldest, end, nil
}

// read calls f with the committed records of a partition from an offset on, until f returns false.
// Unless it is to wait for that, it also ends at end.
func (l *topicLog) read(ctx context.Context, partition int32, from, end int64, wait bool, f func(*sarama.ConsumerMessage) bool) error {
	pc, err := l.consumer.ConsumePartition(l.topic, partition, from)
	if err != nil {
		return fmt.Errorf("reading %s/%d from %d: %w", l.topic, partition, from, err)
	}
	defer discard(pc)
	pause := func(next int64) time.Duration {
		if end-next <= maxMarkers {
			return quietTime
		}
		return stallTime
	}
	idle := time.NewTimer(pause(from))
	defer idle.Stop()
	next := from
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return errClosed
			}
			next = m.Offset + 1
			if !f(m) || !wait && next >= end {
				return nil
			}
			idle.Reset(pause(next))
		case e := <-pc.Errors():
			return fmt.Errorf("reading %s/%d: %w", l.topic, partition, e.Err)
		case <-idle.C:
			if !wait && pc.HighWaterMarkOffset() != 0 {
				return nil // something came, or there is nothing that can be seen yet
			}
			idle.Reset(pause(next))
		case <-ctx.Done():
			return fmt.Errorf("reading %s/%d: %w", l.topic, partition, ctx.Err())
		}
	}
}

var errClosed = errors.New("the consumer was closed")

// discard closes the consumer and drops what it fetched beyond.
func discard(pc sarama.PartitionConsumer) {
	pc.AsyncClose()
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}
