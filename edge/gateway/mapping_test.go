package gateway

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
	"industrial-iot-monitor/internal/telemetry"
)

// mappings returns the settings of a gateway with a copy of an example file, and the copy.
func mappings(t *testing.T, example string) (Config, string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/mappings/" + example + ".yaml")
	require.NoError(t, err)
	cfg := config(t)
	cfg.MappingsFile = filepath.Join(t.TempDir(), "mappings.yaml")
	require.NoError(t, os.WriteFile(cfg.MappingsFile, text, 0o600))
	return cfg, cfg.MappingsFile
}

// TestMappedMessagesOfBothProtocolsAreReadings goes through the whole gateway: listeners,
// accounts of the embedded server, the stream, and a change of the file.
func TestMappedMessagesOfBothProtocolsAreReadings(t *testing.T) {
	h := startHub(t, -1)
	cfg, file := mappings(t, "zigbee2mqtt")
	cfg.HubURL = h.url()
	g := start(t, cfg)
	payload, err := os.ReadFile("../../deploy/mappings/samples/zigbee2mqtt.json")
	require.NoError(t, err)
	client := connectMQTT(t, g)
	publish := func(topic string, payload []byte) {
		token := client.Publish(topic, 1, false, payload)
		require.True(t, token.WaitTimeout(waitTimeout))
		require.NoError(t, token.Error())
	}
	publish("zigbee2mqtt/boiler", payload)
	publish("zigbee2mqtt/boiler", []byte(`{"temperature":"hot"}`))
	publish("zigbee2mqtt/bridge/state", []byte("online"))
	nc, err := nats.Connect(g.NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	answer, err := nc.Request("zigbee2mqtt.pump", payload, waitTimeout)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"stream"`)

	all := h.entries(t, cfg.ID)
	require.Len(t, all, 3)
	require.Equal(t, "zigbee_boiler", all[0].Device)
	require.Equal(t, "zigbee2mqtt", all[0].Mapping)
	require.Contains(t, string(all[0].Payload), `"temperature":{"value":21.42,"unit":"°C"}`)
	require.Equal(t, telemetry.ReasonInvalidMapping, all[1].Refusal.Reason)
	require.JSONEq(t, `{"temperature":"hot"}`, string(all[1].Payload), "the original bytes")
	require.Equal(t, "zigbee_pump", all[2].Device)

	require.NoError(t, os.WriteFile(file, []byte("mappings:\n  - {id: plain, topic: \"hall/{sensor}\", format: value, device: hall, sensors: [{name: \"{sensor}\"}]}\n"), 0o600))
	require.Eventually(t, func() bool {
		_, err := nc.Request("hall.temperature", []byte("20"), time.Second)
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	publish("hall/temperature", []byte("21"))
	all = h.entries(t, cfg.ID)
	require.Equal(t, "plain", all[len(all)-1].Mapping)
	require.Contains(t, string(all[len(all)-1].Payload), `"temperature":{"value":21}`)
}

// TestWillOfASparkplugNodeTakesItOffline has the server send the NDEATH of a lost client.
func TestWillOfASparkplugNodeTakesItOffline(t *testing.T) {
	h := startHub(t, -1)
	cfg, _ := mappings(t, "sparkplug")
	cfg.HubURL = h.url()
	g := start(t, cfg)
	sample := func(name string) []byte {
		data, err := os.ReadFile("../../deploy/mappings/samples/sparkplug-" + name + ".bin")
		require.NoError(t, err)
		return data
	}
	node := mqtttest.Connect(t, g.MQTTAddr(), 4, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "spBv1.0/line/NDEATH/press", sample("ndeath")
	})
	for i, x := range []struct{ topic, sample string }{{"NBIRTH/press", "nbirth"}, {"DBIRTH/press/motor", "dbirth"}, {"DDATA/press/motor", "ddata"}} {
		node.Publish("spBv1.0/line/"+x.topic, 1, uint16(i+1), string(sample(x.sample)))
		require.EqualValues(t, i+1, node.Read().PacketID)
	}
	require.Len(t, h.entries(t, cfg.ID), 5)
	require.NoError(t, node.Close())
	require.Eventually(t, func() bool { return len(h.entries(t, cfg.ID)) == 7 }, waitTimeout, 10*time.Millisecond)
	offline := map[string]bool{}
	for _, e := range h.entries(t, cfg.ID)[5:] {
		require.Contains(t, string(e.Payload), `"presence":"offline"`)
		offline[e.Device] = true
	}
	require.Equal(t, map[string]bool{"press": true, "press_motor": true}, offline)
}
