package alarm

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// upgradeRules are the rules under which the state was written.
func upgradeRules() []Rule {
	return []Rule{
		{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, Severity: telemetry.SeverityHigh},
		{ID: "temperature_high_high", If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 90, Deadband: 1}, OnDelay: 7 * time.Second, OffDelay: 5 * time.Second},
		{ID: "temperature_low", If: Condition{Kind: Low, Parameter: temperature, Limit: 60}, OnDelay: 4 * time.Second},
		{ID: "temperature_rate", If: Condition{Kind: Rate, Parameter: temperature, Limit: 20, Deadband: 5, Window: 20 * time.Second}, OffDelay: 3 * time.Second},
		{ID: "current_stuck", If: Condition{Kind: Stuck, Parameter: current, For: 12 * time.Second}},
		{ID: "current_high", If: Condition{Kind: High, Parameter: current, Limit: 10}, OffDelay: 2 * time.Second},
		{ID: "temperature_deviation", If: Condition{Kind: Deviation, Parameter: temperature, Limit: 10, Deadband: 3}},
		{ID: "battery_low", If: Condition{Kind: BatteryLow, Limit: 20, Deadband: 10}},
		{ID: "signal_weak", If: Condition{Kind: SignalWeak, Limit: -80}, OnDelay: 3 * time.Second},
		{ID: "switch_off", If: Condition{Kind: SwitchIs}, OnDelay: 6 * time.Second},
		{
			ID: "hot_and_humid", If: Condition{Kind: High, Parameter: temperature, Limit: 75, Deadband: 5}, Combine: And,
			Other: &Condition{Kind: High, Parameter: humidity, Limit: 50, Deadband: 5}, OnDelay: time.Second,
		},
		{
			ID: "hot_or_off", If: Condition{Kind: High, Parameter: temperature, Limit: 85}, Combine: Or,
			Other: &Condition{Kind: SwitchIs}, OffDelay: 4 * time.Second,
		},
		{ID: "device_offline", If: Condition{Kind: Offline}, OnDelay: 2 * time.Second},
	}
}

// upgradeInput is reading i of a device that breaks rules of every kind.
func upgradeInput(i int) Input {
	ts := t0 + int64(i)*3000
	in := at(ts, 70+float64(i*37%45)-10)
	in.Partition, in.Offset = 3, int64(i)
	s := &in.Reading.Sensors
	s.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: 40 + float64(i*11%30), Unit: "%"})
	s.Set(telemetry.Sensor{Name: telemetry.Pressure, Number: 1013 + float64(i/9), Unit: "hPa"})
	s.Set(telemetry.Sensor{Name: telemetry.Current, Number: 9.5 + float64(i/5%3), Unit: "A"})
	s.Set(telemetry.Switch(telemetry.SwitchStatus, i/7%2 == 0))
	in.Reading.Info = telemetry.DeviceInfo{Model: "M", Battery: telemetry.Some(10 + float64(i*13%60)), SignalStrength: telemetry.Some(-70 - float64(i*7%30))}
	in.Room = &RoomView{{temperature, RoomValue{Count: 3, Mean: 70, Median: 70}}}
	return in
}

// TestUpgradeLosesAndDoublesNoAlarm restores the state that the version with five sensors
// wrote: the changes of the alarms are those that it would have made.
func TestUpgradeLosesAndDoublesNoAlarm(t *testing.T) {
	data, err := os.ReadFile("testdata/upgrade_state.json")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/upgrade_journal.txt")
	require.NoError(t, err)
	s, err := DecodeState(data)
	require.NoError(t, err)
	rs := compile(t, upgradeRules()...)
	require.Positive(t, s.Open())
	again, out := play(rs, s, upgradeInput(98), upgradeInput(99))
	require.Empty(t, out, "they were judged before")
	require.Equal(t, s.Open(), again.Open())
	var journal []Transition
	for i := 100; i < 130; i++ {
		s, journal, _ = rs.Step(s, upgradeInput(i), journal)
	}
	var got strings.Builder
	for i := range journal {
		a := &journal[i].Alert
		fmt.Fprintf(&got, "%d %s %s %s rev %d ×%d peak %g: %s\n", (a.Timestamp-t0)/1000, a.AlertType, a.Event, a.AlertID, a.Revision, a.OccurrenceCount, a.PeakValue, a.Message)
	}
	require.Equal(t, string(want), got.String())
}

// TestFormerVersionReadsContractSensors: during an upgrade a member of the former version may
// take over a partition. It knows the time of a signal by its place in "last".
func TestFormerVersionReadsContractSensors(t *testing.T) {
	all := compile(t, append(ten(), Rule{ID: "pressure_low", If: Condition{Kind: Low, Parameter: telemetry.Pressure, Limit: 900}})...)
	s, _ := play(all, State{}, full(t0))
	var former struct {
		Last  []int64 `json:"last"`
		Still []struct {
			Signal string `json:"signal"`
		} `json:"still"`
		Sensors map[string]int64 `json:"sensors"`
	}
	require.NoError(t, json.Unmarshal(encode(t, s), &former))
	require.Equal(t, []int64{t0, t0, t0, t0, t0, t0, t0}, former.Last)
	require.Equal(t, "temperature", former.Still[0].Signal)
	require.Empty(t, former.Sensors)
}
