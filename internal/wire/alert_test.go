package wire_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestAlertGolden(t *testing.T) {
	active := telemetry.Alert{
		AlertID: "a-1", DeviceID: "device_001", AlertType: "temperature_high", Severity: telemetry.SeverityHigh,
		Message: "temperature 85.2 °C is above 80", Timestamp: 1640995200000, Status: telemetry.AlertActive,
		Threshold:    telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 80},
		CurrentValue: 85.2, RaisedAt: 1640995200000, PeakValue: 85.2,
		Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}, Gateway: "gw-a",
	}
	cleared := active
	cleared.Status, cleared.Timestamp, cleared.ClearedAt = telemetry.AlertCleared, 1640995260000, 1640995260000
	cleared.Message, cleared.CurrentValue = "temperature is back at 75 °C", 75
	for name, alert := range map[string]telemetry.Alert{"alert_active.golden": active, "alert_cleared.golden": cleared} {
		raw, err := wire.EncodeAlert(&alert)
		require.NoError(t, err)
		golden(t, name, raw)
		back, err := wire.DecodeAlert(raw)
		require.NoError(t, err)
		require.Equal(t, alert, back)
	}
	active.PeakValue = math.NaN()
	_, err := wire.EncodeAlert(&active)
	require.Error(t, err)
	_, err = wire.DecodeAlert([]byte("{"))
	require.Error(t, err)
}
