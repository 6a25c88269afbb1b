package simulator

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/sim/publisher"
)

// collector exports the publisher's stats, all from one snapshot.
type collector struct {
	stats func() publisher.Stats
	rows  []row
}

type row struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(s *publisher.Stats) float64
}

func newCollector(stats func() publisher.Stats) *collector {
	c := &collector{stats: stats}
	counter := func(name, help string, value func(s *publisher.Stats) uint64) {
		c.rows = append(c.rows, row{
			prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue,
			func(s *publisher.Stats) float64 { return float64(value(s)) },
		})
	}
	gauge := func(name, help string, value func(s *publisher.Stats) int) {
		c.rows = append(c.rows, row{
			prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue,
			func(s *publisher.Stats) float64 { return float64(value(s)) },
		})
	}
	counter("sim_publishes_total", "Publishes, resends included.", func(s *publisher.Stats) uint64 { return s.Sent })
	counter("sim_readings_acknowledged_total", "Readings acknowledged.", func(s *publisher.Stats) uint64 { return s.Acked })
	counter("sim_repeats_total", "Acknowledged messages that were sent again.", func(s *publisher.Stats) uint64 { return s.Repeated })
	counter("sim_resends_total", "Publishes beyond the first of a message.", func(s *publisher.Stats) uint64 { return s.Resent })
	counter("sim_retry_later_total", "Answers that asked a device to retry later.", func(s *publisher.Stats) uint64 { return s.Later })
	counter("sim_readings_refused_total", "Readings refused permanently.", func(s *publisher.Stats) uint64 { return s.Refused })
	counter("sim_timeouts_total", "Publishes without an answer in time.", func(s *publisher.Stats) uint64 { return s.Timeouts })
	counter("sim_publish_errors_total", "Publishes that failed at once.", func(s *publisher.Stats) uint64 { return s.Errors })
	counter("sim_readings_dropped_total", "Readings dropped because the device's backlog was full.", func(s *publisher.Stats) uint64 { return s.GivenUp })
	gauge("sim_readings_open", "Readings not yet acknowledged, refused or dropped.", func(s *publisher.Stats) int { return s.Open() })
	gauge("sim_connections", "Connections to gateways.", func(s *publisher.Stats) int { return s.Connections })
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, r := range c.rows {
		out <- r.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.stats()
	for _, r := range c.rows {
		out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(&s))
	}
}

var errNotConnected = errors.New("no gateway is connected")

// Ready returns nil while at least one gateway is connected.
func (s *Simulator) Ready() error {
	if s.pub.Stats().Connections == 0 {
		return errNotConnected
	}
	return nil
}

// Addr returns the address of the operations server, "" when there is none.
func (s *Simulator) Addr() string {
	if s.http == nil {
		return ""
	}
	return s.http.Addr()
}
