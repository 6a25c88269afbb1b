package gateway

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/devices"
	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// building is a gateway with a hub and the commands of its engineer.
type building struct {
	*Gateway
	t   *testing.T
	cfg Config
	hub *hub
}

func openBuilding(t *testing.T, mode devices.Mode, change func(*Config)) *building {
	t.Helper()
	b := &building{t: t, cfg: config(t), hub: startHub(t, -1)}
	b.cfg.HubURL, b.cfg.DeviceAuth = b.hub.url(), mode
	if change != nil {
		change(&b.cfg)
	}
	return b
}

func (b *building) start() *building {
	b.t.Helper()
	b.Gateway = start(b.t, b.cfg)
	return b
}

// device runs "edge device" and returns the last word of the first line that has a secret or seed.
func (b *building) device(args ...string) string {
	b.t.Helper()
	var out, errs bytes.Buffer
	c := devices.Command{File: devices.File(b.cfg.DataDir, b.cfg.ID), Out: &out, Err: &errs, Now: time.Now(), In: func(name string) (io.ReadCloser, error) { return os.Open(name) }}
	require.Zero(b.t, c.Run(args), errs.String())
	for word := range strings.FieldsSeq(out.String()) {
		if strings.HasPrefix(word, "iotd_") || strings.HasPrefix(word, "SU") {
			return word
		}
	}
	return ""
}

// mqtt connects by MQTT 5 and returns the reason code of the CONNACK.
func (b *building) mqtt(id, user, secret string, more ...func(*packets.Packet)) (*mqtttest.Client, byte) {
	b.t.Helper()
	c := mqtttest.Open(b.t, b.MQTTAddr(), 5)
	c.Send(hello(id, user, secret, more...))
	return c, c.Read().ReasonCode
}

func hello(id, user, secret string, more ...func(*packets.Packet)) packets.Packet {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 5}
	pk.Connect = packets.ConnectParams{ProtocolName: []byte("MQTT"), ClientIdentifier: id, Clean: true, Keepalive: 60}
	if user != "" {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(user)
		pk.Connect.PasswordFlag, pk.Connect.Password = true, []byte(secret)
	}
	for _, change := range more {
		change(&pk)
	}
	return pk
}

// publish publishes with QoS 1 and returns the code of the answer.
func publish(c *mqtttest.Client, topic string, payload []byte) byte {
	c.Publish(topic, 1, 7, string(payload))
	return c.Read().ReasonCode
}

const notAuthorized = 0x87

// TestOnlyDevicesWithACredentialConnect: without one, with a wrong, with a revoked one.
func TestOnlyDevicesWithACredentialConnect(t *testing.T) {
	b := openBuilding(t, devices.Required, nil).start()
	good, gone := b.device("add", "d1"), b.device("add", "d2")
	key := b.device("add", "d3", "-kind", "nkey")
	b.device("revoke", "d2")
	b.inForce("d3")
	for name, tt := range map[string]struct {
		user, secret string
		code         byte
	}{
		"nothing": {"", "", notAuthorized}, "wrong": {"d1", gone, notAuthorized}, "revoked": {"d2", gone, notAuthorized},
		"unknown": {"d9", good, notAuthorized}, "a key's device": {"d3", good, notAuthorized}, "right": {"d1", good, 0},
	} {
		c, code := b.mqtt("", tt.user, tt.secret)
		require.Equal(t, tt.code, code, name)
		nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo(tt.user, tt.secret))
		if tt.code != 0 {
			require.ErrorIs(t, err, nats.ErrAuthorization, name)
			continue
		}
		require.NoError(t, err)
		require.Zero(t, publish(c, wire.TelemetryTopic("d1"), reading("d1", 1640995200001)))
		answer, err := nc.Request(wire.TelemetrySubject("d1"), reading("d1", 1640995200002), waitTimeout)
		require.NoError(t, err)
		require.Contains(t, string(answer.Data), `"stream"`)
		nc.Close()
	}
	kp, err := nkeys.FromSeed([]byte(key))
	require.NoError(t, err)
	stranger, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := kp.PublicKey()
	require.NoError(t, err)
	_, err = nats.Connect(b.NATSAddr(), nats.Nkey(public, stranger.Sign))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	nc, err := nats.Connect(b.NATSAddr(), nats.Nkey(public, kp.Sign))
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request(wire.TelemetrySubject("d3"), reading("d3", 1640995200003), waitTimeout)
	require.NoError(t, err)
	require.Len(t, b.hub.entries(t, b.cfg.ID), 3)
}

// inForce waits until a change of a credential is.
func (b *building) inForce(id string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.devices.IsKnown(id) }, waitTimeout, time.Millisecond)
}

// TestADeviceCannotPublishAsAnother: not by topic, subject, topic alias, will or body.
func TestADeviceCannotPublishAsAnother(t *testing.T) {
	b := openBuilding(t, devices.Required, nil)
	a := b.device("add", "a")
	b.device("add", "b")
	b.start()
	forged := reading("b", 1640995200001)
	c, code := b.mqtt("", "a", a)
	require.Zero(t, code)
	require.EqualValues(t, notAuthorized, publish(c, wire.TelemetryTopic("b"), forged))
	require.EqualValues(t, notAuthorized, publish(c, wire.ConcentratorTopic("b"), forged))
	require.NotZero(t, publish(c, wire.TelemetryTopic("a"), forged), "the body says b")
	require.Zero(t, publish(c, wire.ConcentratorTopic("a"), []byte(`[`+string(forged)+`]`)), "stored, as a dead letter")
	alias := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: wire.TelemetryTopic("b"), PacketID: 8, Payload: forged}
	alias.Properties.TopicAlias, alias.Properties.TopicAliasFlag = 1, true
	c.Send(alias)
	require.EqualValues(t, notAuthorized, c.Read().ReasonCode)
	alias.TopicName = ""
	c.Send(alias)
	require.EqualValues(t, notAuthorized, c.Read().ReasonCode)

	last, code := b.mqtt("", "a", a, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, wire.TelemetryTopic("b"), reading("b", 1640995200077) // else it is a resend
	})
	require.Zero(t, code)
	before := len(b.hub.entries(t, b.cfg.ID))
	last.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: 4}) // with its will
	require.Eventually(t, func() bool { return len(b.hub.entries(t, b.cfg.ID)) > before }, waitTimeout, 5*time.Millisecond)

	refused := make(chan error, 10)
	nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo("a", a), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	defer nc.Close()
	for _, subject := range []string{wire.TelemetrySubject("b"), wire.ConcentratorSubject("b"), "shellies.b.status", "_INBOX.x", "$JS.API.INFO"} {
		require.NoError(t, nc.Publish(subject, forged))
		require.ErrorIs(t, <-refused, nats.ErrPermissionViolation, subject)
	}
	answer, err := nc.Request(wire.ConcentratorSubject("a"), []byte(`[`+string(forged)+`,`+string(reading("a", 1640995200001))+`]`), waitTimeout)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"accepted":1`)
	require.Contains(t, string(answer.Data), string(telemetry.ReasonNotAllowed))
	for _, e := range b.hub.entries(t, b.cfg.ID) {
		require.Equal(t, "a", e.Device, "not a word under the name of b")
		require.Equal(t, e.Refusal == nil, strings.Contains(string(e.Payload), `"device_id":"a"`))
	}
}

// TestADeviceHearsNoOtherDevice subscribes to all that there is.
func TestADeviceHearsNoOtherDevice(t *testing.T) {
	b := openBuilding(t, devices.Required, nil)
	spy, talker := b.device("add", "spy"), b.device("add", "talker")
	b.start()
	violations := make(chan error, 10)
	nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo("spy", spy), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	require.NoError(t, err)
	defer nc.Close()
	for _, subject := range []string{">", "devices.>", "devices.*.telemetry", "$JS.>", "$SYS.>", "packs.*", "concentrators.*.telemetry"} {
		_, err := nc.Subscribe(subject, func(*nats.Msg) { t.Error("heard a message on", subject) })
		require.NoError(t, err)
		require.ErrorIs(t, <-violations, nats.ErrPermissionViolation, subject)
	}
	c, code := b.mqtt("", "spy", spy)
	require.Zero(t, code)
	for i, filter := range []string{"#", "$SYS/#", "devices/#"} {
		c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: uint16(i + 1), Filters: packets.Subscriptions{{Filter: filter}}})
		c.Read() // accepted or not: some devices insist on subscribing
	}
	other, code := b.mqtt("", "talker", talker)
	require.Zero(t, code)
	require.Zero(t, publish(other, wire.TelemetryTopic("talker"), reading("talker", 1640995200001)))
	c.Send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	require.Equal(t, packets.Pingresp, c.Read().FixedHeader.Type, "no message before the answer to a ping")
	require.NoError(t, nc.Flush())
}

// TestAConcentratorPublishesForItsDevices by both protocols, in its own messages and in theirs.
func TestAConcentratorPublishesForItsDevices(t *testing.T) {
	b := openBuilding(t, devices.Required, nil)
	secret := b.device("add", "plc7", "-publishes", "plc7_*,meter_1")
	b.start()
	batch := func(n int64) []byte {
		return bytes.Join([][]byte{[]byte("["), reading("plc7_1", n), []byte(","), reading("meter_1", n), []byte(","), reading("plc8_1", n), []byte("]")}, nil)
	}
	c, code := b.mqtt("", "plc7", secret)
	require.Zero(t, code)
	require.Zero(t, publish(c, wire.TelemetryTopic("plc7_2"), reading("plc7_2", 1)))
	require.EqualValues(t, notAuthorized, publish(c, wire.TelemetryTopic("plc8_2"), reading("plc8_2", 1)))
	require.Zero(t, publish(c, wire.ConcentratorTopic("plc7"), batch(2)), "stored; the reason string names the refused one")
	nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo("plc7", secret))
	require.NoError(t, err)
	defer nc.Close()
	answer, err := nc.Request(wire.ConcentratorSubject("plc7"), batch(3), waitTimeout)
	require.NoError(t, err)
	require.Contains(t, string(answer.Data), `"accepted":2`)
	_, err = nc.Request(wire.TelemetrySubject("meter_1"), reading("meter_1", 4), waitTimeout)
	require.NoError(t, err)
	var accepted, refused []string
	for _, e := range b.hub.entries(t, b.cfg.ID) {
		if e.Refusal == nil {
			accepted = append(accepted, e.Device)
			continue
		}
		require.Equal(t, telemetry.ReasonNotAllowed, e.Refusal.Reason)
		refused = append(refused, e.Device)
	}
	require.Equal(t, []string{"plc7_2", "plc7_1", "meter_1", "plc7_1", "meter_1", "meter_1"}, accepted)
	require.Equal(t, []string{"plc7", "plc7", "plc7"}, refused)
}

// TestOtherFormatsComeFromTheirDevices: a mapping gives the id, which has to be the sender's.
func TestOtherFormatsComeFromTheirDevices(t *testing.T) {
	payload := []byte(`{"temperature":21.42}`)
	b := openBuilding(t, devices.Required, func(c *Config) {
		m, file := mappings(t, "zigbee2mqtt")
		c.MappingsFile = m.MappingsFile
		require.Equal(t, file, filepath.Clean(c.MappingsFile))
	})
	boiler := b.device("add", "zigbee_boiler", "-subjects", "zigbee2mqtt.boiler")
	b.start()
	c, code := b.mqtt("", "zigbee_boiler", boiler)
	require.Zero(t, code)
	require.Zero(t, publish(c, "zigbee2mqtt/boiler", payload))
	require.EqualValues(t, notAuthorized, publish(c, "zigbee2mqtt/pump", payload))
	refused := make(chan error, 1)
	nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo("zigbee_boiler", boiler), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request("zigbee2mqtt.boiler", payload, waitTimeout)
	require.NoError(t, err)
	require.NoError(t, nc.Publish("zigbee2mqtt.pump", payload))
	require.ErrorIs(t, <-refused, nats.ErrPermissionViolation)
	all := b.hub.entries(t, b.cfg.ID)
	require.Len(t, all, 3)
	require.Equal(t, telemetry.ReasonNotAllowed, all[1].Refusal.Reason)
	require.Equal(t, "zigbee_boiler", all[2].Device)
}

// TestAClientIdentifierBelongsToItsDevice: no device throws another out or takes its session.
func TestAClientIdentifierBelongsToItsDevice(t *testing.T) {
	b := openBuilding(t, devices.Required, nil)
	good, evil := b.device("add", "good"), b.device("add", "evil")
	b.start()
	for _, id := range []string{"good", "its client"} {
		victim, code := b.mqtt(id, "good", good)
		require.Zero(t, code)
		attacker, code := b.mqtt(id, "evil", evil)
		if id == "good" {
			require.EqualValues(t, notAuthorized, code, "the id of another device")
		} else {
			require.Zero(t, code, "its own session of that name")
			require.Zero(t, publish(attacker, wire.TelemetryTopic("evil"), reading("evil", 1640995200001)))
		}
		require.Zero(t, publish(victim, wire.TelemetryTopic("good"), reading("good", time.Now().UnixMilli())))
	}
	// Two devices with one credential: the newer one wins, once in ten seconds.
	second, code := b.mqtt("its client", "good", good)
	require.Zero(t, code)
	_, code = b.mqtt("its client", "good", good)
	require.EqualValues(t, 0x89, code)
	require.Zero(t, publish(second, wire.TelemetryTopic("good"), reading("good", time.Now().UnixMilli())))
}

// TestARevokedDeviceIsCut with the hub away, and stays out after a restart.
func TestARevokedDeviceIsCut(t *testing.T) {
	b := openBuilding(t, devices.Required, nil)
	gone, stays := b.device("add", "gone"), b.device("add", "stays")
	var stop func()
	b.Gateway, stop = run(t, b.cfg)
	b.hub.stop()
	c, code := b.mqtt("", "gone", gone)
	require.Zero(t, code)
	other, code := b.mqtt("", "stays", stays)
	require.Zero(t, code)
	closed := make(chan struct{})
	nc, err := nats.Connect(b.NATSAddr(), nats.UserInfo("gone", gone), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	require.NoError(t, err)
	defer nc.Close()
	b.device("revoke", "gone")
	require.EqualValues(t, notAuthorized, c.Disconnected())
	<-closed
	require.Zero(t, publish(other, wire.TelemetryTopic("stays"), reading("stays", 1640995200001)))
	stop()
	b.start()
	_, code = b.mqtt("", "gone", gone)
	require.EqualValues(t, notAuthorized, code)
	_, code = b.mqtt("", "stays", stays)
	require.Zero(t, code)
}

// TestObserveRefusesNothing: a building is moved to credentials device by device.
func TestObserveRefusesNothing(t *testing.T) {
	b := openBuilding(t, devices.Observe, nil)
	secret := b.device("add", "d1")
	b.start()
	for i, user := range []string{"", "d1", "someone"} {
		c, code := b.mqtt("", user, "its password of today")
		require.Zero(t, code)
		require.Zero(t, publish(c, wire.TelemetryTopic("d1"), reading("d1", 1640995200000+int64(i))))
		require.Zero(t, publish(c, wire.TelemetryTopic("d2"), reading("d2", 1640995200000+int64(i))))
	}
	c, code := b.mqtt("", "d1", secret)
	require.Zero(t, code)
	require.Zero(t, publish(c, wire.TelemetryTopic("d1"), reading("d1", 1640995200009)))
	require.EqualValues(t, notAuthorized, publish(c, wire.TelemetryTopic("d2"), reading("d2", 1640995200009)), "it has proved to be d1")
	nc, err := nats.Connect(b.NATSAddr())
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Request(wire.ConcentratorSubject("d1"), []byte(`[`+string(reading("d5", 1))+`]`), waitTimeout)
	require.NoError(t, err)
	require.EqualValues(t, 8, b.collector.Stats().Accepted)
}

// TestDevicesAreAddedBeforeAuthIsRequired: commands listen nowhere, so the start rule does not stop them.
func TestDevicesAreAddedBeforeAuthIsRequired(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, value := range map[string]string{"EDGE_GATEWAY_ID": "gw-1", "EDGE_DATA_DIR": t.TempDir(), "EDGE_MQTT_ADDR": "0.0.0.0:1883"} {
		t.Setenv(name, value)
	}
	var out, errs bytes.Buffer
	require.Zero(t, DeviceCommand([]string{"add", "device_001"}, &out, &errs), errs.String())
	require.Contains(t, out.String(), "device_001")
	c := config(t)
	c.MQTTAddr = "0.0.0.0:1883"
	require.ErrorContains(t, c.Check(), "EDGE_MQTT_ADDR=0.0.0.0:1883 can be reached")
}
