package oracle

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
)

func TestAlarmVerdict(t *testing.T) {
	label := fleet.Label{Device: "d", Type: "temperature_high", Onset: 90, Start: 100, End: 200, Recovery: 210}
	record := func(revision int64, event telemetry.AlarmEvent, at int64) telemetry.Alert {
		return telemetry.Alert{AlertID: "a", DeviceID: "d", AlertType: "temperature_high", Source: telemetry.SourceRule, Revision: revision, Event: event, Timestamp: at}
	}
	watchdog := record(1, telemetry.EventRaised, 500)
	watchdog.Source = telemetry.SourceWatchdog
	raised, cleared, cleared4 := record(1, telemetry.EventRaised, 100), record(2, telemetry.EventCleared, 205), record(4, telemetry.EventCleared, 205)
	for name, c := range map[string]struct {
		readings []int64
		alerts   []telemetry.Alert
		since    int64
		want     string // "" for none
	}{
		"raised and cleared":           {[]int64{150}, []telemetry.Alert{raised, cleared}, 0, ""},
		"acknowledged in between":      {[]int64{150}, []telemetry.Alert{raised, record(2, telemetry.EventAcknowledged, 120), record(3, telemetry.EventCleared, 205)}, 0, ""},
		"ended by an operator":         {[]int64{150}, []telemetry.Alert{raised, record(2, telemetry.EventNotAnomaly, 120), record(3, telemetry.EventRepeated, 130), cleared4}, 0, ""},
		"repeated":                     {[]int64{150}, []telemetry.Alert{raised, record(2, telemetry.EventCleared, 150), record(3, telemetry.EventRepeated, 160)}, 0, ""},
		"earlier alarm":                {[]int64{150}, []telemetry.Alert{record(1, telemetry.EventRaised, 10), record(2, telemetry.EventCleared, 20), record(3, telemetry.EventRepeated, 100)}, 90, ""},
		"still active":                 {[]int64{150}, []telemetry.Alert{raised}, 0, ""},
		"raised with the last reading": {[]int64{150}, []telemetry.Alert{record(1, telemetry.EventRaised, 200)}, 0, ""},
		"cleared with the first":       {[]int64{150}, []telemetry.Alert{record(1, telemetry.EventRaised, 90), record(2, telemetry.EventCleared, 100)}, 0, ""},
		"raised again on the way back": {[]int64{150}, []telemetry.Alert{raised, record(2, telemetry.EventCleared, 205), record(3, telemetry.EventRepeated, 210)}, 0, ""},
		"missing":                      {[]int64{150}, nil, 0, "no temperature_high of d from 100 to 200"},
		"cleared before the fault":     {[]int64{150}, []telemetry.Alert{record(1, telemetry.EventRaised, 91), record(2, telemetry.EventCleared, 95)}, 0, "no temperature_high of d"},
		"record twice":                 {[]int64{150}, []telemetry.Alert{raised, cleared, cleared}, 0, "revision 2 (cleared), expected 3"},
		"record missing":               {[]int64{150}, []telemetry.Alert{raised, record(3, telemetry.EventCleared, 205)}, 0, "revision 3 (cleared), expected 2"},
		"raised twice":                 {[]int64{150}, []telemetry.Alert{raised, record(2, telemetry.EventRaised, 110)}, 0, "raised twice"},
		"cleared without being raised": {[]int64{150}, []telemetry.Alert{record(1, telemetry.EventCleared, 205)}, 0, "without being raised"},
		"without a fault":              {[]int64{150}, []telemetry.Alert{raised, cleared, record(3, telemetry.EventRepeated, 300)}, 0, "raised at 300 without a fault"},
		"watchdogs need no fault":      {[]int64{150}, []telemetry.Alert{watchdog}, 0, "no temperature_high of d"},
		"no reading of the fault":      {[]int64{99, 201}, nil, 0, "nothing was checked"},
	} {
		t.Run(name, func(t *testing.T) {
			a := NewAlarms()
			for _, ts := range c.readings {
				a.Reading("d", ts)
			}
			for i := range c.alerts {
				a.Alert(&c.alerts[i])
			}
			v := a.Verdict([]fleet.Label{label}, c.since)
			require.Equal(t, len(c.alerts), v.Records)
			if c.want == "" {
				require.NoError(t, v.Err())
				require.Equal(t, 1, v.Faults)
				return
			}
			require.ErrorContains(t, v.Err(), c.want)
		})
	}
}
