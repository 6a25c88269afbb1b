package store

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	written *prometheus.CounterVec
	asked   prometheus.Histogram
	damaged prometheus.Counter
	trimmed *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, s *Store) (*metrics, error) {
	m := &metrics{
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portal_store_records_total", Help: "Records of Kafka for the portal's database, by what became of them: audit, alarm, metadata (what operators keep), security (the security audit), or refused by the database; and devices written into the registry.",
		}, []string{"result"}),
		asked: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "portal_store_query_seconds", Help: "Time of a question to the portal's database.",
			Buckets: []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
	}
	m.damaged = prometheus.NewCounter(prometheus.CounterOpts{Name: "portal_store_damaged_total", Help: "Damaged databases of the portal that were set aside."})
	m.trimmed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_store_deleted_total", Help: "Rows deleted from the portal's database because they were older than PORTAL_STORE_RETENTION: audit, alarm, security.",
	}, []string{"result"})
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "portal_store_up", Help: "1 while the portal's database answers, else 0."}, func() float64 {
		if s.Up() != nil {
			return 0
		}
		return 1
	})
	for _, c := range []prometheus.Collector{m.written, m.asked, m.damaged, m.trimmed, up} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, result := range []string{"audit", "alarm", "metadata", "security", "device", "refused"} {
		m.written.WithLabelValues(result)
	}
	for _, result := range []string{"audit", "alarm", "security"} {
		m.trimmed.WithLabelValues(result)
	}
	return m, nil
}

// Refused counts a record that was left out because the database refuses it.
func (s *Store) Refused() { s.metrics.written.WithLabelValues("refused").Inc() }
