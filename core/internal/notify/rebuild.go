package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/lifecycle"
)

// quiet is how long no record may come before the past counts as read. Usually its last
// record shows it: the committed offset follows a record or is that of one. Only
// transaction markers, which consumers never see, can be in between.
const quiet = 3 * time.Second

// rebuild reads the past of a partition, the records before resume, into the outbox. It
// retries until it succeeds, and returns false when ctx ends first.
func (n *Notifier) rebuild(ctx context.Context, client sarama.Client, partition int32, resume int64) bool {
	start := time.Now()
	for ctx.Err() == nil {
		records, err := n.past(ctx, client, partition, resume)
		if err == nil {
			n.log.Info("standing alarms restored", "partition", partition, "records", records, "took", time.Since(start).Round(time.Millisecond))
			return true
		}
		if ctx.Err() == nil {
			n.log.Warn("reading a partition's past failed, retrying", "partition", partition, "err", err)
			lifecycle.Pause(ctx, retryPause)
		}
	}
	return false
}

// past reads the records before resume.
func (n *Notifier) past(ctx context.Context, client sarama.Client, partition int32, resume int64) (records int, err error) {
	oldest, err := client.GetOffset(n.topic, partition, sarama.OffsetOldest)
	if err != nil {
		return 0, fmt.Errorf("reading the oldest offset: %w", err)
	}
	if oldest >= resume {
		return 0, nil
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return 0, fmt.Errorf("making a consumer: %w", err)
	}
	defer func() { _ = consumer.Close() }() // nothing was written through it
	pc, err := consumer.ConsumePartition(n.topic, partition, oldest)
	if err != nil {
		return 0, fmt.Errorf("reading from offset %d: %w", oldest, err)
	}
	defer func() { _ = pc.Close() }()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case m, ok := <-pc.Messages():
			if !ok {
				return records, errors.New("the consumer ended")
			}
			if m.Offset >= resume {
				return records, nil
			}
			n.receive(m)
			records++
			if m.Offset == resume-1 {
				return records, nil
			}
			timer.Reset(quiet)
		case e := <-pc.Errors():
			return records, e
		case <-timer.C:
			if pc.HighWaterMarkOffset() >= resume { // the broker has answered
				return records, nil
			}
			timer.Reset(quiet)
		case <-ctx.Done():
			return records, ctx.Err()
		}
	}
}
