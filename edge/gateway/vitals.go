package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
)

// newVitals makes the reporter of this gateway. While the link is down its reports are dropped.
func (g *Gateway) newVitals(metrics prometheus.Gatherer) (*vitals.Reporter, error) {
	return vitals.New(vitals.Options{
		Program: "edge", Instance: g.cfg.ID, Gatherer: metrics, Log: g.log,
		Stages: []vitals.Stage{{
			Name: wire.StageGateway, Seconds: "edge_pack_ack_duration_seconds", Readings: "edge_readings_accepted_total",
			Labels: map[string]string{"gateway": g.cfg.ID},
		}},
		Listen: vitals.Listen(g.broker.Uplink()),
		Publish: func(subject string, data []byte) error {
			if !g.broker.HubWants(subject) {
				return nil
			}
			return g.broker.PublishUplink(subject, data)
		},
	})
}
