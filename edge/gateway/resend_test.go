package gateway

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
	"industrial-iot-monitor/internal/wire"
)

// The id of an unfinished QoS 2 exchange is forgotten at a restart, the message is not.
func TestQoS2IsStoredOnceAcrossARestart(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	for restart := range 3 {
		g, stop := run(t, cfg)
		client := mqtttest.Connect(t, g.MQTTAddr(), 4, mqtttest.As("qos2"))
		client.Publish("devices/device_001/telemetry", 2, 7, good())
		require.Equal(t, packets.Pubrec, client.Read().FixedHeader.Type)
		if restart == 2 {
			require.Len(t, h.entries(t, cfg.ID), 1)
			require.EqualValues(t, 1, g.collector.Stats().Duplicates)
		}
		stop()
	}
}

// Without its file, or with a damaged one, the gateway reads the newest packs of the stream.
func TestResendIsRecognisedWithoutTheFile(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	file := filepath.Join(cfg.DataDir, cfg.ID, "resends")
	for _, damage := range []func() error{
		func() error { return nil },
		func() error { return os.Remove(file) },
		func() error { return os.WriteFile(file, []byte("IOTR nonsense"), 0o600) },
	} {
		g, stop := run(t, cfg)
		msg, err := dial(t, g).Request(wire.TelemetrySubject("device_001"), []byte(good()), waitTimeout)
		require.NoError(t, err)
		r, err := wire.DecodeReply(msg.Data)
		require.NoError(t, err)
		require.EqualValues(t, 1, r.Seq)
		stop()
		require.FileExists(t, file)
		require.NoError(t, damage())
	}
	g, stop := run(t, cfg)
	defer stop()
	msg, err := dial(t, g).Request(wire.TelemetrySubject("device_001"), []byte(good()), waitTimeout)
	require.NoError(t, err)
	r, err := wire.DecodeReply(msg.Data)
	require.NoError(t, err)
	require.True(t, r.Duplicate)
	require.Len(t, h.entries(t, cfg.ID), 1)
}
