package lane

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of all lanes of one bridge.
type Metrics struct {
	records      prometheus.Counter
	packs        prometheus.Counter
	deadLetters  prometheus.Counter
	damaged      prometheus.Counter
	committed    prometheus.Counter
	failed       prometheus.Counter
	txnSeconds   prometheus.Histogram
	txnReadings  prometheus.Histogram
	losses       *prometheus.CounterVec
	lostPacks    *prometheus.CounterVec
	pullFailures *prometheus.CounterVec
	trimFailures prometheus.Counter
	lanesOwned   prometheus.Gauge
	restarts     prometheus.Counter
}

// NewMetrics registers the lanes' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	perGateway := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"gateway"})
	}
	transactions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bridge_transactions_total", Help: "Kafka transactions by result.",
	}, []string{"result"})
	m := &Metrics{
		records:     counter("bridge_records_total", "Readings committed to device-data."),
		packs:       counter("bridge_packs_total", "Packs committed."),
		deadLetters: counter("bridge_dead_letters_total", "Records committed to device-data-dlq."),
		damaged:     counter("bridge_damaged_packs_total", "Unreadable packs; each is a loss and leaves a dead letter."),
		committed:   transactions.WithLabelValues("committed"),
		failed:      transactions.WithLabelValues("failed"),
		txnSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_transaction_duration_seconds", Help: "Kafka transaction duration.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		txnReadings: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_transaction_readings", Help: "Readings in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		losses:       perGateway("bridge_losses_total", "Events in which packs of a gateway were lost before they reached the bridge."),
		lostPacks:    perGateway("bridge_lost_packs_total", "Packs known to be lost; an event may have lost more."),
		pullFailures: perGateway("bridge_pull_failures_total", "Failed attempts to read a gateway's stream."),
		trimFailures: counter("bridge_trim_failures_total", "Failed attempts to trim a gateway's stream."),
		lanesOwned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bridge_lanes_owned", Help: "Lanes run by this bridge.",
		}),
		restarts: counter("bridge_lane_restarts_total", "Lane restarts from the checkpoints after an error."),
	}
	reg.MustRegister(m.records, m.packs, m.deadLetters, m.damaged, transactions, m.txnSeconds, m.txnReadings,
		m.losses, m.lostPacks, m.pullFailures, m.trimFailures, m.lanesOwned, m.restarts)
	return m
}

// gateway initialises a gateway's series to zero.
func (m *Metrics) gateway(gateway string) {
	m.losses.WithLabelValues(gateway)
	m.lostPacks.WithLabelValues(gateway)
	m.pullFailures.WithLabelValues(gateway)
}
