package replay

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
	// A range may end in transaction markers, which are never delivered. It counts as read
	// once no more than maxMarkers offsets are missing and nothing came for quietTime.
	maxMarkers = 16
	quietTime  = 600 * time.Millisecond
	// stallTime is how long nothing may come before that.
	stallTime = 5 * time.Second
)

// errIncomplete is returned when a range could not be read to its end: no broker answers,
// or a transaction in it is still open.
var errIncomplete = errors.New("range not read to its end: brokers unreachable, or a transaction is still open")

// topicLog is a topic opened for reading.
type topicLog struct {
	topic    string
	client   sarama.Client
	consumer sarama.Consumer
}

// open connects to Kafka. The connections end with ctx.
func open(ctx context.Context, brokers []string, topic, clientID string) (*topicLog, error) {
	settings := kafka.NewSettings(clientID)
	settings.Metadata.Retry.Max = 4 // an operator waits for the answer
	client, err := kafka.NewClient(ctx, brokers, settings)
	if err != nil {
		return nil, err
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		_ = client.Close() // the first error says why
		return nil, fmt.Errorf("creating a consumer: %w", err)
	}
	return &topicLog{topic: topic, client: client, consumer: consumer}, nil
}

// close frees the connections.
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
	if oldest, err = l.offset(partition, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	end, err = l.offset(partition, sarama.OffsetNewest)
	return oldest, end, err
}

// at returns the offset of the first record written at ms or later, the end of the
// partition if there is none.
func (l *topicLog) at(partition int32, ms int64) (int64, error) {
	offset, err := l.offset(partition, max(ms, 0))
	if err == nil && offset < 0 {
		offset, err = l.offset(partition, sarama.OffsetNewest)
	}
	return offset, err
}

func (l *topicLog) offset(partition int32, at int64) (int64, error) {
	offset, err := l.client.GetOffset(l.topic, partition, at)
	if err != nil {
		return 0, fmt.Errorf("finding an offset of %s/%d: %w", l.topic, partition, err)
	}
	return offset, nil
}

// read calls f with the committed records of a partition with offsets in [from, to), in
// order, until f returns false. It returns errIncomplete if it could not read to the end.
func (l *topicLog) read(ctx context.Context, partition int32, from, to int64, f func(*sarama.ConsumerMessage) bool) error {
	if from >= to {
		return nil
	}
	pc, err := l.consumer.ConsumePartition(l.topic, partition, from)
	if err != nil {
		return fmt.Errorf("reading %s/%d from %d: %w", l.topic, partition, from, err)
	}
	defer discard(pc)
	return readRange(ctx, pc, from, to, f)
}

func readRange(ctx context.Context, pc sarama.PartitionConsumer, from, to int64, f func(*sarama.ConsumerMessage) bool) error {
	idle := time.NewTimer(stallTime)
	defer idle.Stop()
	last := from - 1
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return errIncomplete
			}
			if m.Offset >= to || !f(m) || m.Offset == to-1 {
				return nil
			}
			last = m.Offset
			if to-last <= maxMarkers {
				idle.Reset(quietTime)
			} else {
				idle.Reset(stallTime)
			}
		case e := <-pc.Errors():
			return fmt.Errorf("reading: %w", e.Err)
		case <-idle.C:
			if pc.HighWaterMarkOffset() == 0 || to-last > maxMarkers {
				return errIncomplete
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("reading: %w", ctx.Err())
		}
	}
}

// discard closes the consumer and drops what it fetched beyond the range.
func discard(pc sarama.PartitionConsumer) {
	pc.AsyncClose()
	for range pc.Messages() {
	}
	for range pc.Errors() {
	}
}
