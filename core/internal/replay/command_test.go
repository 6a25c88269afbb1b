package replay

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
)

func TestTimesOfADryRun(t *testing.T) {
	c := &Command{Now: time.UnixMilli(t0)}
	tests := []struct {
		from, to   string
		first, end int64
		wrong      string
	}{
		{from: "1h", first: t0 - 3_600_000},
		{from: "0s", first: t0},
		{from: "2h", to: "90m", first: t0 - 7_200_000, end: t0 - 5_400_000},
		{from: "1699999999000", to: "2023-11-14T22:13:20Z", first: t0 - 1000, end: t0},
		{from: "-1h", wrong: "-from"},
		{from: "yesterday", wrong: "-from"},
		{from: "1h", to: "soon", wrong: "-to"},
		{from: "1h", to: "1h", wrong: "-to: want a time after -from"},
	}
	for _, tt := range tests {
		first, end, err := c.times(tt.from, tt.to)
		if tt.wrong != "" {
			require.ErrorContains(t, err, tt.wrong)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.first, first, tt.from)
		require.Equal(t, tt.end, end, tt.to)
	}
}

func TestReportOfADryRun(t *testing.T) {
	var out bytes.Buffer
	c := &Command{Out: &out}
	cleared := telemetry.Alert{DeviceID: "d1", AlertType: "hot", Severity: "high", Rule: "hot", PeakValue: 91, Status: telemetry.AlertCleared, ClearedAt: t0 + 2500}
	active := telemetry.Alert{DeviceID: "d2", AlertType: "hot", Severity: "high", Rule: "hot", PeakValue: 92, Status: telemetry.AlertActive, Historical: true}
	r := &Result{
		Sensors:  map[string]bool{"temperature": true},
		Readings: 7, Refused: 1, Devices: 2, Incomplete: "partition 3: why",
		Raised: []*Occurrence{{Alert: cleared, Start: t0}, {Alert: active, Start: t0 + 1000}, {Alert: active, Start: t0 + 2000}},
	}
	set := alarm.RuleSet{Rules: []alarm.Rule{{
		ID: "cold", If: alarm.Condition{Kind: alarm.Low, Parameter: "temprature"}, Other: &alarm.Condition{Kind: alarm.BatteryLow},
	}, hot(80), {ID: "off", Disabled: true, If: alarm.Condition{Kind: alarm.High, Parameter: "off"}}}}
	c.print(r, set, 2)
	require.Equal(t, `RAISED                    DEVICE  ALARM  SEVERITY  RULE  PEAK  LASTED
2023-11-14T22:13:20.000Z  d1      hot    high      hot   91    2.5s
2023-11-14T22:13:21.000Z  d2      hot    high      hot   92    active, historical
… and 1 more, see -rows

RULE  ALARMS  DEVICES  ACTIVE  HISTORICAL
hot   3       2        2       2
cold  0       0        0       0

7 readings of 2 devices, 1 refused records, 3 alarms
rule cold: no reading has temprature
incomplete: partition 3: why
`, out.String())
}

func TestCommandReportsWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte("rules:\n  - id: hot\n    kind: high\n    parameter: temperature\n    limit: 30\n"), 0o600))
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		c := &Command{Out: &out, Err: &errs, Now: time.UnixMilli(t0)}
		code := c.Run(t.Context(), args)
		return code, out.String() + errs.String()
	}
	code, text := run("check", "-rules", file)
	require.Equal(t, exitOK, code)
	require.Contains(t, text, "is valid: 1 rules")
	for _, tt := range []struct {
		args []string
		code int
		text string
	}{
		{nil, exitUsage, "usage: core rules check"},
		{[]string{"tset"}, exitUsage, "usage: core rules check"},
		{[]string{"test", "-h"}, exitOK, "usage: core rules check"},
		{[]string{"check"}, exitUsage, "-rules: want a file"},
		{[]string{"check", "-rules", file + "x"}, exitUsage, "-rules: "},
		{[]string{"test", "-rules", file, "-from", "x"}, exitUsage, "-from"},
	} {
		code, text := run(tt.args...)
		require.Equal(t, tt.code, code, "%v", tt.args)
		require.Contains(t, text, tt.text)
	}
}
