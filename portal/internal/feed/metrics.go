package feed

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/wire"
)

// Sources other than NATS subjects.
const (
	sourceAlerts = "alerts"
	sourceStates = "device-state"
	sourceMetas  = "device-meta"
	sourceAudit  = "alarm-audit"
)

type metrics struct {
	malformed map[string]prometheus.Counter // by subject or source
}

func newMetrics(reg prometheus.Registerer, f *Feed) (*metrics, error) {
	malformed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_decode_errors_total", Help: "Malformed messages and records, by source.",
	}, []string{"source"})
	m := &metrics{malformed: make(map[string]prometheus.Counter)}
	for key, source := range map[string]string{
		wire.LiveSubjects: "live", wire.StatusSubjects: "status", wire.LedgerSubjects: "ledger", wire.AggregateSubject: "aggregates", wire.VitalsSubjects: "vitals", wire.UnusualSubject: "unusual",
		sourceAlerts: "alerts", sourceStates: "device_state", sourceMetas: "device_meta", sourceAudit: "audit",
	} {
		m.malformed[key] = malformed.WithLabelValues(source)
	}
	cs := []prometheus.Collector{
		malformed,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_hub_connected", Help: "1 while the hub is connected.",
		}, func() float64 { return one(f.HubConnected()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_kafka_connected", Help: "1 while alerts can be read from Kafka.",
		}, func() float64 { return one(f.KafkaHealthy()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "portal_frames_dropped_total", Help: "Live frames dropped because the portal was too slow.",
		}, f.dropped),
	}
	for _, c := range cs {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the feed's metrics: %w", err)
		}
	}
	return m, nil
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
