package replay

import (
	"context"
	"errors"
	"fmt"
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

// readLog calls f with the committed records of a partition with offsets in [from, to), in
// order, until f returns false. It returns errIncomplete if it could not read to the end.
func readLog(ctx context.Context, log *kafka.Log, partition int32, from, to int64, f func(*sarama.ConsumerMessage) bool) error {
	if from >= to {
		return nil
	}
	pc, err := log.Consume(partition, from)
	if err != nil {
		return err
	}
	defer kafka.Discard(pc)
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
