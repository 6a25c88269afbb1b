package fanout

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are totals since start.
type counters struct {
	readings, alerts, bytes, conflated atomic.Int64
	accepted, rejected                 atomic.Int64
	shutdown, slow, noPong, limit      atomic.Int64 // closes by code
	tooBig, over                       atomic.Int64
	dialects                           [dialects]dialectCounters
}

// closed counts a close frame that the portal initiated.
func (n *counters) closed(code int) {
	switch code {
	case CloseShutdown:
		n.shutdown.Add(1)
	case CloseSlow:
		n.slow.Add(1)
	case CloseNoPong:
		n.noPong.Add(1)
	case CloseLimit:
		n.limit.Add(1)
	case CloseEnded:
		n.over.Add(1)
	case closeTooBig:
		n.tooBig.Add(1)
	}
}

// register registers the metrics.
func (b *Broadcaster) register(reg prometheus.Registerer) error {
	n := &b.counts
	cs := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "iot_websocket_connections_total", Help: "WebSocket connections that are open now.",
		}, func() float64 { return float64(b.open.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_websocket_connections_limit", Help: "WebSocket connections that may be open at once.",
		}, func() float64 { return float64(b.limits.Connections) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_write_pause_seconds", Help: "Pause of a WebSocket writer after a write; grows when the CPU is busy.",
		}, func() float64 { return b.pause().Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_recent_bytes", Help: "Memory reserved for the readings of the last minute, from which reconnecting clients of the simple dialect resume.",
		}, func() float64 { return float64(b.recent.Bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "portal_recent_bytes_limit", Help: "Limit of portal_recent_bytes.",
		}, func() float64 { return float64(max(b.limits.RecentBytes, 0)) }),
		counter("portal_sent_bytes_total", "Bytes written to WebSocket clients.", "", "", &n.bytes),
		counter("portal_readings_conflated_total", "Readings not sent to a client because a newer one of the same device replaced them.", "", "", &n.conflated),
		counter("portal_messages_sent_total", "Messages written to WebSocket clients.", "type", "device_data", &n.readings),
		counter("portal_messages_sent_total", "Messages written to WebSocket clients.", "type", "alert", &n.alerts),
		counter("portal_client_messages_total", "Messages received from WebSocket clients.", "result", "accepted", &n.accepted),
		counter("portal_client_messages_total", "Messages received from WebSocket clients.", "result", "rejected", &n.rejected),
		&ageCollector{b, prometheus.NewDesc("portal_delivery_age_seconds",
			"Time from a live reading's receipt at the gateway to its writing to a WebSocket client.", nil, nil)},
	}
	cs = append(cs, n.byDialect()...)
	const closes = "WebSocket connections closed by the portal, by close code."
	for code, v := range map[string]*atomic.Int64{"4001": &n.shutdown, "4003": &n.over, "4008": &n.slow, "4012": &n.noPong, "4504": &n.limit, "1009": &n.tooBig} {
		cs = append(cs, counter("portal_websocket_closes_total", closes, "code", code, v))
	}
	for _, c := range cs {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("registering the fan-out's metrics: %w", err)
		}
	}
	return nil
}

func counter(name, help, label, value string, v *atomic.Int64) prometheus.Collector {
	var labels prometheus.Labels
	if label != "" {
		labels = prometheus.Labels{label: value}
	}
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(v.Load()) })
}

// ageCollector exports the ages of pushed readings.
type ageCollector struct {
	h    *Broadcaster
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *ageCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *ageCollector) Collect(ch chan<- prometheus.Metric) {
	c.h.meterMu.Lock()
	defer c.h.meterMu.Unlock()
	ch <- c.h.pushed.Histogram(c.desc)
}
