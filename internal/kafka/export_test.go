package kafka

import (
	"context"
	"log/slog"
)

// Fence is fence, for tests that lose a fence record.
func (p *Producer) Fence(topic string, partition int32, nonce []byte) error {
	return p.fence(topic, partition, nonce)
}

// RestoreUpTo is restore: Restore after its fence is written.
func RestoreUpTo(ctx context.Context, c Cluster, p *Producer, topic string, partition int32, nonce []byte) (map[string][]byte, error) {
	return restore(ctx, c, p, topic, partition, nonce)
}

// NextSequence is nextSequence.
var NextSequence = nextSequence

// Recheck is recheck, which WatchTopics calls.
func Recheck(ctx context.Context, c Cluster, log *slog.Logger) { c.recheck(ctx, log) }
