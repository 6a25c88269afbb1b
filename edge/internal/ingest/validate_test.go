package ingest

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestValidation(t *testing.T) {
	long := strings.Repeat("x", 1000)
	tests := []struct {
		name, device string
		payload      []byte
		reason       telemetry.Reason // empty: accepted
		kept         string           // device of the dead letter
	}{
		{"good", "device_001", sample("device_001"), "", "device_001"},
		{"other device", "device_001", sample("device_002"), telemetry.ReasonDeviceMismatch, "device_001"},
		{"impossible name", "device 1", sample("device_001"), telemetry.ReasonInvalidDevice, "device 1"},
		{"name of 1,000 letters", long, sample("device_001"), telemetry.ReasonInvalidDevice, long[:64]},
		{"name that is not UTF-8", "\xff", sample("device_001"), telemetry.ReasonInvalidDevice, "?"},
		{"not JSON", "device_001", []byte("x"), telemetry.ReasonInvalidJSON, "device_001"},
		{"nothing", "device_001", nil, telemetry.ReasonEmpty, "device_001"},
		{"too much", "device_001", make([]byte, 1<<20), telemetry.ReasonTooLarge, "device_001"},
	}
	var v validator
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Message{Refusal: &telemetry.Refusal{}} // of the message before
			v.message(&m, tt.device, tt.payload)
			require.Equal(t, tt.kept, m.Device)
			if tt.reason == "" {
				require.Nil(t, m.Refusal)
				require.Equal(t, tt.payload, m.Payload)
				return
			}
			require.Equal(t, tt.reason, m.Refusal.Reason)
			require.NotEmpty(t, m.Refusal.Message)
			require.False(t, m.Refusal.Temporary())
			require.LessOrEqual(t, len(m.Payload), wire.MaxReadingBytes)
		})
	}
}

// A wrong clock is no reason to refuse a reading: core learns its offset. Only what no offset
// explains is refused, to the device.
func TestTimestampsThatAClockCanShowAreAccepted(t *testing.T) {
	for timestamp, refusal := range map[string]string{
		"0":                        "", // a clock that starts in 1970
		"86400000":                 "",
		"946684799":                "",
		"4102444800":               "",
		"946684800000":             "", // and one that starts in 2000
		"1640995200000":            "",
		"1640995200000.0":          "",
		"4102444799999":            "",
		"-1":                       "-1 is outside 1970-01-01 to 2100-01-01; want milliseconds since 1970",
		"946684800":                "946684800 looks like seconds; want milliseconds since 1970",
		"4102444799":               "4102444799 looks like seconds; want milliseconds since 1970",
		"1640995200000000":         "1640995200000000 looks like microseconds; want milliseconds since 1970",
		"1640995200000000000":      "1640995200000000000 looks like nanoseconds; want milliseconds since 1970",
		"4102444800000":            "4102444800000 is outside 1970-01-01 to 2100-01-01; want milliseconds since 1970",
		"\"2022-01-01T00:00:00Z\"": "want",
	} {
		store := &memStore{keep: true}
		_, nc := natsIntake(t, store)
		payload := strings.Replace(string(sample("device_001")), "1640995200000", timestamp, 1)
		for _, body := range []string{payload, "[" + payload + "]"} {
			r := request(t, nc, &nats.Msg{Subject: wire.TelemetrySubject("device_001"), Data: []byte(body)})
			if len(r.Refused) > 0 {
				r.Error = &r.Refused[0].Error
			}
			if refusal == "" {
				require.Nil(t, r.Error, timestamp)
				continue
			}
			require.NotNil(t, r.Error, timestamp)
			require.Equal(t, "timestamp", r.Error.Field)
			require.Contains(t, r.Error.Message, refusal)
		}
		require.Equal(t, 2, store.readings(t), "a refused one is a dead letter")
	}
}

func TestLargestPackFitsAnyHub(t *testing.T) {
	require.Less(t, limitBytes+wire.MaxReadingBytes+4096, 1<<20)
}
