package dashboard

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted by the kind of topic; "reply" stands for what belongs to none.
type metrics struct {
	frames, bytes, lagged, dropped [kinds]prometheus.Counter
	tooLarge                       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{tooLarge: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "portal_dashboard_oversized_total", Help: "Messages of the dashboard's dialect dropped because they exceed the frame limit.",
	})}
	if err := reg.Register(m.tooLarge); err != nil {
		return nil, fmt.Errorf("registering the dashboard's metrics: %w", err)
	}
	for _, c := range []struct {
		name, help string
		into       *[kinds]prometheus.Counter
	}{
		{"portal_dashboard_frames_total", "Frames sent to clients of the dashboard's dialect, by kind of topic.", &m.frames},
		{"portal_dashboard_bytes_total", "Bytes of these frames.", &m.bytes},
		{"portal_dashboard_lagged_total", "Times a client of the dashboard's dialect got a lagged message because deltas were skipped for it.", &m.lagged},
		{"portal_dashboard_dropped_total", "Deltas skipped for slow clients of the dashboard's dialect.", &m.dropped},
	} {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: c.name, Help: c.help}, []string{"topic"})
		if err := reg.Register(vec); err != nil {
			return nil, fmt.Errorf("registering the dashboard's metrics: %w", err)
		}
		for k, name := range kindNames {
			c.into[k] = vec.WithLabelValues(name)
		}
	}
	return m, nil
}

func (m *metrics) sent(k kind, bytes int) {
	m.frames[k].Inc()
	m.bytes[k].Add(float64(bytes))
}

func (m *metrics) lag(k kind, dropped uint64) {
	m.lagged[k].Inc()
	m.dropped[k].Add(float64(dropped))
}
