package intake

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	now    = 1_700_000_000_000
	minute = 60_000
)

func reading(device string, ts int64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":25.6,"unit":"°C"}}}`, device, ts)
}

func TestOnlyReadingsAreAccepted(t *testing.T) {
	tests := []struct {
		name              string
		key               string
		value             []byte
		received, written int64
		reason            telemetry.Reason // empty: it is a reading
		field             string
	}{
		{name: "a reading", key: "d1", value: reading("d1", now), received: now, written: now},
		{name: "years old", key: "d1", value: reading("d1", now-9e10), received: now, written: now},
		{name: "eight hours ahead", key: "d1", value: reading("d1", now+480*minute), received: now, written: now},
		{name: "decades ahead", key: "d1", value: reading("d1", telemetry.MaxTimestamp-1), received: now, written: now},
		{name: "a clock that starts in 1970", key: "d1", value: reading("d1", 5000), received: now, written: now},
		{
			name: "seconds", key: "d1", value: reading("d1", now/1000), written: now,
			reason: telemetry.ReasonInvalidTimestamp, field: "timestamp",
		},
		{
			name: "the year 2100", key: "d1", value: reading("d1", telemetry.MaxTimestamp), written: now,
			reason: telemetry.ReasonInvalidTimestamp, field: "timestamp",
		},
		{name: "gateway's clock an hour behind", key: "d1", value: reading("d1", now), received: now - 60*minute, written: now},
		{name: "gateway's clock never set", key: "d1", value: reading("d1", now), received: 12_000, written: now},
		{
			name: "another device's key", key: "d2", value: reading("d1", now), received: now, written: now,
			reason: telemetry.ReasonDeviceMismatch, field: "device_id",
		},
		{
			name: "no key", value: reading("d1", now), received: now, written: now,
			reason: telemetry.ReasonDeviceMismatch, field: "device_id",
		},
		{name: "not JSON", key: "d1", value: []byte("no json"), written: now, reason: telemetry.ReasonInvalidJSON},
		{name: "nothing", key: "d1", written: now, reason: telemetry.ReasonEmpty},
		{name: "not UTF-8", key: "d1", value: []byte("\xff\xfe"), written: now, reason: telemetry.ReasonInvalidUTF8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var in Intake
			payload, refusal := in.Accept([]byte(tt.key), tt.value, &Origin{Received: tt.received, Written: tt.written})
			if tt.reason == "" {
				require.Nil(t, refusal)
				require.Equal(t, "d1", in.Reading.DeviceID)
				require.Equal(t, tt.value, payload, "no limits, no change")
				return
			}
			require.NotNil(t, refusal)
			require.Equal(t, tt.reason, refusal.Reason)
			require.Equal(t, tt.field, refusal.Field)
			require.NotEmpty(t, refusal.Message)
		})
	}
}

func TestMessageStaysShortWhateverTheKey(t *testing.T) {
	var in Intake
	_, refusal := in.Accept([]byte(strings.Repeat("k", 1<<20)), reading("d1", now), &Origin{Received: now, Written: now})
	require.NotNil(t, refusal)
	require.Less(t, len(refusal.Message), 300)
}

func limited() *Intake {
	return &Intake{Limits: Limits{
		telemetry.Temperature: {Low: 0, High: 80}, telemetry.Current: {Low: math.Inf(-1), High: 10}, "co2": {Low: 300, High: 1000},
	}}
}

func TestStatusFollowsTheLimits(t *testing.T) {
	const head = `{"device_id":"d1","timestamp":1700000000000,"location":{"building":"A"},"sensors":`
	tests := []struct{ name, sensors, want string }{
		{"inside", `{"temperature":{"value":25.6,"status":"normal"}}`, `{"temperature":{"value":25.6,"status":"normal"}}`},
		{"above", `{"temperature":{"value":80.1,"status":"normal"}}`, `{"temperature":{"value":80.1,"status":"high"}}`},
		{"below", `{"temperature":{"value":-1,"status":"normal"}}`, `{"temperature":{"value":-1,"status":"low"}}`},
		{"on the upper limit", `{"temperature":{"value":80,"status":"high"}}`, `{"temperature":{"value":80,"status":"normal"}}`},
		{"on the lower limit", `{"temperature":{"value":0,"status":"low"}}`, `{"temperature":{"value":0,"status":"normal"}}`},
		{"none sent", `{"temperature":{"value":99}}`, `{"temperature":{"value":99,"status":"high"}}`},
		{"no limits: the device's status", `{"pressure":{"value":1e9,"status":"fault"}}`, `{"pressure":{"value":1e9,"status":"fault"}}`},
		{"no limits and no status", `{"pressure":{"value":1013.25}}`, `{"pressure":{"value":1013.25,"status":"normal"}}`},
		{"one limit only", `{"current":{"value":-5,"status":"fault"}}`, `{"current":{"value":-5,"status":"normal"}}`},
		{
			"several, spacing kept",
			`{ "current" : {"value":11, "status" : "ok" , "x":1}, "temperature":{"value":-3,"unit":"°C"} }`,
			`{ "current" : {"value":11, "status" : "high" , "x":1}, "temperature":{"value":-3,"unit":"°C","status":"low"} }`,
		},
		{"any sensor", `{"co2":{"value":1200,"unit":"ppm"}}`, `{"co2":{"value":1200,"unit":"ppm","status":"high"}}`},
		{"a sensor without limits", `{"flow":{"value":12}}`, `{"flow":{"value":12,"status":"normal"}}`},
		{"a text", `{"mode":{"value":"auto"}}`, `{"mode":{"value":"auto"}}`},
		{"the switch is left alone", `{"switch_status":{"value":true,"status":"on"}}`, `{"switch_status":{"value":true,"status":"on"}}`},
	}
	in := limited()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload, refusal := in.Accept([]byte("d1"), []byte(head+tt.sensors+"}"), &Origin{Received: now, Written: now})
			require.Nil(t, refusal)
			require.Equal(t, head+tt.want+"}", string(payload))
			require.True(t, json.Valid(payload))
			var again telemetry.Reading
			require.NoError(t, wire.DecodeReading(payload, &again, nil))
			require.Equal(t, again.Sensors, in.Reading.Sensors, "the decoded reading agrees with the text")
		})
	}
}

func TestUnchangedReadingIsNotCopied(t *testing.T) {
	raw := []byte(`{"device_id":"d1","timestamp":1700000000000,"location":{"building":"A"},"sensors":{"temperature":{"value":25.6,"status":"normal"}}}`)
	payload, refusal := limited().Accept([]byte("d1"), raw, &Origin{Received: now, Written: now})
	require.Nil(t, refusal)
	require.Same(t, &raw[0], &payload[0])
}
