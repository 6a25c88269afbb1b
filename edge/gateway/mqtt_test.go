package gateway

import (
	"net/http"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMQTTPublishIsStoredBeforeItIsAcknowledged(t *testing.T) {
	g, h := startWithHub(t)
	client := connectMQTT(t, g)
	var want []string
	for qos := range byte(3) {
		for n := range 10 {
			payload := reading("device_001", 1640995200000+int64(qos)*100+int64(n))
			token := client.Publish(wire.TelemetryTopic("device_001"), qos, n%2 == 0, payload)
			require.True(t, token.WaitTimeout(waitTimeout))
			require.NoError(t, token.Error())
			want = append(want, string(payload))
			if qos > 0 {
				require.NotZero(t, h.count(t, g.cfg.ID, string(payload)), "stored before the acknowledgement")
			}
		}
	}
	requireStored(t, map[string][]string{"device_001": want}, h.entries(t, g.cfg.ID))
	stats := g.collector.Stats()
	require.EqualValues(t, 30, stats.Accepted)
	require.EqualValues(t, 10, stats.Unpromised)
}

// count returns how often a payload is in the stream.
func (h *hub) count(t *testing.T, gateway, payload string) int {
	t.Helper()
	n := 0
	for _, e := range h.entries(t, gateway) {
		if string(e.Payload) == payload {
			n++
		}
	}
	return n
}

func TestManyMQTTPublishesOfOneClientShareAPack(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL, cfg.Linger = h.url(), 200*time.Millisecond
	g := start(t, cfg)
	client := connectMQTT(t, g)
	var tokens []paho.Token
	for n := range 50 {
		tokens = append(tokens, client.Publish(wire.TelemetryTopic("device_001"), 1, false, reading("device_001", 1640995200000+int64(n))))
	}
	for _, token := range tokens {
		require.True(t, token.WaitTimeout(waitTimeout))
		require.NoError(t, token.Error())
	}
	all := h.entries(t, cfg.ID)
	require.Len(t, all, 50)
	require.Less(t, all[49].Seq, uint64(25), "publishes share packs")
}

func TestMQTTOnOtherTopicsIsRefusedAndNotDelivered(t *testing.T) {
	g, h := startWithHub(t)
	client := connectMQTT(t, g)
	heard := make(chan paho.Message, 10)
	token := client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { heard <- m })
	require.True(t, token.WaitTimeout(waitTimeout))
	require.NoError(t, token.Error())
	topics := []string{"devices/device_001/status", "devices/a/b/telemetry", "devices//telemetry", "telemetry", "homeassistant/sensor/x/config"}
	for _, topic := range topics {
		token := client.Publish(topic, 1, true, reading("device_001", 1640995200000))
		require.True(t, token.WaitTimeout(waitTimeout))
	}
	token = client.Publish(wire.TelemetryTopic("device_001"), 1, true, reading("device_001", 1640995200000))
	require.True(t, token.WaitTimeout(waitTimeout))
	all := h.entries(t, g.cfg.ID)
	require.Len(t, all, len(topics)+1)
	for i, topic := range topics {
		require.Equal(t, telemetry.ReasonInvalidTopic, all[i].Refusal.Reason)
		require.Contains(t, all[i].Refusal.Message, topic)
	}
	require.Nil(t, all[len(topics)].Refusal)
	late := connectMQTTAs(t, g, "late")
	token = late.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { heard <- m })
	require.True(t, token.WaitTimeout(waitTimeout))
	select {
	case m := <-heard:
		require.Fail(t, "a message was delivered", "%s", m.Topic())
	case <-time.After(50 * time.Millisecond):
	}
}

// TestMQTTOverWebSocketIsStoredBeforeItIsAcknowledged uses a client that speaks WebSocket.
func TestMQTTOverWebSocketIsStoredBeforeItIsAcknowledged(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	require.Empty(t, start(t, config(t)).MQTTWebSocketAddr(), "off by default")
	cfg.MQTTWSAddr, cfg.MQTTWSOrigins = "127.0.0.1:0", []string{"https://wall.example"}
	g := start(t, cfg)
	dial := func(origin string) (paho.Client, error) {
		o := paho.NewClientOptions().AddBroker("ws://" + g.MQTTWebSocketAddr() + "/mqtt").SetAutoReconnect(false).SetHTTPHeaders(http.Header{"Origin": {origin}})
		c := paho.NewClient(o)
		token := c.Connect()
		require.True(t, token.WaitTimeout(waitTimeout))
		return c, token.Error()
	}
	_, err := dial("https://evil.example")
	require.Error(t, err)
	client, err := dial("https://wall.example")
	require.NoError(t, err)
	t.Cleanup(func() { client.Disconnect(100) })
	for qos := byte(1); qos <= 2; qos++ {
		payload := reading("device_001", 1640995200000+int64(qos))
		token := client.Publish(wire.TelemetryTopic("device_001"), qos, false, payload)
		require.True(t, token.WaitTimeout(waitTimeout))
		require.NoError(t, token.Error())
		require.Equal(t, 1, h.count(t, cfg.ID, string(payload)))
	}
}
