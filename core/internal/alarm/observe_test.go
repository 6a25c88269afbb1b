package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// observation is an Observation with plain values; absent stands for nil.
type observation struct {
	values  []float64
	holds   []bool
	pending int64
	state   telemetry.AlarmState
	event   telemetry.AlarmEvent
}

const absent = -999

func observed(o Observation) observation {
	out := observation{holds: o.Holds, pending: o.Pending, state: o.State, event: o.Event}
	for _, v := range o.Values {
		if v == nil {
			out.values = append(out.values, absent)
			continue
		}
		out.values = append(out.values, *v)
	}
	return out
}

// TestObserveShowsWhatStepDecides plays readings through Step and Observe side by side.
func TestObserveShowsWhatStepDecides(t *testing.T) {
	const normal, unacknowledged, returned = telemetry.AlarmNormal, telemetry.AlarmUnacknowledged, telemetry.AlarmReturned
	const raised, cleared = telemetry.EventRaised, telemetry.EventCleared
	v := func(values ...float64) []float64 { return values }
	h := func(holds ...bool) []bool { return holds }
	room := func(in *Input) { in.Room = &RoomView{{temperature, RoomValue{Count: 2, Mean: 20, Median: 20}}} }
	for name, tt := range map[string]struct {
		rule     Rule
		readings []float64 // of temperature, a second apart
		set      func(*Input)
		want     []observation
	}{
		"delays": {
			Rule{If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, OnDelay: 2 * time.Second, OffDelay: 3 * time.Second},
			[]float64{80, 81, 82, 83, 79, 78, 77, 79, 20, 20, 20, 20},
			nil,
			[]observation{
				{v(80), h(false), 0, normal, ""},
				{v(81), h(true), 0, normal, ""}, // the on-delay starts
				{v(82), h(true), 1000, normal, ""},
				{v(83), h(true), 0, unacknowledged, raised},
				{v(79), h(true), 0, unacknowledged, ""}, // within the deadband
				{v(78), h(false), 0, unacknowledged, ""},
				{v(77), h(false), 1000, unacknowledged, ""},
				{v(79), h(false), 2000, unacknowledged, ""}, // the deadband no longer applies
				{v(20), h(false), 0, returned, cleared},
				{v(20), h(false), 0, returned, ""},
				{v(20), h(false), 0, returned, ""},
				{v(20), h(false), 0, returned, ""},
			},
		},
		"stuck, in seconds": {
			Rule{If: Condition{Kind: Stuck, Parameter: temperature, For: 10 * time.Second}},
			[]float64{20, 21, 21, 21},
			nil,
			[]observation{
				{v(0), h(false), 0, normal, ""}, {v(0), h(false), 0, normal, ""}, {v(1), h(false), 0, normal, ""}, {v(2), h(false), 0, normal, ""},
			},
		},
		"deviation, without its sign": {
			Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 5}},
			[]float64{22, 14},
			room,
			[]observation{{v(2), h(false), 0, normal, ""}, {v(6), h(true), 0, unacknowledged, raised}},
		},
		"two conditions, one without a value": {
			Rule{If: Condition{Kind: High, Parameter: humidity, Limit: 5}, Other: &Condition{Kind: High, Parameter: temperature, Limit: 30}, Combine: Or},
			[]float64{20, 31},
			nil,
			[]observation{{v(absent, 20), h(false, false), 0, normal, ""}, {v(absent, 31), h(false, true), 0, unacknowledged, raised}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rule.ID = "x"
			rs := compile(t, Rule{ID: "other", If: Condition{Kind: High, Parameter: temperature, Limit: 10}}, tt.rule)
			var s, stepped State
			var journal, want []Transition
			for i, in := range series(tt.readings...) {
				if tt.set != nil {
					tt.set(&in)
				}
				var o Observation
				s, journal, o = rs.Observe(s, in, "x", journal)
				stepped, want, _ = rs.Step(stepped, in, want)
				require.Equal(t, tt.want[i], observed(o), "reading %d", i)
				require.Equal(t, stepped, s)
			}
			require.Equal(t, want, journal)
		})
	}
	_, _, o := standard(t).Observe(State{}, at(t0, 99), "no such rule", nil)
	require.Equal(t, Observation{}, o)
}

// TestLimitsAreThoseOfTheObservations names what each kind compares with, and in which
// unit.
func TestLimitsAreThoseOfTheObservations(t *testing.T) {
	for _, tt := range []struct {
		c    Condition
		want Limit
	}{
		{Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, Limit{"temperature", ">", "°C", 80, 2, High, "°C"}},
		{Condition{Kind: Low, Parameter: humidity, Limit: 5}, Limit{"humidity", "<", "%", 5, 0, Low, "%"}},
		{Condition{Kind: Rate, Parameter: current, Limit: 3, Per: time.Second}, Limit{"current", ">", "A/s", 3, 0, Rate, "A"}},
		{Condition{Kind: Rate, Parameter: current, Limit: 3, Direction: Up}, Limit{"current", ">", "A/min", 3, 0, Rate, "A"}},
		{Condition{Kind: Rate, Parameter: current, Limit: 3, Direction: Down}, Limit{"current", "<", "A/min", -3, 0, Rate, "A"}},
		{Condition{Kind: Deviation, Parameter: temperature, Limit: 3, Deadband: 1}, Limit{"temperature", ">", "°C", 3, 1, Deviation, "°C"}},
		{Condition{Kind: Stuck, Parameter: temperature, For: time.Minute}, Limit{"temperature", ">=", "s", 60, 0, Stuck, "°C"}},
		{Condition{Kind: SwitchIs, On: true, Limit: 5}, Limit{"switch_status", "=", "", 1, 0, SwitchIs, ""}},
		{Condition{Kind: SwitchIs, Limit: 5}, Limit{"switch_status", "=", "", 0, 0, SwitchIs, ""}},
		{Condition{Kind: BatteryLow, Limit: 15}, Limit{"battery", "<", "%", 15, 0, BatteryLow, "%"}},
		{Condition{Kind: SignalWeak, Limit: -85}, Limit{"signal_strength", "<", "dBm", -85, 0, SignalWeak, "dBm"}},
	} {
		require.Equal(t, []Limit{tt.want}, compile(t, Rule{ID: "x", If: tt.c}).Limits("x"), "%+v", tt.c)
	}
	require.Len(t, compile(t, Rule{ID: "x", If: Condition{Kind: SwitchIs}, Other: &Condition{Kind: SwitchIs, On: true}}).Limits("x"), 2)
}
