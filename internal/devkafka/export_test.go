package devkafka

// Clean does at once what the broker does hourly: it compacts and applies retention.
func (b *Broker) Clean() {
	b.cluster.Compact()
	b.cluster.ApplyRetention()
}
