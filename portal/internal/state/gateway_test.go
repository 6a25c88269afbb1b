package state

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestGatewayMetrics(t *testing.T) {
	m, c := newModel(Options{})
	m.ApplyHeartbeat(wire.GatewayStatus{Gateway: "gw-a", BufferBytes: 25, BufferLimit: 100, HorizonSeconds: 60})
	m.ApplyLedger(wire.GatewayLedger{Gateway: "gw-b"})
	c.ms += 3000
	got := gathered(t, m)
	for name, want := range map[string]float64{
		"portal_gateway_buffer_horizon_seconds gw-a": 60, "portal_gateway_buffer_used_ratio gw-a": 0.25,
		"portal_gateway_heartbeat_age_seconds gw-a": 3, "portal_gateway_ledger_age_seconds gw-b": 3,
	} {
		require.Contains(t, got, name)
		require.InDelta(t, want, got[name], 1e-9, name)
	}
	require.NotContains(t, got, "portal_gateway_heartbeat_age_seconds gw-b")
	require.NotContains(t, got, "portal_gateway_ledger_age_seconds gw-a")
	require.Zero(t, Gateway{}.BufferUsed(), "without a limit")
}

func TestGatewayIsSilentAfterFiveSeconds(t *testing.T) {
	m, c := newModel(Options{})
	m.ApplyHeartbeat(wire.GatewayStatus{Gateway: "gw-a"})
	c.ms += GatewaySilentAfter
	require.False(t, m.Gateways()[0].Silent(c.ms))
	require.Zero(t, m.Stats().Silent)
	c.ms++
	require.True(t, m.Gateways()[0].Silent(c.ms))
	require.Equal(t, 1, m.Stats().Silent)
}

func TestRankOrdersSeverities(t *testing.T) {
	for i, s := range []telemetry.Severity{telemetry.SeverityCritical, telemetry.SeverityHigh, telemetry.SeverityMedium, telemetry.SeverityLow, "other"} {
		require.Equal(t, i, Rank(s))
	}
}

func TestAttentionCountsOpenAlarmsAndTheirWorst(t *testing.T) {
	m, _ := newModel(Options{})
	for i, s := range []telemetry.Severity{telemetry.SeverityLow, telemetry.SeverityCritical, telemetry.SeverityHigh} {
		m.ApplyAlert(&Alert{Alert: telemetry.Alert{
			AlertID: string(s), DeviceID: "d", Severity: s, State: telemetry.AlarmUnacknowledged, Status: telemetry.AlertActive, Revision: 1, Timestamp: int64(i),
		}}, true)
	}
	m.View(func() {
		n, worst := m.Attention("d")
		require.Equal(t, 3, n)
		require.Equal(t, telemetry.SeverityCritical, worst)
		n, worst = m.Attention("other")
		require.Zero(t, n)
		require.Empty(t, worst)
	})
}
