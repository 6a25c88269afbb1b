package processor

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// endToEndBuckets are in seconds. The last ones are for what waited out an outage.
var endToEndBuckets = []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 60, 600, 3600}

// histogram is a Prometheus histogram that takes many observations at once: one at a
// time, as the client library's wants it, costs as much as a stage.
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

// absorb adds what t has counted with h's bounds and empties t.
func (h *histogram) absorb(t *tally) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, n := range t.counts {
		h.counts[i] += n
		h.total += n
	}
	h.sum += t.sum
	*t = tally{}
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

// tally counts end-to-end times of one task between two looks.
type tally struct {
	counts [15]uint64 // len(endToEndBuckets) + 1
	sum    float64
}

func (t *tally) add(v float64) {
	v = max(v, 0) // two clocks may disagree
	i := 0
	for i < len(endToEndBuckets) && v > endToEndBuckets[i] {
		i++
	}
	t.counts[i]++
	t.sum += v
}
