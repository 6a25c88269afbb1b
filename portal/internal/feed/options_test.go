package feed

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

func TestEachPartIsRequired(t *testing.T) {
	good := func() Options {
		return Options{
			Model: state.New(state.Options{}), Trail: audit.NewTrail(1), HubURL: "nats://127.0.0.1:1", Cluster: kafka.At("127.0.0.1:1"),
			Topics: kafkatest.Topics(t), Log: quiet, Registry: prometheus.NewRegistry(),
		}
	}
	_, err := New(good())
	require.NoError(t, err)
	for name, change := range map[string]func(*Options){
		"Model": func(o *Options) { o.Model = nil }, "Trail": func(o *Options) { o.Trail = nil }, "HubURL": func(o *Options) { o.HubURL = "" },
		"Brokers": func(o *Options) { o.Cluster.Brokers = nil }, "Log": func(o *Options) { o.Log = nil }, "Registry": func(o *Options) { o.Registry = nil },
		"Alerts": func(o *Options) { o.Topics.Alerts = "" }, "DeviceState": func(o *Options) { o.Topics.DeviceState = "" }, "Audit": func(o *Options) { o.Topics.Audit = "" },
	} {
		o := good()
		change(&o)
		_, err := New(o)
		require.ErrorIs(t, err, errMissing, name)
	}
}
