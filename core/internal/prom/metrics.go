package prom

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	seconds *prometheus.HistogramVec
	failed  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "core_history_promql_seconds", Help: "Time to answer a request to the Prometheus API of the history, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"path"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "core_history_promql_failed_total", Help: "Requests to the Prometheus API of the history that got an error, by its type.",
		}, []string{"type"}),
	}
	for _, p := range []string{"query", "query_range", "series", "labels", "values", "metadata"} {
		m.seconds.WithLabelValues(p)
	}
	for _, t := range []errorType{badData, execution, timedOut, canceled, internal, unavailable, notFound} {
		m.failed.WithLabelValues(string(t))
	}
	reg.MustRegister(m.seconds, m.failed)
	return m
}
