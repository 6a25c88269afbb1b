package processor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/core/internal/intake"
	"industrial-iot-monitor/internal/telemetry"
)

func TestSettingsAreRefusedBeyondTheirBounds(t *testing.T) {
	tests := []struct {
		variable string
		change   func(*Config)
		ok       bool
	}{
		{"ALERT_TEMPERATURE_HIGH", func(c *Config) { c.TemperatureHigh = math.Inf(1) }, false},
		{"ALERT_TEMPERATURE_LOW", func(c *Config) { c.TemperatureLow = math.NaN() }, false},
		{"ALERT_HUMIDITY_HIGH", func(c *Config) { c.HumidityHigh = math.Inf(-1) }, false},
		{"ALERT_CURRENT_HIGH", func(c *Config) { c.CurrentHigh = math.NaN() }, false},
		{"ALERT_TEMPERATURE_LOW", func(c *Config) { c.TemperatureLow = c.TemperatureHigh }, false},
		{"ALERT_TEMPERATURE_LOW", func(c *Config) { c.TemperatureLow = c.TemperatureHigh - 0.1 }, true},
		{"ALERT_DEADBAND", func(c *Config) { c.Deadband = math.NaN() }, false},
		{"ALERT_DEADBAND", func(c *Config) { c.Deadband = -0.1 }, false},
		{"ALERT_DEADBAND", func(c *Config) { c.Deadband = 0 }, true},
		{"ALERT_DEADBAND", func(c *Config) { c.Deadband = 40 }, true},
		{"ALERT_DEADBAND", func(c *Config) { c.Deadband = 40.1 }, false},
		{"ALERT_MAX_DELAY", func(c *Config) { c.AlertMaxDelay = 0 }, false},
		{"ALERT_MAX_DELAY", func(c *Config) { c.AlertMaxDelay = 1 }, true},
		{"CORE_GATEWAY_SILENCE", func(c *Config) { c.GatewaySilence = 5*time.Second - 1 }, false},
		{"CORE_GATEWAY_SILENCE", func(c *Config) { c.GatewaySilence = 5 * time.Second }, true},
		{"CORE_GATEWAY_SILENCE", func(c *Config) { c.GatewaySilence = time.Hour }, true},
		{"CORE_GATEWAY_SILENCE", func(c *Config) { c.GatewaySilence = time.Hour + 1 }, false},
		{"CORE_BUFFER_HORIZON", func(c *Config) { c.BufferHorizon = 0 }, true},
		{"CORE_BUFFER_HORIZON", func(c *Config) { c.BufferHorizon = -1 }, false},
		{"CORE_COMMIT_MAX", func(c *Config) { c.CommitMin, c.CommitMax = 0, time.Millisecond-1 }, false},
		{"CORE_COMMIT_MAX", func(c *Config) { c.CommitMin, c.CommitMax = 0, time.Millisecond }, true},
		{"CORE_COMMIT_MAX", func(c *Config) { c.CommitMax = 10 * time.Second }, true},
		{"CORE_COMMIT_MAX", func(c *Config) { c.CommitMax = 10*time.Second + 1 }, false},
		{"CORE_COMMIT_MIN", func(c *Config) { c.CommitMin = -1 }, false},
		{"CORE_COMMIT_MIN", func(c *Config) { c.CommitMin = c.CommitMax }, true},
		{"CORE_COMMIT_MIN", func(c *Config) { c.CommitMin = c.CommitMax + 1 }, false},
		{"CORE_STATE_REFRESH", func(c *Config) { c.StateRefresh = time.Second }, true},
		{"CORE_STATE_REFRESH", func(c *Config) { c.StateRefresh = time.Second - 1 }, false},
		{"CORE_TXN_PREFIX", func(c *Config) { c.TxnPrefix = "" }, false},
		{"KAFKA_GROUP_ID", func(c *Config) { c.GroupID = "" }, false},
		{"KAFKA_BROKERS", func(c *Config) { c.Brokers = nil }, false},
		{"KAFKA_TOPIC_ALARM_STATE", func(c *Config) { c.AlarmState = "" }, false},
		{"DETECT_MODE", func(c *Config) { c.DetectMode = "loud" }, false},
		{"DETECT_MODE", func(c *Config) { c.DetectMode = "on" }, true},
		{"DETECT_SETTLE", func(c *Config) { c.DetectSettle = time.Minute - 1 }, false},
		{"ANOMALY_BUDGET", func(c *Config) { c.AnomalyBudget = math.NaN() }, false},
		{"ANOMALY_BUDGET", func(c *Config) { c.AnomalyBudget = 0 }, true},
		{"HUB_URL", func(c *Config) { c.HubURL = "" }, false},
		{"HUB_URL", func(*Config) {}, true},
	}
	defaults := defaultConfig(t)
	for _, tt := range tests {
		cfg := defaults
		tt.change(&cfg)
		if err := cfg.Check(); tt.ok {
			require.NoError(t, err, tt.variable)
		} else {
			require.ErrorContains(t, err, tt.variable)
			_, err = New(Options{Config: cfg, Log: discardLog()})
			require.ErrorContains(t, err, tt.variable)
		}
	}
	_, err := New(Options{Config: defaults})
	require.ErrorContains(t, err, "Log")
}

func TestVariablesMakeRulesAndRanges(t *testing.T) {
	cfg := defaultConfig(t)
	cfg.TemperatureLow, cfg.TemperatureHigh, cfg.HumidityHigh, cfg.CurrentHigh, cfg.Deadband = -20, 80, 90, -10, 2
	deadbands := map[string]float64{"temperature_high": 2, "temperature_low": 2, "humidity_high": 1.8, "current_high": 0.2}
	limits := map[string]float64{"temperature_high": 80, "temperature_low": -20, "humidity_high": 90, "current_high": -10}
	rules := cfg.builtIn()
	require.Len(t, rules.Rules, 4)
	require.Equal(t, 5*time.Minute, rules.MaxWait)
	for _, r := range rules.Rules {
		require.InDelta(t, deadbands[r.ID], r.If.Deadband, 1e-9, r.ID)
		require.InDelta(t, limits[r.ID], r.If.Limit, 0, r.ID)
		require.Equal(t, r.ID == "temperature_low", r.If.Kind == alarm.Low, r.ID)
	}
	got := cfg.limits()
	require.Equal(t, intake.Range{Low: -20, High: 80, Unit: "°C"}, got[telemetry.Temperature])
	require.Equal(t, intake.Range{Low: math.Inf(-1), High: 90, Unit: "%"}, got[telemetry.Humidity])
	require.Equal(t, intake.Range{Low: math.Inf(-1), High: -10, Unit: "A"}, got[telemetry.Current])
	require.NotContains(t, got, telemetry.Pressure)
}
