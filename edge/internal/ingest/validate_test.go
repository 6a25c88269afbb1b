package ingest

import (
	"strings"
	"testing"

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

func TestLargestPackFitsAnyHub(t *testing.T) {
	require.Less(t, limitBytes+wire.MaxReadingBytes+4096, 1<<20)
}
