package vitals

import (
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"

	"industrial-iot-monitor/internal/wire"
)

// reading is the metrics of a stage at one time. All only grow.
type reading struct {
	readings float64 // of the counter
	counted  bool    // there is a counter
	count    uint64
	sum      float64 // seconds
	buckets  []bucket
}

// bucket counts the durations up to a bound in seconds.
type bucket struct {
	bound float64
	count uint64
}

// read adds up the series of a stage.
func read(families []*dto.MetricFamily, s Stage) reading {
	var r reading
	for _, f := range families {
		switch f.GetName() {
		case s.Readings:
			r.counted = true
			for _, m := range f.GetMetric() {
				if fits(m, s.Labels) {
					r.readings += m.GetCounter().GetValue()
				}
			}
		case s.Seconds:
			for _, m := range f.GetMetric() {
				if fits(m, s.Labels) {
					r.add(m.GetHistogram())
				}
			}
		}
	}
	return r
}

// fits reports whether none of a series' labels differs from those wanted.
func fits(m *dto.Metric, labels map[string]string) bool {
	for _, l := range m.GetLabel() {
		if want, ok := labels[l.GetName()]; ok && want != l.GetValue() {
			return false
		}
	}
	return true
}

// add adds a histogram. All series of a metric have the same bounds.
func (r *reading) add(h *dto.Histogram) {
	r.count += h.GetSampleCount()
	r.sum += h.GetSampleSum()
	if r.buckets == nil {
		r.buckets = make([]bucket, len(h.GetBucket()))
	}
	for i, b := range h.GetBucket() {
		r.buckets[i].bound = b.GetUpperBound()
		r.buckets[i].count += b.GetCumulativeCount()
	}
}

// since returns the figures of a stage since an earlier reading.
func (r reading) since(before reading, name string, took time.Duration) wire.StageVitals {
	v := wire.StageVitals{Stage: name, Count: r.count - before.count}
	n := float64(v.Count)
	if r.counted {
		n = r.readings - before.readings
	}
	if seconds := took.Seconds(); seconds > 0 {
		v.Rate = n / seconds
	}
	if v.Count > 0 {
		v.Mean = 1000 * max(r.sum-before.sum, 0) / float64(v.Count)
		v.P99 = 1000 * r.quantile(before, 0.99, v.Count)
	}
	return v
}

// quantile interpolates within the bucket that holds the q-th of n durations. For those beyond
// the last bound it returns that bound.
func (r reading) quantile(before reading, q float64, n uint64) float64 {
	rank := q * float64(n)
	low, seen := 0.0, 0.0
	for i, b := range r.buckets {
		upTo := float64(b.count)
		if i < len(before.buckets) {
			upTo -= float64(before.buckets[i].count)
		}
		if math.IsInf(b.bound, 1) {
			break
		}
		if upTo >= rank && upTo > seen {
			return low + (b.bound-low)*(rank-seen)/(upTo-seen)
		}
		low, seen = b.bound, upTo
	}
	return low
}
