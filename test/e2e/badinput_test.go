//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// bad is a message that every gateway must refuse.
type bad struct {
	name    string
	payload func(device string) string
	reason  telemetry.Reason
	field   string
}

// sample is the contract's reading with one part replaced.
func sample(device, old, replacement string) string {
	text := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"switch_status":{"value":true,"status":"on"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, device, time.Now().UnixMilli())
	return strings.Replace(text, old, replacement, 1)
}

func replaced(old, replacement string) func(string) string {
	return func(device string) string { return sample(device, old, replacement) }
}

func stamped(timestamp int64) func(string) string {
	return func(device string) string {
		return fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},"sensors":{}}`, device, timestamp)
	}
}

var badInputs = []bad{
	{"truncated", func(d string) string { s := sample(d, "", ""); return s[:len(s)/2] }, telemetry.ReasonInvalidJSON, ""},
	{"number as text", replaced("25.6", `"25.6"`), telemetry.ReasonInvalidReading, "sensors.temperature.value"},
	{"switch as number", replaced(`"value":true`, `"value":1`), telemetry.ReasonInvalidReading, "sensors.switch_status.value"},
	{"sensors as array", replaced(`"sensors":{`, `"sensors":[],"x":{`), telemetry.ReasonInvalidReading, "sensors"},
	{"not an object", func(string) string { return `3` }, telemetry.ReasonInvalidReading, ""},
	{"NaN", replaced("25.6", "NaN"), telemetry.ReasonInvalidJSON, "sensors.temperature.value"},
	{"key twice", replaced(`"value":25.6`, `"value":25.6,"valu\u0065":99`), telemetry.ReasonDuplicateKey, "sensors.temperature.value"},
	{"1e999", replaced("25.6", "1e999"), telemetry.ReasonInvalidReading, "sensors.temperature.value"},
	{"one megabyte", replaced("IOT-SENSOR-V2", strings.Repeat("x", 1<<20)), telemetry.ReasonTooLarge, ""},
	{"invalid UTF-8", replaced("301", "30\xff"), telemetry.ReasonInvalidUTF8, ""},
	{"depth 10000", replaced(`"device_info"`, `"deep":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`,"device_info"`), telemetry.ReasonTooDeep, ""},
	{"another device", func(string) string { return sample("device_007", "", "") }, telemetry.ReasonDeviceMismatch, "device_id"},
	{"seconds", stamped(1_640_995_200), telemetry.ReasonInvalidTimestamp, "timestamp"},
	{"year 2100", stamped(4_102_444_800_000), telemetry.ReasonInvalidTimestamp, "timestamp"},
	{"empty", func(string) string { return "" }, telemetry.ReasonEmpty, ""},
}

func TestBadInputBecomesADeadLetter(t *testing.T) {
	r := newRun(t)
	r.startSims(t)
	wait(t, 2*time.Second) // bad messages between good ones

	sent := map[string]bad{} // by device
	payloads := map[string]string{}
	device := func(protocol string, k int, b bad) string {
		id := fmt.Sprintf("bad-%s-%d", protocol, k)
		sent[id], payloads[id] = b, b.payload(id)
		return id
	}
	nc, err := nats.Connect("nats://" + r.NATS()[0])
	require.NoError(t, err)
	defer nc.Close()
	mc := connectMQTT(t, r.MQTT()[1])
	for k, b := range badInputs {
		id := device("nats", k, b)
		requireRefused(t, nc, id, payloads[id], b)
		id = device("mqtt", k, b)
		token := mc.Publish(wire.TelemetryTopic(id), 1, false, payloads[id])
		require.True(t, token.WaitTimeout(waitTimeout), "%s: no PUBACK", b.name)
		require.NoError(t, token.Error(), b.name)
	}
	requireBadIDsRefused(t, nc)
	requireBatchRefused(t, nc)
	wait(t, 2*time.Second)
	r.stopSims(t)

	v, _ := r.judge(t)
	t.Log(v.String())
	require.NoError(t, v.Err(), "good readings are unaffected")
	require.Zero(t, v.Foreign)
	requireDeadLetters(t, r.deadLetters(t), sent, payloads)
}

func connectMQTT(t *testing.T, addr string) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("bad").SetAutoReconnect(false))
	token := c.Connect()
	require.True(t, token.WaitTimeout(waitTimeout))
	require.NoError(t, token.Error())
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

// requireRefused checks that the answer has the reason.
func requireRefused(t *testing.T, nc *nats.Conn, device, payload string, b bad) {
	t.Helper()
	m, err := nc.Request(wire.TelemetrySubject(device), []byte(payload), waitTimeout)
	require.NoError(t, err, b.name)
	reply, err := wire.DecodeReply(m.Data)
	require.NoError(t, err, "%s: %s", b.name, m.Data)
	require.NotNil(t, reply.Error, "%s: %s", b.name, m.Data)
	require.Equal(t, b.reason, reply.Error.Reason, "%s: %s", b.name, m.Data)
	require.Equal(t, b.field, reply.Error.Field, "%s: %s", b.name, m.Data)
	require.NotEmpty(t, reply.Error.Message, b.name)
	require.Contains(t, []int{400, 413}, reply.Error.Code, b.name)
}

// requireBadIDsRefused publishes with invalid device ids.
func requireBadIDsRefused(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for _, id := range []string{strings.Repeat("x", 65), "a+b", "设备"} {
		requireRefused(t, nc, id, sample("device_007", "", ""), bad{"id " + id, nil, telemetry.ReasonInvalidDevice, ""})
	}
}

// badBatcher sends one batch, in which every part is bad.
const badBatcher = "bad-batch"

func requireBatchRefused(t *testing.T, nc *nats.Conn) {
	t.Helper()
	m, err := nc.Request(wire.TelemetrySubject(badBatcher), []byte(`[1,"x",{}]`), waitTimeout)
	require.NoError(t, err)
	reply, err := wire.DecodeReply(m.Data)
	require.NoError(t, err, "%s", m.Data)
	require.Nil(t, reply.Error, "%s", m.Data)
	require.Zero(t, reply.Accepted, "%s", m.Data)
	require.Len(t, reply.Refused, 3, "%s", m.Data)
	for i, part := range reply.Refused {
		require.Equal(t, i, part.Index, "%s", m.Data)
		require.Equal(t, 400, part.Error.Code, "%s", m.Data)
		require.NotEmpty(t, part.Error.Message, "%s", m.Data)
	}
}

func requireDeadLetters(t *testing.T, letters []*kgo.Record, sent map[string]bad, payloads map[string]string) {
	t.Helper()
	seen := map[string]int{}
	badIDs := 0
	var batch []string
	for _, rec := range letters {
		id := string(rec.Key)
		if id == badBatcher {
			batch = append(batch, string(rec.Value))
			continue
		}
		b, ok := sent[id]
		if !ok {
			require.Equal(t, string(telemetry.ReasonInvalidDevice), kafkatest.Header(rec.Headers, wire.HeaderReason), "unexpected dead letter %q", id)
			badIDs++
			continue
		}
		seen[id]++
		require.Equal(t, string(b.reason), kafkatest.Header(rec.Headers, wire.HeaderReason), "%s as %s", b.name, id)
		require.Equal(t, b.field, kafkatest.Header(rec.Headers, wire.HeaderField), "%s as %s", b.name, id)
		require.NotEmpty(t, kafkatest.Header(rec.Headers, wire.HeaderMessage), "%s as %s", b.name, id)
		require.NotEmpty(t, kafkatest.Header(rec.Headers, wire.HeaderGateway), "%s as %s", b.name, id)
		want := payloads[id][:min(len(payloads[id]), wire.MaxReadingBytes)] // the start of a too large message is kept
		require.True(t, bytes.Equal([]byte(want), rec.Value), "%s as %s: %d bytes sent, %d kept", b.name, id, len(payloads[id]), len(rec.Value))
	}
	for id, b := range sent {
		require.Equal(t, 1, seen[id], "%s as %s", b.name, id)
	}
	require.Equal(t, 3, badIDs)
	require.ElementsMatch(t, []string{`1`, `"x"`, `{}`}, batch)
}
