package devkafka

import "github.com/twmb/franz-go/pkg/kfake"

// Cluster returns the broker itself, for load tests that make it misbehave.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }
