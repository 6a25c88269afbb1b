package share

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	failures, malformed, dropped, unlimited prometheus.Counter
	took                                    prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, s *Share) (*metrics, error) {
	m := &metrics{
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "portal_redis_failures_total", Help: "Times that Redis failed: a connection, or a command that had an error or took too long.",
		}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "portal_redis_malformed_total", Help: "Readings in Redis that could not be used.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "portal_redis_removals_dropped_total", Help: "Removals of devices that were not written into Redis, since too many waited.",
		}),
		unlimited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "portal_redis_limit_failures_total", Help: "Requests that asked Redis for a token in vain; the limit of this portal alone held.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "portal_redis_script_seconds", Help: "Time of a script in Redis that writes readings or removals or exchanges operators.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5},
		}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	counter := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)
	}
	for _, c := range []prometheus.Collector{
		m.failures, m.malformed, m.dropped, m.unlimited, m.took,
		gauge("portal_redis_up", "1 while Redis answers, else 0.", func() float64 {
			if s.up.Load() {
				return 1
			}
			return 0
		}),
		gauge("portal_redis_pending_devices", "Devices whose newest reading is not in Redis yet.", func() float64 { return float64(s.changed.length()) }),
		counter("portal_redis_readings_written_total", "Readings written into Redis.", func() float64 { return float64(s.written.Load()) }),
		counter("portal_redis_readings_loaded_total", "Readings from Redis that were the newest of their device.", func() float64 { return float64(s.model.Totals().Restored) }),
		counter("portal_redis_readings_conflated_total", "Readings that a newer one replaced before they were written into Redis.", func() float64 { return float64(s.changed.replaced()) }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of redis: %w", err)
		}
	}
	return m, nil
}
