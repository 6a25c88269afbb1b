// Package latency counts durations in a histogram of fixed size whose quantiles are
// exact to about three percent. It is for measuring programs (the simulator, the load
// tests); the services export Prometheus histograms. Nothing here blocks.
package latency

import (
	"math/bits"
	"time"
)

const (
	subBits = 5 // 32 buckets for each doubling
	subs    = 1 << subBits
	buckets = (65 - subBits) * subs
)

// Histogram counts durations of a microsecond and more. The zero value is empty. It is
// not safe for concurrent use.
type Histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    time.Duration
	max    time.Duration
}

// Record counts d. A negative duration counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d/time.Microsecond))]++
	h.count++
	h.sum += d
	h.max = max(h.max, d)
}

// bucket keeps the leading subBits+1 bits of us.
func bucket(us uint64) int {
	shift := max(bits.Len64(us)-subBits-1, 0)
	return shift*subs + int(us>>shift)
}

// floor is the smallest value in microseconds that falls into bucket b.
func floor(b int) uint64 {
	if b < 2*subs {
		return uint64(b)
	}
	shift := b/subs - 1
	return uint64(b-shift*subs) << shift
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Max returns the longest duration recorded.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean returns the mean, 0 of an empty histogram.
func (h *Histogram) Mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// Quantile returns the duration that a share q (0..1) of those recorded do not exceed,
// 0 of an empty histogram.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.count)+0.5), 1)
	var seen uint64
	for b, n := range h.counts {
		seen += n
		if seen >= rank {
			return min(time.Duration(floor(b+1))*time.Microsecond, h.max)
		}
	}
	return h.max
}

// Merge adds the durations of o to h.
func (h *Histogram) Merge(o *Histogram) {
	for b, n := range o.counts {
		h.counts[b] += n
	}
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// Reset empties h.
func (h *Histogram) Reset() { *h = Histogram{} }
