package gateway

import (
	"bytes"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// badInput are permanently refused messages with reason and field.
var badInput = []struct {
	name    string
	payload string
	reason  telemetry.Reason
	field   string // empty: any
}{
	{"empty message", "", telemetry.ReasonEmpty, ""},
	{"truncated JSON", good()[:200], telemetry.ReasonInvalidJSON, ""},
	{"no JSON", "hello", telemetry.ReasonInvalidJSON, ""},
	{"key twice", strings.Replace(good(), `"value":25.6`, `"value":25.6,"value":99`, 1), telemetry.ReasonDuplicateKey, "sensors.temperature.value"},
	{"NaN", strings.Replace(good(), "25.6", "NaN", 1), telemetry.ReasonInvalidJSON, ""},
	{"1e999", strings.Replace(good(), "25.6", "1e999", 1), telemetry.ReasonInvalidReading, "sensors.temperature.value"},
	{"string for a number", strings.Replace(good(), "25.6", `"warm"`, 1), telemetry.ReasonInvalidReading, "sensors.temperature.value"},
	{"number for a switch", strings.Replace(good(), `"value":true`, `"value":1`, 1), telemetry.ReasonInvalidReading, "sensors.switch_status.value"},
	{"array for an object", strings.Replace(good(), `"location":{"building":"A栋","floor":3,"room":"301"}`, `"location":[]`, 1), telemetry.ReasonInvalidReading, "location"},
	{"1 MB", strings.Replace(good(), `"301"`, `"`+strings.Repeat("3", 1<<20)+`"`, 1), telemetry.ReasonTooLarge, ""},
	{"invalid UTF-8", strings.Replace(good(), "301", "\xff\xfe", 1), telemetry.ReasonInvalidUTF8, ""},
	{"depth 10,000", strings.Replace(good(), `"301"`, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), 1), telemetry.ReasonTooDeep, ""},
	{"other device", string(reading("device_002", 1640995200000)), telemetry.ReasonDeviceMismatch, "device_id"},
	{"invalid device", string(reading("device 1", 1640995200000)), telemetry.ReasonInvalidReading, "device_id"},
	{"timestamp in seconds", string(reading("device_001", 1640995200)), telemetry.ReasonInvalidTimestamp, "timestamp"},
	{"timestamp in the year 2100", string(reading("device_001", 4102444800000)), telemetry.ReasonInvalidTimestamp, "timestamp"},
}

func good() string { return string(reading("device_001", 1640995200000)) }

func TestBadInputByNATSIsRefusedAndKept(t *testing.T) {
	g, h := startWithHub(t)
	nc := dial(t, g)
	for _, tt := range badInput {
		msg, err := nc.Request(wire.TelemetrySubject("device_001"), []byte(tt.payload), waitTimeout)
		require.NoError(t, err, tt.name)
		reply, err := wire.DecodeReply(msg.Data)
		require.NoError(t, err)
		require.NotNil(t, reply.Error, tt.name)
		require.Equal(t, tt.reason, reply.Error.Reason, tt.name)
		require.Contains(t, reply.Error.Field, tt.field, tt.name)
		require.NotEmpty(t, reply.Error.Message)
		require.Contains(t, []int{400, 413}, reply.Error.Code)
	}
	requireDeadLetters(t, h, g)
	requireUndisturbed(t, g)
}

func TestBadInputByMQTTIsAcknowledgedAndKept(t *testing.T) {
	g, h := startWithHub(t)
	client := connectMQTT(t, g)
	for _, tt := range badInput {
		token := client.Publish(wire.TelemetryTopic("device_001"), 1, false, tt.payload)
		require.True(t, token.WaitTimeout(waitTimeout), tt.name)
		require.NoError(t, token.Error())
	}
	requireDeadLetters(t, h, g)
	requireUndisturbed(t, g)
	require.True(t, client.IsConnectionOpen())
}

// requireDeadLetters compares the stream with badInput.
func requireDeadLetters(t *testing.T, h *hub, g *Gateway) {
	t.Helper()
	all := h.entries(t, g.cfg.ID)
	require.Len(t, all, len(badInput))
	for i, tt := range badInput {
		e := all[i]
		require.NotNil(t, e.Refusal, tt.name)
		require.Equal(t, tt.reason, e.Refusal.Reason, tt.name)
		require.Contains(t, e.Refusal.Field, tt.field, tt.name)
		require.Equal(t, "device_001", e.Device, tt.name)
		require.Equal(t, tt.payload[:min(len(tt.payload), wire.MaxReadingBytes)], string(e.Payload), tt.name)
		require.WithinDuration(t, time.Now(), time.UnixMilli(e.Received), time.Hour)
	}
	require.EqualValues(t, len(badInput), g.collector.Stats().Refused)
}

// requireUndisturbed sends a good reading.
func requireUndisturbed(t *testing.T, g *Gateway) {
	t.Helper()
	msg, err := dial(t, g).Request(wire.TelemetrySubject("device_001"), []byte(good()), waitTimeout)
	require.NoError(t, err)
	reply, err := wire.DecodeReply(msg.Data)
	require.NoError(t, err)
	require.Nil(t, reply.Error)
	require.Equal(t, wire.PackStream(g.cfg.ID), reply.Stream)
	require.NotZero(t, reply.Seq)
	require.NoError(t, g.Ready())
}

func TestOversizedMessageClosesOnlyItsConnection(t *testing.T) {
	g, _ := startWithHub(t)
	nc := dial(t, g)
	require.ErrorIs(t, nc.Publish(wire.TelemetrySubject("device_001"), bytes.Repeat([]byte("x"), 3<<20)), nats.ErrMaxPayload)
	client := connectMQTT(t, g)
	client.Publish(wire.TelemetryTopic("device_001"), 1, false, bytes.Repeat([]byte("x"), 3<<20))
	require.Eventually(t, func() bool { return !client.IsConnectionOpen() }, waitTimeout, 5*time.Millisecond)
	requireUndisturbed(t, g)
}

func dial(tb testing.TB, g *Gateway) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(g.NATSAddr())
	require.NoError(tb, err)
	tb.Cleanup(nc.Close)
	return nc
}

// connectMQTT connects a client that does not reconnect.
func connectMQTT(tb testing.TB, g *Gateway) paho.Client {
	tb.Helper()
	return connectMQTTAs(tb, g, tb.Name())
}

func connectMQTTAs(tb testing.TB, g *Gateway, id string) paho.Client {
	tb.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + g.MQTTAddr()).SetAutoReconnect(false).SetClientID(id)
	c := paho.NewClient(o)
	token := c.Connect()
	require.True(tb, token.WaitTimeout(waitTimeout))
	require.NoError(tb, token.Error())
	tb.Cleanup(func() { c.Disconnect(100) })
	return c
}
