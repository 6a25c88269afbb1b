package letterbox

import (
	"context"
	"errors"
	"fmt"
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

// readLog calls f with the committed records of a partition from an offset on, until f returns false.
// Unless it is to wait for that, it also ends at end.
func readLog(ctx context.Context, log *kafka.Log, partition int32, from, end int64, wait bool, f func(*sarama.ConsumerMessage) bool) error {
	pc, err := log.Consume(partition, from)
	if err != nil {
		return err
	}
	defer kafka.Discard(pc)
	pause := func(next int64) time.Duration {
		if end-next <= maxMarkers {
			return quietTime
		}
		return stallTime
	}
	idle := time.NewTimer(stallTime) // until something has come the connection may only be in the making
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
			return e // names topic and partition
		case <-idle.C:
			// A busy machine may wake up for both at once.
			if !wait && len(pc.Messages()) == 0 && pc.HighWaterMarkOffset() != 0 {
				return nil // the rest cannot be seen, or not yet
			}
			idle.Reset(pause(next))
		case <-ctx.Done():
			return fmt.Errorf("reading partition %d: %w", partition, ctx.Err())
		}
	}
}

var errClosed = errors.New("the consumer was closed")
