package kafka

import "context"

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
