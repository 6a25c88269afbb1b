package devkafka

import "github.com/twmb/franz-go/pkg/kfake"

// Clean does at once what the broker does hourly: it compacts and applies retention.
func (b *Broker) Clean() {
	b.cluster.Compact()
	b.cluster.ApplyRetention()
}

// Fault makes the broker misbehave.
func (b *Broker) Fault(f kfake.Fault) *kfake.FaultHandle { return b.cluster.Fault(f) }
