package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
	"industrial-iot-monitor/internal/wire"
)

// quotaExceeded is a reason code of MQTT 5.
const quotaExceeded = 0x97

// limited starts a gateway with limits and a hub.
func limited(t *testing.T, change func(*Config)) (*Gateway, *hub) {
	t.Helper()
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	change(&cfg)
	return start(t, cfg), h
}

// TestALoudDeviceIsHeldBack by both protocols, and what is refused is not stored; its neighbours do not
// notice.
func TestALoudDeviceIsHeldBack(t *testing.T) {
	g, h := limited(t, func(c *Config) { c.DeviceRate = 5 })
	nc, err := nats.Connect(g.NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	neighbour := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
	accepted, refused := 0, 0
	for n := int64(0); refused < 200; n++ {
		answer, err := nc.Request(wire.TelemetrySubject("loud"), reading("loud", 1640995200000+n), waitTimeout)
		require.NoError(t, err)
		if strings.Contains(string(answer.Data), `"stream"`) {
			accepted++
			continue
		}
		refused++
		require.Contains(t, string(answer.Data), `"code":429,"reason":"rate_limited"`)
		if refused%50 == 0 {
			require.Zero(t, publish(neighbour, wire.TelemetryTopic("quiet"), reading("quiet", 1640995200000+n)))
		}
	}
	require.GreaterOrEqual(t, accepted, 50, "its burst")
	loud := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
	// A batch is taken once there is room for its first reading, and there is none for minutes then.
	const size = 1000
	batch := func(at int64) []byte {
		return []byte("[" + strings.Repeat(string(reading("loud", at))+",", size-1) + string(reading("loud", at)) + "]")
	}
	require.Eventually(t, func() bool {
		return publish(loud, wire.TelemetryTopic("loud"), batch(1640995250000)) == 0
	}, waitTimeout, time.Millisecond)
	accepted += size
	require.EqualValues(t, quotaExceeded, publish(loud, wire.TelemetryTopic("loud"), batch(1640995260000)))
	old := mqtttest.Connect(t, g.MQTTAddr(), 4, nil)
	old.Publish(wire.TelemetryTopic("loud"), 1, 7, string(reading("loud", 1640995300000)))
	require.Zero(t, old.Disconnected(), "MQTT 3 has no code")
	count := map[string]int{}
	for _, e := range h.entries(t, g.cfg.ID) {
		require.Nil(t, e.Refusal)
		count[e.Device]++
	}
	require.Equal(t, map[string]int{"loud": accepted, "quiet": 4}, count)
	require.Greater(t, g.collector.Stats().Refused, uint64(200))
}

// TestJunkIsBounded: a flood of messages that are no readings.
func TestJunkIsBounded(t *testing.T) {
	const budget = 1 << 20
	g, h := limited(t, func(c *Config) { c.DeadLetterBytes = budget })
	nc, err := nats.Connect(g.NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	good := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
	junk := []byte(strings.Repeat("x", 64<<10))
	inbox, err := nc.SubscribeSync(nats.NewInbox())
	require.NoError(t, err)
	const n = 1000
	for i := range n {
		require.NoError(t, nc.PublishRequest(wire.TelemetrySubject(fmt.Sprint("bad_", i%20)), inbox.Subject, junk))
		if i%100 == 0 {
			require.Zero(t, publish(good, wire.TelemetryTopic("good"), reading("good", 1640995200000+int64(i))))
		}
	}
	for range n {
		answer, err := inbox.NextMsg(waitTimeout)
		require.NoError(t, err, "each is answered")
		require.Contains(t, string(answer.Data), `"error"`)
	}
	stored := 0
	for _, e := range h.entries(t, g.cfg.ID) {
		if e.Refusal != nil {
			stored += len(e.Payload)
		}
	}
	require.InDelta(t, budget, stored, float64(2*len(junk)))
}

// TestTooLargeMessagesEndTheirConnectionAlone: a client that sends 2 MiB.
func TestTooLargeMessagesEndTheirConnectionAlone(t *testing.T) {
	g, h := limited(t, func(*Config) {})
	good := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
	for i := range int64(5) {
		bad := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
		bad.Raw(0x32, 0x80, 0x80, 0x80, 0x01) // PUBLISH of 2 MiB
		require.EqualValues(t, 0x95, bad.Disconnected())
		require.Zero(t, publish(good, wire.TelemetryTopic("good"), reading("good", 1640995200000+i)))
	}
	require.Len(t, h.entries(t, g.cfg.ID), 5)
}

// TestInventedDevicesAreBounded with observe: those that the gateway knows from before go on, also after a
// restart.
func TestInventedDevicesAreBounded(t *testing.T) {
	cfg := config(t)
	cfg.DeviceAuth = devices.Off
	g, stop := run(t, cfg)
	old := mqtttest.Connect(t, g.MQTTAddr(), 5, nil)
	for i := range 20 {
		require.Zero(t, publish(old, wire.TelemetryTopic(fmt.Sprint("old_", i)), reading(fmt.Sprint("old_", i), 1640995200000)))
	}
	stop()
	cfg.DeviceAuth, cfg.NewDevices = devices.Observe, 5
	for round := range int64(2) {
		g, stop = run(t, cfg)
		c := mqtttest.Connect(t, g.MQTTAddr(), 5, func(pk *packets.Packet) { pk.Connect.ClientIdentifier = "x" })
		taken := 0
		for i := range 300 {
			id := fmt.Sprintf("invented_%d_%d", round, i)
			if code := publish(c, wire.TelemetryTopic(id), reading(id, 1640995200000)); code == 0 {
				taken++
			} else {
				require.EqualValues(t, quotaExceeded, code)
			}
		}
		require.GreaterOrEqual(t, taken, 5)
		require.Less(t, taken, 100)
		for i := range 20 {
			require.Zero(t, publish(c, wire.TelemetryTopic(fmt.Sprint("old_", i)), reading(fmt.Sprint("old_", i), 1640995200001+round)))
		}
		stop()
	}
}
