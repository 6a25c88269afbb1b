package kafka

import (
	"sync"

	"github.com/rcrowley/go-metrics"
)

// muteSarama switches sarama's own metrics off: the product's are Prometheus's, and sarama's
// cost locks and samples on every request and keep a goroutine for ever. A registry per client
// does not reach all of them: FetchRequest.encode counts into the library's default registry
// (sarama 1.61.1, fetch_request.go, with the nil registry of prepEncoder). So the first
// Settings sets the library's only switch, before there is a client; importing this
// package changes nothing.
var muteSarama = sync.OnceFunc(func() {
	metrics.UseNilMetrics = true //nolint:reassign // the library offers no other switch
})
