package transform

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limits() *Limits {
	l := &Limits{}
	for p := range l {
		l[p] = Unlimited()
	}
	l[telemetry.Temperature] = Range{Low: 0, High: 80}
	l[telemetry.Current].High = 10
	return l
}

func apply(t *testing.T, raw string) (string, telemetry.Reading) {
	t.Helper()
	var r telemetry.Reading
	var layout wire.Layout
	require.NoError(t, wire.DecodeReading([]byte(raw), &r, &layout))
	return string(limits().Apply(nil, []byte(raw), &r, &layout)), r
}

const head = `{"device_id":"d1","timestamp":1700000000000,"location":{"building":"A"},"sensors":`

func TestStatusFollowsTheLimits(t *testing.T) {
	tests := []struct{ name, sensors, want string }{
		{"inside", `{"temperature":{"value":25.6,"status":"normal"}}`, `{"temperature":{"value":25.6,"status":"normal"}}`},
		{"above", `{"temperature":{"value":80.1,"status":"normal"}}`, `{"temperature":{"value":80.1,"status":"high"}}`},
		{"below", `{"temperature":{"value":-1,"status":"normal"}}`, `{"temperature":{"value":-1,"status":"low"}}`},
		{"on the upper limit", `{"temperature":{"value":80,"status":"high"}}`, `{"temperature":{"value":80,"status":"normal"}}`},
		{"on the lower limit", `{"temperature":{"value":0,"status":"low"}}`, `{"temperature":{"value":0,"status":"normal"}}`},
		{"none sent", `{"temperature":{"value":99}}`, `{"temperature":{"value":99,"status":"high"}}`},
		{"no limits: the device's word", `{"pressure":{"value":1e9,"status":"fault"}}`, `{"pressure":{"value":1e9,"status":"fault"}}`},
		{"no limits and no word", `{"pressure":{"value":1013.25}}`, `{"pressure":{"value":1013.25,"status":"normal"}}`},
		{
			"several, spacing kept",
			`{ "current" : {"value":11, "status" : "ok" , "x":1}, "temperature":{"value":-3,"unit":"°C"} }`,
			`{ "current" : {"value":11, "status" : "high" , "x":1}, "temperature":{"value":-3,"unit":"°C","status":"low"} }`,
		},
		{"the switch is let alone", `{"switch_status":{"value":true,"status":"on"}}`, `{"switch_status":{"value":true,"status":"on"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, r := apply(t, head+tt.sensors+"}")
			require.Equal(t, head+tt.want+"}", got)
			require.True(t, json.Valid([]byte(got)))
			var again telemetry.Reading
			require.NoError(t, wire.DecodeReading([]byte(got), &again, nil))
			require.Equal(t, again.Sensors, r.Sensors, "the decoded reading says the same as the text")
		})
	}
}

func TestNothingToChangeCopiesNothing(t *testing.T) {
	raw := []byte(head + `{"temperature":{"value":25.6,"status":"normal"}}}`)
	var r telemetry.Reading
	var layout wire.Layout
	require.NoError(t, wire.DecodeReading(raw, &r, &layout))
	l := limits()
	require.Same(t, &raw[0], &l.Apply(nil, raw, &r, &layout)[0])
}
