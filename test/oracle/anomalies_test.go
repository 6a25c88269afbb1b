package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestAnomalyVerdict(t *testing.T) {
	t.Parallel()
	record := func(event telemetry.AlarmEvent, at int64) telemetry.Alert {
		return telemetry.Alert{
			AlertID: "a", DeviceID: "d", AlertType: "anomaly_flow", Source: telemetry.SourceAnomaly, Event: event, Timestamp: at,
			Anomaly: &telemetry.Anomaly{Score: 0.75},
		}
	}
	raised, cleared := record(telemetry.EventRaised, 1), record(telemetry.EventCleared, 2)
	again, accepted := record(telemetry.EventRepeated, 3), record(telemetry.EventNotAnomaly, 4)
	graver, suppressed, other := raised, record(telemetry.EventSuppressed, 1), raised
	graver.Anomaly = &telemetry.Anomaly{Score: 0.8}
	other.Source = telemetry.SourceRule
	late := raised
	late.DetectedAt = 99
	all := []telemetry.Alert{raised, cleared, again, accepted}
	for name, c := range map[string]struct {
		got, want                 []telemetry.Alert
		lost, surplus, outOfOrder int
		err                       string
	}{
		"equal":                     {got: all, want: all},
		"noticed later":             {got: []telemetry.Alert{late, cleared, again, accepted}, want: all},
		"suppressed by the clock":   {got: append([]telemetry.Alert{suppressed}, all...), want: all},
		"of rules":                  {got: append([]telemetry.Alert{other}, all...), want: all},
		"one lost":                  {got: []telemetry.Alert{raised, cleared, accepted}, want: all, lost: 1, err: "anomaly_flow repeated at 3 lost"},
		"the one by a command lost": {got: all[:3], want: all, lost: 1, err: "anomaly_flow not_anomaly at 4 lost"},
		"one twice":                 {got: append([]telemetry.Alert{raised}, all...), want: all, surplus: 1, err: "anomaly_flow raised at 1 doubled"},
		"none expected":             {got: all, surplus: 4, err: "doubled"},
		"other figures":             {got: []telemetry.Alert{graver, cleared}, want: []telemetry.Alert{raised, cleared}, lost: 1, surplus: 1, err: "lost"},
		"out of order":              {got: []telemetry.Alert{cleared, raised}, want: []telemetry.Alert{raised, cleared}, outOfOrder: 1, err: "d: out of order"},
		"none":                      {err: "nothing was checked"},
		"none cleared":              {got: all[:1], want: all[:1], err: "nothing was checked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := NewAnomalies()
			for i := range c.got {
				a.Got(&c.got[i])
			}
			for i := range c.want {
				a.Want(&c.want[i])
			}
			v := a.Verdict(func(device string) bool { return device == "x" })
			require.Equal(t, []int{c.lost, c.surplus, c.outOfOrder}, []int{v.Lost, v.Surplus, v.OutOfOrder})
			if c.err != "" {
				require.ErrorContains(t, v.Err(), c.err)
				return
			}
			require.NoError(t, v.Err())
			require.Equal(t, []int{2, 1, 1}, []int{v.Raised, v.Cleared, v.Accepted})
			none := a.Verdict(func(string) bool { return true })
			require.ErrorContains(t, none.Err(), "nothing was checked")
		})
	}
}
