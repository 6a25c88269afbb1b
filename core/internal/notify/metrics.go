package notify

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds of outputs.
const (
	kindWebhook      = "webhook"
	kindAlertmanager = "alertmanager"
)

var kinds = []string{kindWebhook, kindAlertmanager}

type metrics struct {
	requests   *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	unreadable prometheus.Counter
	partitions prometheus.Gauge
}

// counts are the metrics of one output.
type counts struct {
	requests    map[outcome]prometheus.Counter
	refused     prometheus.Counter
	overflow    prometheus.Counter
	lastSuccess atomic.Int64 // ms
}

func newMetrics(reg prometheus.Registerer, n *Notifier) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "core_notifications_total",
			Help: "Notification requests by result: sent, failed (retried), dropped (refused by the receiver).",
		}, []string{"output", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "core_notify_dropped_alarms_total",
			Help: "Alarm notifications dropped because the receiver refused them or too many ended alarms waited for it.",
		}, []string{"output", "reason"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "core_notify_unreadable_records_total",
			Help: "Records of the alerts topic that are not alerts; no notification was sent for them.",
		}),
		partitions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "core_notify_partitions",
			Help: "Partitions of the alerts topic this core sends notifications for.",
		}),
	}
	for _, kind := range kinds {
		m.counts(kind)
	}
	reg.MustRegister(m.requests, m.dropped, m.unreadable, m.partitions, newGauges(n))
	return m
}

func (m *metrics) counts(kind string) *counts {
	return &counts{
		requests: map[outcome]prometheus.Counter{
			accepted: m.requests.WithLabelValues(kind, "sent"),
			failed:   m.requests.WithLabelValues(kind, "failed"),
			refused:  m.requests.WithLabelValues(kind, "dropped"),
		},
		refused:  m.dropped.WithLabelValues(kind, "refused"),
		overflow: m.dropped.WithLabelValues(kind, "overflow"),
	}
}

// gauges computes the waiting alarms at scrape time; of several Alertmanagers the worst.
type gauges struct {
	n                            *Notifier
	pending, limit, oldest, last *prometheus.Desc
}

func newGauges(n *Notifier) *gauges {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"output"}, nil)
	}
	return &gauges{
		n:       n,
		pending: desc("core_notify_pending", "Alarms waiting to be sent, including those waiting for the group interval."),
		limit:   desc("core_notify_pending_limit", "Number of waiting ended alarms above which the oldest are dropped."),
		oldest:  desc("core_notify_oldest_seconds", "Age of the oldest waiting alarm."),
		last:    desc("core_notify_last_success_timestamp_seconds", "Time of the last accepted notification; 0 if none since the start."),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.pending
	ch <- g.limit
	ch <- g.oldest
	ch <- g.last
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, kind := range kinds {
		pending, oldest, last := 0, 0.0, int64(0)
		for _, d := range g.n.deliverers {
			if d.name != kind {
				continue
			}
			waiting, since := g.n.outbox.stats(d.o)
			pending = max(pending, waiting)
			if !since.IsZero() {
				oldest = max(oldest, now.Sub(since).Seconds())
			}
			if at := d.counts.lastSuccess.Load(); last == 0 || at < last {
				last = at
			}
		}
		show := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, kind)
		}
		show(g.pending, float64(pending))
		show(g.limit, maxWaiting)
		show(g.oldest, oldest)
		show(g.last, float64(last)/1000)
	}
}
