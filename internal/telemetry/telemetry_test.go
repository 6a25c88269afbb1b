package telemetry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWindowMean(t *testing.T) {
	require.Zero(t, telemetry.Window{}.Mean())
	require.InDelta(t, 2.5, telemetry.Window{Count: 4, Sum: 10}.Mean(), 0)
}

func TestValidSensorName(t *testing.T) {
	for name, want := range map[string]bool{
		"co2": true, "a": true, "pm2_5": true, "a" + strings.Repeat("_", 31): true,
		"": false, "2co": false, "_a": false, "CO2": false, "a-b": false, "a.b": false, "a b": false, "温度": false,
		"a" + strings.Repeat("_", 32): false,
	} {
		require.Equal(t, want, telemetry.ValidSensorName(name), "%q", name)
	}
}

func TestSensorsAreFoundByName(t *testing.T) {
	s := telemetry.Sensors{{Name: "co2", Number: 400}, {Name: "door", Kind: telemetry.Bool, Number: 1}}
	require.Nil(t, s.Find("temperature"))
	s.Find("co2").Number = 500
	require.InDelta(t, 500, s[0].Number, 0)
	require.True(t, s[0].Comparable())
	require.False(t, s[1].Comparable(), "a boolean has no mean")
	s[0].Status = telemetry.StatusUnitUnknown
	require.False(t, s[0].Comparable(), "a value without a unit")
}

func TestRefusalError(t *testing.T) {
	var err error = &telemetry.Refusal{Reason: telemetry.ReasonEmpty, Message: "the message is empty"}
	require.EqualError(t, err, "empty_message: the message is empty")
	err = &telemetry.Refusal{Reason: telemetry.ReasonInvalidReading, Field: "sensors.current.value", Message: "want a number"}
	require.EqualError(t, err, "invalid_reading: sensors.current.value: want a number")
}

func TestRefusalTemporary(t *testing.T) {
	for reason, want := range map[telemetry.Reason]bool{
		telemetry.ReasonBufferFull: true, telemetry.ReasonUnavailable: true,
		telemetry.ReasonEmpty: false, telemetry.ReasonTooLarge: false, telemetry.ReasonInvalidUTF8: false,
		telemetry.ReasonInvalidJSON: false, telemetry.ReasonTooDeep: false, telemetry.ReasonInvalidReading: false,
		telemetry.ReasonInvalidTimestamp: false, telemetry.ReasonDuplicateKey: false, telemetry.ReasonDeviceMismatch: false, telemetry.ReasonInvalidDevice: false,
	} {
		require.Equal(t, want, (&telemetry.Refusal{Reason: reason}).Temporary(), reason)
	}
}

func TestAbsentIsNeverZero(t *testing.T) {
	for info, want := range map[telemetry.DeviceInfo]string{
		{}: `{"model":"","firmware":""}`,
		{Battery: telemetry.Some(0), SignalStrength: telemetry.Some(-45.5)}: `{"model":"","firmware":"","battery":0,"signal_strength":-45.5}`,
	} {
		text, err := json.Marshal(info)
		require.NoError(t, err)
		require.JSONEq(t, want, string(text))
		var back telemetry.DeviceInfo
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, info, back)
	}
	got := telemetry.Some(1)
	require.NoError(t, json.Unmarshal([]byte("null"), &got))
	require.Equal(t, telemetry.Optional{}, got)
	require.Error(t, json.Unmarshal([]byte(`"5"`), &got))
	text, err := json.Marshal(telemetry.Optional{})
	require.NoError(t, err)
	require.JSONEq(t, "null", string(text))
}

func TestValidDeviceID(t *testing.T) {
	for id, want := range map[string]bool{
		"device_001": true, "A-Z_a-z-0": true, "x": true, "-": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a.b": false, "a b": false, "a/b": false, "*": false, ">": false, "$SYS": false,
		"栋": false, "a\x00": false, "a\n": false, "@": false, "[": false, "`": false, "{": false, "/": false, ":": false, "a\xff": false,
	} {
		require.Equal(t, want, telemetry.ValidDeviceID(id), "%q", id)
	}
	for c := range 256 {
		want := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", rune(c))
		require.Equal(t, want, telemetry.ValidDeviceID(string([]byte{byte(c)})), c)
	}
}

func TestTimestampBounds(t *testing.T) {
	for ms, want := range map[int64]bool{
		946684800000: true, 1640995200000: true, 4102444799999: true,
		946684799999: false, 4102444800000: false, 0: false, -1: false, 1640995200: false,
	} {
		require.Equal(t, want, telemetry.ValidTimestamp(ms), ms)
	}
}

func TestOnlyTimesThatNoOffsetExplainsAreInvalid(t *testing.T) {
	for ms, want := range map[int64]bool{
		0: true, 5_000: true, 946684799: true, 4102444800: true, 946684800000: true, 4102444799999: true,
		-1: false, 946684800: false, 1640995200: false, 4102444799: false, 4102444800000: false,
	} {
		require.Equal(t, want, telemetry.ValidDeviceTimestamp(ms), ms)
	}
}

func TestRefuseTimestamp(t *testing.T) {
	for v, want := range map[int64]string{
		946684800:            "looks like seconds",
		1640995200:           "looks like seconds",
		4102444799:           "looks like seconds",
		1640995200000000:     "looks like microseconds",
		1640995200000000000:  "looks like nanoseconds",
		4102444800000:        "is outside 1970-01-01 to 2100-01-01",
		-1640995200:          "is outside 1970-01-01 to 2100-01-01",
		9223372036854775807:  "is outside 1970-01-01 to 2100-01-01",
		-9223372036854775808: "is outside 1970-01-01 to 2100-01-01",
	} {
		require.Equal(t, &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidTimestamp, Field: "timestamp",
			Message: fmt.Sprintf("%d %s; want milliseconds since 1970", v, want),
		}, telemetry.RefuseTimestamp(v))
	}
}
