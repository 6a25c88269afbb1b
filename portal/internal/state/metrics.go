package state

import (
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/telemetry"
)

// collector reads the model's figures at each scrape.
type collector struct {
	m *Model

	frames, readings, refused, outdated, removed, age, devices, alerts, active, calling, aside *prometheus.Desc

	gatewayAge, ledgerAge, horizon, bufferUsed *prometheus.Desc
}

// severities in the order of Rank.
var severities = [...]string{
	string(telemetry.SeverityCritical), string(telemetry.SeverityHigh),
	string(telemetry.SeverityMedium), string(telemetry.SeverityLow), "other",
}

// Collector returns the model's metrics.
func (m *Model) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &collector{
		m:        m,
		frames:   desc("portal_frames_total", "Live frames received from the hub."),
		readings: desc("portal_readings_total", "Readings in live frames.", "kind"),
		refused:  desc("portal_readings_refused_total", "Entries of live frames that were refused: malformed or of another device."),
		outdated: desc("portal_readings_outdated_total", "Readings skipped because a newer one of the device had arrived."),
		removed:  desc("portal_readings_removed_total", "Readings skipped because their device was removed after its gateway had received them."),
		age:      desc("portal_reading_age_seconds", "Time from a live reading's receipt at the gateway to its arrival here."),
		devices:  desc("portal_devices", "Devices by presence.", "presence"),
		alerts:   desc("portal_alert_records_total", "Records read from the alerts topic.", "result"),
		active:   desc("portal_active_alerts", "Alarms whose condition holds and that are not shelved, suppressed or out of service, by severity.", "severity"),
		calling:  desc("portal_alarms", "Alarms that need attention (open and not shelved, suppressed or out of service), by acknowledgement.", "acknowledged"),
		aside:    desc("portal_alarms_aside", "Open alarms that are shelved, suppressed or out of service."),

		gatewayAge: desc("portal_gateway_heartbeat_age_seconds", "Time since a gateway's last heartbeat.", "gateway"),
		ledgerAge:  desc("portal_gateway_ledger_age_seconds", "Time since a gateway's last ledger.", "gateway"),
		horizon:    desc("portal_gateway_buffer_horizon_seconds", "How long a gateway's buffer lasts at today's rate without draining; -1 when unknown.", "gateway"),
		bufferUsed: desc("portal_gateway_buffer_used_ratio", "How full a gateway's buffer is, 0 to 1.", "gateway"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.frames, c.readings, c.refused, c.outdated, c.removed, c.age, c.devices, c.alerts, c.active, c.calling, c.aside, c.gatewayAge, c.ledgerAge, c.horizon, c.bufferUsed} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.m.Stats()
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter(c.frames, s.Counts.Frames)
	counter(c.readings, s.Counts.Readings-s.Counts.Backfilled, "live")
	counter(c.readings, s.Counts.Backfilled, "backfill")
	counter(c.refused, s.Counts.Refused)
	counter(c.outdated, s.Counts.Outdated)
	counter(c.removed, s.Counts.Removed)
	counter(c.alerts, s.Counts.Alerts, "news")
	counter(c.alerts, s.Counts.Repeated, "repeated")
	gauge(c.devices, s.Devices.Online, "online")
	gauge(c.devices, s.Devices.Offline, "offline")
	gauge(c.devices, s.Devices.Unknown, "unknown")
	for i, n := range s.Active {
		gauge(c.active, n, severities[i])
	}
	calling := 0
	for _, n := range s.Calling {
		calling += n
	}
	gauge(c.calling, s.Unseen, "no")
	gauge(c.calling, calling-s.Unseen, "yes")
	gauge(c.aside, s.Aside)
	c.collectGateways(ch, s.Time)
	c.m.View(func() { ch <- c.m.received.Histogram(c.age) })
}

// collectGateways adds the figures of heartbeats and ledgers that no other program exports.
func (c *collector) collectGateways(ch chan<- prometheus.Metric, now int64) {
	gauge := func(d *prometheus.Desc, v float64, gateway string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, gateway)
	}
	for _, g := range c.m.Gateways() {
		if g.HeardAt != 0 {
			gauge(c.gatewayAge, float64(now-g.HeardAt)/1000, g.Gateway)
			gauge(c.horizon, float64(g.HorizonSeconds), g.Gateway)
			gauge(c.bufferUsed, g.BufferUsed(), g.Gateway)
		}
		if g.Ledger != nil {
			gauge(c.ledgerAge, float64(now-g.LedgerAt)/1000, g.Gateway)
		}
	}
}
