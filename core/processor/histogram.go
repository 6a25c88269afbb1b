package processor

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// endToEndBuckets are in seconds. The last ones are for readings that waited out an outage.
var endToEndBuckets = []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 60, 600, 3600}

// histogram is a Prometheus histogram that takes many observations at once: taking them
// one at a time, like the client library's, costs as much as a stage.
type histogram struct {
	desc   *prometheus.Desc
	bounds []float64

	mu     sync.Mutex
	counts []uint64 // by bucket, the last one beyond all bounds
	sum    float64
	total  uint64
}

func newHistogram(name, help string, bounds []float64) *histogram {
	return &histogram{
		desc: prometheus.NewDesc(name, help, nil, nil), bounds: bounds,
		counts: make([]uint64, len(bounds)+1),
	}
}

// observe adds n observations of v.
func (h *histogram) observe(v float64, n uint64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[i] += n
	h.sum += v * float64(n)
	h.total += n
}

// absorb adds the observations in o, which must have h's bounds, and empties o.
func (h *histogram) absorb(o *observations) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, n := range o.counts {
		h.counts[i] += n
		h.total += n
	}
	h.sum += o.sum
	*o = observations{}
}

// Describe implements prometheus.Collector.
func (h *histogram) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect implements prometheus.Collector.
func (h *histogram) Collect(ch chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	buckets := make(map[float64]uint64, len(h.bounds))
	below := uint64(0)
	for i, bound := range h.bounds {
		below += h.counts[i]
		buckets[bound] = below
	}
	ch <- prometheus.MustNewConstHistogram(h.desc, h.total, h.sum, buckets)
}

// observations counts the end-to-end times of a chunk by bucket.
type observations struct {
	counts [15]uint64 // len(endToEndBuckets) + 1
	sum    float64
}

func (o *observations) add(v float64) {
	v = max(v, 0) // two clocks may disagree
	i := 0
	for i < len(endToEndBuckets) && v > endToEndBuckets[i] {
		i++
	}
	o.counts[i]++
	o.sum += v
}
