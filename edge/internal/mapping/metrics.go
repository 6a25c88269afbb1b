package mapping

import (
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/edge/internal/mapping/sparkplug"
)

// Labels of edge_mapped_messages_total.
const (
	mapped  = "mapped"  // to one or more readings
	partly  = "partly"  // to readings, and a part was refused
	refused = "refused" // the whole message
	ignored = "ignored"
)

type metrics struct {
	messages *prometheus.CounterVec // by mapping, bounded by the file, and result
	readings *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	loaded   prometheus.Counter
	failed   prometheus.Counter
	inForce  prometheus.Gauge
	gaps     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, m *Mapper) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	x := &metrics{
		messages: vec("edge_mapped_messages_total", "Messages of topics that have a mapping, by what became of them.", "mapping", "result"),
		readings: vec("edge_mapped_readings_total", "Readings made from such messages.", "mapping"),
		reloads:  vec("edge_mappings_reloads_total", "Times the mappings file was loaded; failed: the previous mappings stay in force.", "result"),
		inForce:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "edge_mappings", Help: "Mappings in force."}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edge_sparkplug_sequence_gaps_total", Help: "Sparkplug messages before which others of their node are missing.",
		}),
	}
	x.loaded, x.failed = x.reloads.WithLabelValues("ok"), x.reloads.WithLabelValues("failed")
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	reg.MustRegister(
		x.messages, x.readings, x.reloads, x.inForce, x.gaps,
		gauge("edge_sparkplug_nodes", "Sparkplug nodes and devices whose metrics are known.", func() float64 { n, _ := m.nodes.Size(); return float64(n) }),
		gauge("edge_sparkplug_nodes_limit", "Most Sparkplug nodes and devices that are known at once.", func() float64 { return sparkplug.MaxTables }),
		gauge("edge_sparkplug_metrics_limit", "Most metrics of all Sparkplug nodes that are known at once.", func() float64 { return sparkplug.MaxAnnounced }),
		gauge("edge_sparkplug_metrics", "Metrics that Sparkplug nodes have announced.", func() float64 { _, n := m.nodes.Size(); return float64(n) }),
	)
	return x
}

// follow removes the series of mappings that are gone and adds those of new ones.
func (x *metrics) follow(old, next *Set) {
	for _, m := range old.Mappings {
		if !next.has(m.ID) {
			x.messages.DeletePartialMatch(prometheus.Labels{"mapping": m.ID})
			x.readings.DeleteLabelValues(m.ID)
		}
	}
	for _, m := range next.Mappings {
		x.readings.WithLabelValues(m.ID)
		for _, result := range []string{mapped, partly, refused, ignored} {
			x.messages.WithLabelValues(m.ID, result)
		}
	}
	x.inForce.Set(float64(len(next.Mappings)))
}

func (set *Set) has(id string) bool {
	for _, m := range set.Mappings {
		if m.ID == id {
			return true
		}
	}
	return false
}

func (x *metrics) count(r *Result) {
	result := ignored
	switch {
	case r.Refusal != nil && len(r.Readings) > 0:
		result = partly
	case r.Refusal != nil:
		result = refused
	case len(r.Readings) > 0:
		result = mapped
	}
	x.messages.WithLabelValues(r.Mapping, result).Inc()
	if n := len(r.Readings); n > 0 {
		x.readings.WithLabelValues(r.Mapping).Add(float64(n))
	}
}
