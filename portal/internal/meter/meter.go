// Package meter measures rates and ages over the last ten seconds, cheaply enough to count every
// reading, and the ages since start as a Prometheus histogram. It does not lock and never
// blocks: the owner of a Meter guards it.
package meter

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Window is how many whole seconds Recent covers.
const Window = 10

// bounds are the inclusive upper limits of the age classes, in milliseconds; one more class counts
// older ones. Steps are at most 30 %, which bounds the error of a quantile.
var bounds = [...]int64{
	1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, 250, 320, 400, 500,
	640, 800, 1000, 1280, 1600, 2000, 2500, 3200, 4000, 5000, 6400, 8000, 10000, 13000, 16000, 20000, 30000, 60000,
}

const classes = len(bounds) + 1

// exported are the bounds that the Prometheus histogram shows, a subset of bounds.
var exported = [...]int64{2, 5, 10, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000}

// second holds what was recorded in one second.
type second struct {
	unix  int64 // which second; an older one is stale
	count int64
	aged  int64 // how many of count came with an age
	sum   int64 // of their ages, ms
	class [classes]uint32
}

// Meter counts events and the ages they had. The zero value is ready.
type Meter struct {
	ring  [Window + 1]second // Window and the current second
	first int64              // the second of the first event
	total int64
	aged  uint64
	sum   int64
	class [classes]uint64
}

// Add records n events without an age at nowMS.
func (m *Meter) Add(nowMS int64, n int) {
	m.at(nowMS).count += int64(n)
	m.total += int64(n)
}

// AddAge records one event at nowMS and its age, both in milliseconds. An age below
// zero, as clocks that disagree produce, counts as zero.
func (m *Meter) AddAge(nowMS, ageMS int64) {
	ageMS = max(ageMS, 0)
	k, _ := slices.BinarySearch(bounds[:], ageMS)
	s := m.at(nowMS)
	s.count++
	s.aged++
	s.sum += ageMS
	s.class[k]++
	m.total++
	m.aged++
	m.sum += ageMS
	m.class[k]++
}

// at returns the slot of the second that nowMS is in.
func (m *Meter) at(nowMS int64) *second {
	unix := nowMS / 1000
	if m.first == 0 {
		m.first = unix
	}
	s := &m.ring[unix%int64(len(m.ring))]
	if s.unix != unix {
		*s = second{unix: unix}
	}
	return s
}

// Total returns the number of events since start.
func (m *Meter) Total() int64 { return m.total }

// Recent are the figures of the last Window whole seconds. Ages are in milliseconds, over the Aged
// events that had one; they are 0 if there were none.
type Recent struct {
	PerSecond      float64
	Aged           int64
	Mean, P50, P99 float64
}

// Recent returns the figures of the whole seconds before nowMS.
func (m *Meter) Recent(nowMS int64) Recent {
	now := nowMS / 1000
	var sum second
	for i := range m.ring {
		s := &m.ring[i]
		if s.unix < now-Window || s.unix >= now {
			continue
		}
		sum.count += s.count
		sum.aged += s.aged
		sum.sum += s.sum
		for k, n := range s.class {
			sum.class[k] += n
		}
	}
	// A meter younger than the window has a shorter one.
	seconds := min(max(now-m.first, 1), Window)
	r := Recent{PerSecond: float64(sum.count) / float64(seconds), Aged: sum.aged}
	if sum.aged > 0 {
		r.Mean = float64(sum.sum) / float64(sum.aged)
		r.P50 = sum.quantile(0.50)
		r.P99 = sum.quantile(0.99)
	}
	return r
}

// quantile interpolates within the class that holds the q-th of the ages. For ages beyond
// the last bound it returns that bound.
func (s *second) quantile(q float64) float64 {
	rank := q * float64(s.aged)
	seen, low := 0.0, int64(0)
	for k, bound := range bounds {
		n := float64(s.class[k])
		if n > 0 && seen+n >= rank {
			return float64(low) + float64(bound-low)*(rank-seen)/n
		}
		seen, low = seen+n, bound
	}
	return float64(low)
}

// Histogram returns the ages since start as a Prometheus histogram in seconds.
func (m *Meter) Histogram(d *prometheus.Desc) prometheus.Metric {
	cumulated := make(map[float64]uint64, len(exported))
	var n uint64
	k := 0
	for _, bound := range exported {
		for k < len(bounds) && bounds[k] <= bound {
			n += m.class[k]
			k++
		}
		cumulated[float64(bound)/1000] = n
	}
	return prometheus.MustNewConstHistogram(d, m.aged, float64(m.sum)/1000, cumulated)
}
