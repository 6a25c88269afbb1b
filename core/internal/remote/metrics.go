package remote

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	readings, written, refused, failed prometheus.Counter
	flush                              prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		readings: counter("core_history_readings_total", "Readings taken into the history. Those read again after a restart count again; they are kept once."),
		written:  counter("core_history_written_bytes_total", "Bytes of lines that the engine took."),
		refused:  counter("core_history_refused_total", "Readings that the engine refused, now dead letters."),
		failed:   counter("core_history_failed_writes_total", "Writes that the engine did not confirm; they are retried."),
		flush: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "core_history_flush_seconds", Help: "Time to write a batch to the engine.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
	}
	reg.MustRegister(m.readings, m.written, m.refused, m.failed, m.flush)
	return m
}
