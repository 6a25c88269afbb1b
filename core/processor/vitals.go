package processor

import (
	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/vitals"
	"industrial-iot-monitor/internal/wire"
)

// newVitals makes the reporter of this process. Its first reports are dropped while there is no
// connection to the hub.
func (p *Processor) newVitals(nc *nats.Conn) (*vitals.Reporter, error) {
	return vitals.New(vitals.Options{
		Program: "core", Instance: vitals.Instance(p.Addr()), Gatherer: p.registry, Log: p.base, Publish: nc.Publish, Listen: vitals.Listen(nc),
		Stages: []vitals.Stage{
			{Name: wire.StageLiveArrived, Seconds: "core_live_pack_age_seconds", Readings: "core_live_readings_total", Labels: map[string]string{"at": "arrived"}},
			{Name: wire.StageLiveSent, Seconds: "core_live_pack_age_seconds", Labels: map[string]string{"at": "sent"}},
			{Name: wire.StageCommit, Seconds: "core_commit_duration_seconds", Readings: "iot_messages_total"},
		},
		Facts: func() map[string]string { return map[string]string{"rules": p.rules.load().version} },
	})
}
