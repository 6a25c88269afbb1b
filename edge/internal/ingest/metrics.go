package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/resend"
	"industrial-iot-monitor/internal/telemetry"
)

// Protocol is how a message was received.
type Protocol uint8

// Protocols.
const (
	NATS Protocol = iota
	MQTT
	numProtocols
)

var protocolNames = [numProtocols]string{"nats", "mqtt"}

// String returns the protocol's label in metrics.
func (p Protocol) String() string { return protocolNames[p] }

// Labels of edge_pack_failures_total.
const (
	failFull    = "full"
	failUnknown = "unknown"
)

// reasons have a series from the start.
var reasons = []telemetry.Reason{
	telemetry.ReasonEmpty, telemetry.ReasonTooLarge, telemetry.ReasonInvalidUTF8, telemetry.ReasonInvalidJSON,
	telemetry.ReasonTooDeep, telemetry.ReasonDuplicateKey, telemetry.ReasonInvalidReading, telemetry.ReasonInvalidTimestamp,
	telemetry.ReasonDeviceMismatch, telemetry.ReasonInvalidDevice, telemetry.ReasonInvalidTopic, telemetry.ReasonNotAllowed,
	telemetry.ReasonInvalidBatch, telemetry.ReasonInvalidEncoding, telemetry.ReasonWrongStream,
	telemetry.ReasonInvalidMapping, telemetry.ReasonBeforeBirth,
	telemetry.ReasonBufferFull, telemetry.ReasonUnavailable, telemetry.ReasonRateLimited,
}

type metrics struct {
	accepted     [numProtocols]prometheus.Counter
	unpromised   [numProtocols]prometheus.Counter
	duplicates   [numProtocols]prometheus.Counter
	refused      *prometheus.CounterVec // by protocol and reason
	keepFailures prometheus.Counter
	packs        prometheus.Counter
	packFailures *prometheus.CounterVec
	settles      prometheus.Counter
	packEntries  prometheus.Histogram
	packBytes    prometheus.Histogram
	storeSeconds prometheus.Histogram
	ackSeconds   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return register(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}))
	}
	durations := prometheus.ExponentialBuckets(0.0005, 2, 14) // 0.5 ms to 4 s
	m := &metrics{
		keepFailures: counter("edge_resend_snapshot_failures_total", "Failed writes of the file by which resends are recognised after a restart."),
		packs:        counter("edge_packs_total", "Packs stored."),
		packFailures: vec("edge_pack_failures_total", "Failed pack writes: full, or of unknown outcome at first.", "cause"),
		settles:      counter("edge_pack_retries_total", "Probes of the stream after a pack write of unknown outcome."),
		packEntries:  histogram("edge_pack_entries", "Messages in a pack.", prometheus.ExponentialBuckets(1, 2, 13)),
		packBytes:    histogram("edge_pack_bytes", "Size of a pack.", prometheus.ExponentialBuckets(1024, 2, 12)),
		storeSeconds: histogram("edge_pack_store_duration_seconds", "Duration of a pack write, sync included.", durations),
		ackSeconds:   histogram("edge_pack_ack_duration_seconds", "Time from the first message of a pack to the replies.", durations),
	}
	m.packFailures.WithLabelValues(failFull)
	m.packFailures.WithLabelValues(failUnknown)
	accepted := vec("edge_readings_accepted_total", "Readings stored.", "protocol")
	unpromised := vec("edge_readings_unpromised_total", "Stored readings without a reply: plain publishes and QoS 0.", "protocol")
	duplicates := vec("edge_readings_duplicate_total", "Readings that were sent again and are stored already; not counted as accepted.", "protocol")
	m.refused = vec("edge_readings_refused_total", "Messages refused, by reason.", "protocol", "reason")
	for p := range numProtocols {
		m.accepted[p] = accepted.WithLabelValues(p.String())
		m.unpromised[p] = unpromised.WithLabelValues(p.String())
		m.duplicates[p] = duplicates.WithLabelValues(p.String())
		for _, r := range reasons {
			m.refused.WithLabelValues(p.String(), string(r))
		}
	}
	return m
}

// watch exports the number of remembered senders.
func (m *metrics) watch(reg prometheus.Registerer, senders func() int) {
	register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "edge_resend_senders", Help: "Senders whose newest messages are remembered, to recognise resends.",
	}, func() float64 { return float64(senders()) }))
	register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "edge_resend_senders_limit", Help: "Most senders remembered; beyond it some are forgotten early.",
	})).Set(resend.MaxSenders)
}

func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	reg.MustRegister(c)
	return c
}
