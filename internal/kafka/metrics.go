package kafka

import "github.com/rcrowley/go-metrics"

// sarama's own metrics are switched off: the product's are Prometheus's, and sarama's
// cost locks and samples on every request and keep a goroutine for ever. This is the
// library's only switch that reaches all of them (a fetch request reports to the default
// registry whatever the settings say), and it must be set before the first client.
func init() { metrics.UseNilMetrics = true } //nolint:gochecknoinits,reassign // the library offers no other place
