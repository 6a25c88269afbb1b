package devkafka

import "github.com/twmb/franz-go/pkg/kfake"

// Cluster returns kfake's cluster, for tests that inject faults.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }
