package processor

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/wire"
)

func TestRulesAreListedWithWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte("rules:\n- id: temperature_high\n  kind: high\n  parameter: temperature\n  unit: \"°F\"\n  limit: 167\n  where:\n    building: B栋\n"+
		"- id: humidity_high\n  disabled: true\n"), 0o600))
	c := defaultConfig(t)
	f, err := newRuleFile(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), file, c.builtIn(), sensors.Default)
	require.NoError(t, err)
	p := &Processor{rules: f}
	data, err := json.Marshal(wire.RulesRequest{Devices: []wire.RuleDevice{{ID: "d1", Building: "A栋"}, {ID: "d2", Building: "B栋"}}})
	require.NoError(t, err)
	a := p.rulesAnswer(data)
	require.Empty(t, a.Error)
	require.Equal(t, f.load().version, a.Version)
	by := make(map[string]wire.Rule)
	for _, r := range a.Rules {
		by[r.ID] = r
	}
	hot := by["temperature_high"]
	require.Equal(t, wire.RuleInFile, hot.Source)
	require.Equal(t, 1, hot.Devices)
	require.InDelta(t, 75, *hot.Limit, 1e-9)
	require.Contains(t, hot.Text, "limit: 167")
	require.NotEmpty(t, hot.Version)
	require.Equal(t, wire.RuleBuiltIn, by["temperature_low"].Source)
	require.Equal(t, 2, by["temperature_low"].Devices)
	require.True(t, a.Rules[len(a.Rules)-1].Disabled)
	require.Equal(t, "humidity_high", a.Rules[len(a.Rules)-1].ID)
	require.NotEmpty(t, p.rulesAnswer([]byte("nonsense")).Error)
	require.Len(t, p.rulesAnswer(nil).Rules, len(a.Rules))
}
