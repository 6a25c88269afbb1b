package wire_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestNames(t *testing.T) {
	require.Equal(t, "devices.device_001.telemetry", wire.TelemetrySubject("device_001"))
	require.Equal(t, "devices/device_001/telemetry", wire.TelemetryTopic("device_001"))
	require.Equal(t, "gateways.gw-a.status", wire.StatusSubject("gw-a"))
	require.Equal(t, "live.gw-a", wire.LiveSubject("gw-a"))
	require.Equal(t, "alerts.high", wire.AlertSubject(telemetry.SeverityHigh))
	require.Equal(t, "PACKS_gw-a", wire.PackStream("gw-a"))
	require.Equal(t, "packs.gw-a", wire.PackSubject("gw-a"))
	require.Equal(t, "gw-a", wire.Domain("gw-a"))
}

func TestDeviceOfSubject(t *testing.T) {
	tests := []struct {
		name string
		sep  byte
		want string
	}{
		{"devices.device_001.telemetry", '.', "device_001"},
		{"devices/device_001/telemetry", '/', "device_001"},
		{"devices/a.b/telemetry", '/', "a.b"},
		{"devices..telemetry", '.', ""},
		{"devices.telemetry", '.', ""},
		{"devices.a.b.telemetry", '.', ""},
		{"devices.a.status", '.', ""},
		{"things.a.telemetry", '.', ""},
		{"devices.a.telemetry", '/', ""},
		{"devices.a.telemetryx", '.', ""},
		{"", '.', ""},
	}
	for _, tt := range tests {
		got, ok := wire.DeviceOfSubject(tt.name, tt.sep)
		require.Equal(t, tt.want, got, tt.name)
		require.Equal(t, tt.want != "", ok, tt.name)
	}
}

// TestTopicsOfTheContract holds the public topic names and variables still.
func TestTopicsOfTheContract(t *testing.T) {
	want := map[string]string{
		"KAFKA_TOPIC_DEVICE_DATA": "device-data", "KAFKA_TOPIC_ALERTS": "alerts", "KAFKA_TOPIC_DEAD_LETTERS": "device-data-dlq",
		"KAFKA_TOPIC_CHECKPOINTS": "bridge-checkpoints", "KAFKA_TOPIC_ALARM_COMMANDS": "alarm-commands",
		"KAFKA_TOPIC_ALARM_AUDIT": "alarm-audit",
		"KAFKA_TOPIC_ALARM_STATE": "alarm-state", "KAFKA_TOPIC_DEVICE_STATE": "device-state",
	}
	got := map[string]string{}
	for field := range reflect.TypeFor[wire.Topics]().Fields() {
		got[field.Tag.Get("env")] = field.Tag.Get("envDefault")
		require.NotEmpty(t, field.Tag.Get("help"))
	}
	require.Equal(t, want, got)
}
