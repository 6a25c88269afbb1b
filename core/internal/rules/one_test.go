package rules

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/yamldoc"
)

func TestLoadOneNamesTheLinesOfTheText(t *testing.T) {
	t.Parallel()
	const entry = "- id: hot\n  kind: high\n  parameter: temperature\n  limit: 75\n"
	for _, text := range []string{entry, "rules:\n" + entry, "\n" + entry} {
		r, err := LoadOne([]byte(text), sensors.Default())
		require.NoError(t, err)
		require.InDelta(t, 75, r.If.Limit, 0)
		again, err := LoadOne([]byte(Format(r)), sensors.Default())
		require.NoError(t, err)
		require.Equal(t, r.Version(), again.Version())
	}
	for text, want := range map[string]yamldoc.Problem{
		"- id: hot\n  kind: high\n  parameter: temperature\n  limit: warm\n":                 {Line: 4, Field: "rules[0].limit"},
		"rules:\n- id: hot\n  kind: high\n  parameter: temperature\n  limit: warm\n":         {Line: 5, Field: "rules[0].limit"},
		entry + entry[:2] + "id: other\n  kind: low\n  parameter: temperature\n  limit: 1\n": {},
	} {
		_, err := LoadOne([]byte(text), sensors.Default())
		var wrong *yamldoc.Error
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, want.Line, wrong.Problems[0].Line, text)
		require.Equal(t, want.Field, wrong.Problems[0].Field, text)
	}
}
