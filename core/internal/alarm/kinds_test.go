package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestKinds: for each kind of condition, the values that raise and clear it, and the
// messages.
func TestKinds(t *testing.T) {
	type message struct {
		event  telemetry.AlarmEvent
		second int64
		text   string
	}
	const raised, cleared = telemetry.EventRaised, telemetry.EventCleared
	room := func(count int, mean, median float64) func(*Input, float64) {
		return func(in *Input, v float64) {
			in.Reading.Sensors.Find(telemetry.Temperature).Number = v
			in.Room = &RoomView{{temperature, RoomValue{Count: count, Mean: mean, Median: median}}}
		}
	}
	tests := []struct {
		name   string
		rule   Rule
		set    func(in *Input, v float64) // nil: v is the temperature
		step   int64                      // seconds between two values; 0: 1
		values []float64
		want   []message
	}{
		{"high", Rule{If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}}, nil, 0, []float64{80, 81, 79, 78}, []message{
			{raised, 1, "temperature 81 °C is above 80 °C"}, {cleared, 3, "temperature 78 °C is back below 80 °C, peak 81 °C"},
		}},
		{"high high", Rule{If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 95}}, nil, 0, []float64{95, 96, 95}, []message{
			{raised, 1, "temperature 96 °C is above 95 °C"}, {cleared, 2, "temperature 95 °C is back below 95 °C, peak 96 °C"},
		}},
		{"low", Rule{If: Condition{Kind: Low, Parameter: temperature, Limit: 5, Deadband: 1}}, nil, 0, []float64{5, 4.5, 3, 5.5, 6}, []message{
			{raised, 1, "temperature 4.5 °C is below 5 °C"}, {cleared, 4, "temperature 6 °C is back above 5 °C, peak 3 °C"},
		}},
		{"low low", Rule{If: Condition{Kind: LowLow, Parameter: temperature, Limit: -5}}, nil, 0, []float64{-5, -6, -5}, []message{
			{raised, 1, "temperature -6 °C is below -5 °C"}, {cleared, 2, "temperature -5 °C is back above -5 °C, peak -6 °C"},
		}},
		{"rate", Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 6, Deadband: 3, Window: time.Minute}}, nil, 10, []float64{20, 20, 20, 20, 22, 26, 30, 30, 30, 30, 30, 30, 30}, []message{
			{raised, 50, "temperature changes by 7.2 °C/min, limit 6 °C/min"},
			{cleared, 110, "temperature changes by 0 °C/min, back within 6 °C/min, peak 12 °C/min"},
		}},
		{"rate down", Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 1, Per: time.Second, Window: 4 * time.Second, Direction: Down}}, nil, 0, []float64{20, 30, 40, 50, 60, 60, 60, 40}, []message{
			{raised, 7, "temperature changes by -2.5 °C/s, limit 1 °C/s"},
		}},
		{"rate up does not mind down", Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 1, Window: 4 * time.Second, Direction: Up}}, nil, 0, []float64{90, 80, 70, 60, 50, 40}, nil},
		{"rate of two readings is unknown", Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 1, Window: time.Minute}}, nil, 0, []float64{20, 80}, nil},
		{"rate over a gap is unknown", Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 1, Window: time.Minute}}, nil, 300, []float64{20, 80, 20}, nil},
		{"stuck", Rule{If: Condition{Kind: Stuck, Parameter: temperature, For: 20 * time.Second}}, nil, 5, []float64{20, 21, 21, 21, 21, 21, 21, 20.5}, []message{
			{raised, 25, "temperature has stayed at 21 °C for 20s"}, {cleared, 35, "temperature moves again: 20.5 °C"},
		}},
		{"stuck needs readings", Rule{If: Condition{Kind: Stuck, Parameter: temperature, For: 20 * time.Second}}, nil, 10, []float64{21, 21, 21, 21, 21}, nil},
		{"deviation from the median", Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 5, Deadband: 1}}, room(2, 90, 20), 0, []float64{25, 26, 24.5, 24, 14.5}, []message{
			{raised, 1, "temperature 26 °C is 6 °C above the room's, limit 5 °C"},
			{cleared, 3, "temperature is 4 °C from the room's, back within 5 °C, peak 6 °C"},
			{telemetry.EventRepeated, 4, "temperature 14.5 °C is 5.5 °C below the room's, limit 5 °C"},
		}},
		{"deviation from the mean", Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 5, Mean: true}}, room(2, 90, 20), 0, []float64{85, 84}, []message{
			{raised, 1, "temperature 84 °C is 6 °C below the room's, limit 5 °C"},
		}},
		{"deviation from too few", Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 5}}, room(1, 20, 20), 0, []float64{99}, nil},
		{"deviation in an empty room", Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 5}}, nil, 0, []float64{99}, nil},
		{"switch", Rule{If: Condition{Kind: SwitchIs, On: true}}, func(in *Input, v float64) {
			in.Reading.Sensors.Set(telemetry.Switch(telemetry.SwitchStatus, v > 0))
		}, 0, []float64{0, 1, 1, 0}, []message{{raised, 1, "switch is on"}, {cleared, 3, "switch is off again"}}},
		{"switch that is not reported", Rule{If: Condition{Kind: SwitchIs, On: false}}, nil, 0, []float64{1, 2}, nil},
		{"battery", Rule{If: Condition{Kind: BatteryLow, Limit: 15, Deadband: 5}}, func(in *Input, v float64) { in.Reading.Info.Battery = telemetry.Some(v) }, 0, []float64{0, 15, 14, 0, 19, 100}, []message{
			{raised, 2, "battery 14 % is below 15 %"}, {cleared, 5, "battery 100 % is back above 15 %, peak 14 %"},
		}},
		{"signal", Rule{If: Condition{Kind: SignalWeak, Limit: -85}}, func(in *Input, v float64) { in.Reading.Info.SignalStrength = telemetry.Some(v) }, 0, []float64{-60, -86, -85, 0}, []message{
			{raised, 1, "signal strength -86 dBm is below -85 dBm"}, {cleared, 2, "signal strength -85 dBm is back above -85 dBm, peak -86 dBm"},
		}},
		{"offline is not judged by readings", Rule{If: Condition{Kind: Offline}}, nil, 0, []float64{1, 2}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.ID = "x"
			rs := compile(t, tt.rule)
			var s State
			var got []message
			for i, v := range tt.values {
				in := at(t0+int64(i)*max(1, tt.step)*1000, v)
				if tt.set != nil {
					tt.set(&in, v)
				}
				var out []Transition
				s, out, _ = rs.Step(s, in, nil)
				for k := range out {
					got = append(got, message{out[k].Alert.Event, (out[k].Alert.Timestamp - t0) / 1000, out[k].Alert.Message})
				}
				s = again(t, s)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTwoConditions(t *testing.T) {
	pair := func(how Combine) *Rules {
		return compile(t, Rule{
			ID: "x", Combine: how, If: Condition{Kind: High, Parameter: temperature, Limit: 30, Deadband: 2},
			Other: &Condition{Kind: High, Parameter: humidity, Limit: 70, Deadband: 5},
		})
	}
	const none = -1
	run := func(rs *Rules, values ...[2]float64) []string {
		var s State
		var got []string
		for i, v := range values {
			in := at(t0+int64(i)*1000, v[0])
			if v[0] == none {
				in.Reading.Sensors = nil
			}
			if v[1] != none {
				in.Reading.Sensors.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: v[1], Unit: "%"})
			}
			var out []Transition
			s, out, _ = rs.Step(s, in, nil)
			for k := range out {
				got = append(got, out[k].Alert.Message)
			}
			s = again(t, s)
		}
		return got
	}
	require.Equal(t, []string{
		"temperature 32 °C is above 30 °C and humidity 75 % is above 70 %",
		"temperature 29 °C is back below 30 °C, peak 32 °C",
	}, run(pair(And), [2]float64{32, 50}, [2]float64{20, 80}, [2]float64{32, 75}, [2]float64{29, 66}, [2]float64{29, 65})[:2])
	require.Equal(t, []string{
		"temperature 32 °C is above 30 °C",
		"temperature 20 °C is back below 30 °C, peak 32 °C",
	}, run(pair(Or), [2]float64{32, 50}, [2]float64{20, 75}, [2]float64{20, 65}))

	// A condition without a value keeps its state.
	require.Len(t, run(pair(And), [2]float64{32, none}, [2]float64{none, 75}), 1)
	require.Empty(t, run(pair(And), [2]float64{32, none}, [2]float64{20, none}, [2]float64{none, 75}))
	require.Len(t, run(pair(And), [2]float64{32, 75}, [2]float64{32, none}, [2]float64{none, 75}), 1)
}

func TestWhere(t *testing.T) {
	loc := telemetry.Location{Building: "A栋", Floor: 3}
	for name, tt := range map[string]struct {
		w    Where
		want bool
	}{
		"anywhere":       {Where{}, true},
		"building":       {Where{Buildings: []string{"B栋", "A栋"}}, true},
		"other building": {Where{Buildings: []string{"B栋"}}, false},
		"floor":          {Where{Floors: []int{3}}, true},
		"other floor":    {Where{Floors: []int{1, 2}}, false},
		"model":          {Where{Models: []string{"IOT-*-V2"}}, true},
		"other model":    {Where{Models: []string{"IOT-*-V3"}}, false},
		"device":         {Where{Devices: []string{"cold_*", "device_00*"}}, true},
		"other device":   {Where{Devices: []string{"device_00"}}, false},
		"all of them":    {Where{Buildings: []string{"A栋"}, Floors: []int{3}, Models: []string{"*"}, Devices: []string{"*1"}}, true},
		"not all":        {Where{Buildings: []string{"A栋"}, Floors: []int{4}}, false},
	} {
		require.Equal(t, tt.want, tt.w.fits("device_001", "IOT-SENSOR-V2", loc), name)
	}
	for pattern, s := range map[string]string{"": "", "*": "", "a*": "a", "*b": "ab", "a*b*c": "a-b-b-c", "**": "x", "a*a": "aa"} {
		require.True(t, match(pattern, s), "%q %q", pattern, s)
	}
	for pattern, s := range map[string]string{"": "a", "a": "", "a*a": "a", "a*b*c": "acb", "b*": "ab", "*b": "ba"} {
		require.False(t, match(pattern, s), "%q %q", pattern, s)
	}
}

func TestRulesAreChecked(t *testing.T) {
	good := Rule{ID: "x", If: Condition{Kind: High, Parameter: current, Limit: 1}}
	_, err := Compile(RuleSet{Rules: []Rule{good, good}})
	require.EqualError(t, err, "rule x: defined twice")
	bad := good
	bad.If.Kind, bad.OnDelay = "higher", -1
	_, err = Compile(RuleSet{Rules: []Rule{bad}})
	require.ErrorContains(t, err, "rule x: on_delay -1ns: want 0s to 24h")
	require.ErrorContains(t, err, `rule x: if.kind "higher": want high,`)

	set := RuleSet{MaxWait: time.Minute, Rules: []Rule{good, {ID: "y", If: good.If}}}.With(RuleSet{Rules: []Rule{{ID: "x", Disabled: true, If: Condition{Kind: Offline}}, {ID: "z", If: good.If}}})
	rs, err := Compile(set)
	require.NoError(t, err)
	require.Equal(t, time.Minute, set.MaxWait)
	require.Equal(t, 2, rs.Len())
	_, _, ok := rs.Rule("x")
	require.False(t, ok)
	require.Len(t, rs.All(), 2)
}

func TestVersionIsThatOfWhatARuleSays(t *testing.T) {
	a := Rule{ID: "x", If: Condition{Kind: Rate, Parameter: current, Limit: 1}}
	b := Rule{ID: "x", Type: "x", Severity: telemetry.SeverityMedium, If: Condition{Kind: Rate, Parameter: current, Limit: 1, Direction: Both, Per: time.Minute, Window: time.Minute}}
	require.Equal(t, a.Version(), b.Version())
	b.If.Limit = 2
	require.NotEqual(t, a.Version(), b.Version())
}
