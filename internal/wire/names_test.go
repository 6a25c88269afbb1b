package wire_test

import (
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

func TestSenderOfSubject(t *testing.T) {
	for name, want := range map[string]wire.Sender{
		"devices.a.telemetry":         {ID: "a"},
		"concentrators.a.telemetry":   {ID: "a", Concentrator: true},
		"concentrators..telemetry":    {},
		"concentrators.a.b.telemetry": {},
		"concentrators.a.status":      {},
	} {
		got, ok := wire.SenderOfSubject(name, '.')
		require.Equal(t, want, got, name)
		require.Equal(t, want.ID != "", ok, name)
	}
	_, ok := wire.DeviceOfSubject("concentrators/a/telemetry", '/')
	require.False(t, ok)
	require.Equal(t, "concentrators.c.telemetry", wire.ConcentratorSubject("c"))
	require.Equal(t, "concentrators/c/telemetry", wire.ConcentratorTopic("c"))
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
