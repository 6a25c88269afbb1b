package live

import "github.com/prometheus/client_golang/prometheus"

// Kinds of messages other than frames.
const (
	kindAlert      = "alert"
	kindAggregates = "aggregates"
)

type outcome struct{ published, dropped prometheus.Counter }

type metrics struct {
	framesPublished, framesDropped prometheus.Counter
	bytes                          prometheus.Counter
	dropped                        prometheus.Counter
	notes                          map[string]outcome
}

func newMetrics(reg prometheus.Registerer) *metrics {
	frames := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_live_frames_total",
		Help: "Live frames by result: published to the hub, or dropped because it was unreachable or too slow.",
	}, []string{"result"})
	notes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "core_hub_messages_total",
		Help: "Messages to the hub other than live frames, by kind (alert, aggregates) and result (published, dropped).",
	}, []string{"kind", "result"})
	m := &metrics{
		framesPublished: frames.WithLabelValues("published"),
		framesDropped:   frames.WithLabelValues("dropped"),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_live_bytes_total",
			Help: "Bytes of live frames published to the hub.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_live_readings_dropped_total",
			Help: "Readings in live frames that were dropped. They were processed anyway.",
		}),
		notes: make(map[string]outcome),
	}
	for _, kind := range []string{kindAlert, kindAggregates} {
		m.notes[kind] = outcome{notes.WithLabelValues(kind, "published"), notes.WithLabelValues(kind, "dropped")}
	}
	reg.MustRegister(frames, notes, m.bytes, m.dropped)
	return m
}
