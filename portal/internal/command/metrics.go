package command

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
)

type metrics struct {
	commands map[telemetry.Outcome]prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, trail *audit.Trail) (*metrics, error) {
	commands := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portal_alarm_commands_total", Help: "Operator commands to alarms, by outcome.",
	}, []string{"outcome"})
	m := &metrics{
		commands: make(map[telemetry.Outcome]prometheus.Counter),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "portal_alarm_command_seconds", Help: "Time from a command to its outcome or timeout.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5},
		}),
	}
	for _, o := range []telemetry.Outcome{
		telemetry.OutcomeApplied, telemetry.OutcomeNothing, telemetry.OutcomeRefused, OutcomePending, OutcomeFailed,
	} {
		m.commands[o] = commands.WithLabelValues(string(o))
	}
	gauge := func(name, help string, f func(audit.Figures) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return f(trail.Figures()) })
	}
	for _, c := range []prometheus.Collector{
		commands, m.seconds,
		gauge("portal_audit_entries", "Entries of the audit trail in memory.", func(f audit.Figures) float64 { return float64(f.Kept) }),
		gauge("portal_audit_entries_limit", "Most entries of the audit trail kept in memory.", func(f audit.Figures) float64 { return float64(f.Limit) }),
		gauge("portal_alarm_commands_waiting", "Commands awaiting their outcome.", func(f audit.Figures) float64 { return float64(f.Waiting) }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the commands' metrics: %w", err)
		}
	}
	return m, nil
}

// observe records the results and the duration of one call.
func (m *metrics) observe(results []Result, took time.Duration) {
	for i := range results {
		if c := m.commands[results[i].Outcome]; c != nil {
			c.Inc()
		}
	}
	m.seconds.Observe(took.Seconds())
}
