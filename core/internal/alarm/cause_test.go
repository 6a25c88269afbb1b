package alarm

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// limits are two limits on either side of the temperature, each the milder one first.
func limits(tb testing.TB, more ...Rule) *Rules {
	tb.Helper()
	return compile(tb, append([]Rule{
		{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 75, Deadband: 3}, Severity: telemetry.SeverityHigh},
		{ID: "temperature_high_high", If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 95, Deadband: 3}, Severity: telemetry.SeverityCritical},
		{ID: "temperature_low", If: Condition{Kind: Low, Parameter: temperature, Limit: 5}},
		{ID: "temperature_low_low", If: Condition{Kind: LowLow, Parameter: temperature, Limit: -5}},
		{ID: "current_high", If: Condition{Kind: High, Parameter: current, Limit: 10}},
	}, more...)...)
}

const (
	raised       = telemetry.EventRaised
	cleared      = telemetry.EventCleared
	suppressed   = telemetry.EventSuppressed
	unsuppressed = telemetry.EventUnsuppressed
)

func TestWorseLimitExplainsTheMilderOne(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   []brief
	}{
		"one after the other": {[]float64{80, 99, 80, 70}, []brief{
			{"temperature_high", raised, 0},
			{"temperature_high_high", raised, 1},
			{"temperature_high", suppressed, 1},
			{"temperature_high_high", cleared, 2},
			{"temperature_high", unsuppressed, 2},
			{"temperature_high", cleared, 3},
		}},
		"both at once are never two alarms": {[]float64{99, 70}, []brief{
			{"temperature_high_high", raised, 0},
			{"temperature_high", raised, 0}, // suppressed from the start
			{"temperature_high_high", cleared, 1},
			{"temperature_high", cleared, 1}, // not unsuppressed first
		}},
		"below": {[]float64{0, -9, 0}, []brief{
			{"temperature_low", raised, 0},
			{"temperature_low_low", raised, 1},
			{"temperature_low", suppressed, 1},
			{"temperature_low_low", cleared, 2},
			{"temperature_low", unsuppressed, 2},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, journal := play(limits(t), State{}, series(c.values...)...)
			require.Equal(t, c.want, briefs(journal))
		})
	}
}

func TestExplainedAlarmNamesItsCauseAndNeedsNoAcknowledgement(t *testing.T) {
	s, journal := play(limits(t), State{}, series(99, 70)...)
	require.Equal(t, &telemetry.Suppressed{ByAlarm: journal[0].Alert.AlertID, At: t0}, journal[1].Alert.Suppressed)
	require.Equal(t, journal[0].Alert.AlertID, journal[1].Alert.ParentAlarmID)
	require.Equal(t, telemetry.AlarmReturned, journal[2].Alert.State)
	require.Equal(t, telemetry.AlarmNormal, journal[3].Alert.State)
	require.Equal(t, 1, s.Open())
}

func TestOtherSensorsAndTypesOutOfServiceExplainNothing(t *testing.T) {
	in := at(t0, 99)
	in.Reading.Sensors.Set(telemetry.Sensor{Name: current, Number: 11, Unit: "A"})
	rs := limits(t)
	s, journal := play(rs, State{}, in)
	require.Len(t, journal, 3)
	for i := range journal {
		a := &journal[i].Alert
		require.Equal(t, a.AlertType == "temperature_high", a.Suppressed != nil, a.AlertType)
	}

	// The limit of the worse one is found useless, and later not so.
	out := command(telemetry.ActionOutOfService, "c1", 1)
	out.AlertType = "temperature_high_high"
	s, journal, entry, _ := rs.Command(s, out, out.At, nil)
	require.Equal(t, []brief{{"temperature_high_high", telemetry.EventOutOfService, 1}, {"temperature_high", unsuppressed, 1}}, briefs(journal))
	require.Equal(t, journal[0].Audit, entry, "the entry is that of the command")
	back := *out
	back.CommandID, back.Action = "c2", telemetry.ActionInService
	_, journal, _, _ = rs.Command(s, &back, back.At, nil)
	require.Equal(t, []brief{{"temperature_high_high", telemetry.EventInService, 1}, {"temperature_high", suppressed, 1}}, briefs(journal))
}

// TestAlarmsThatEndByTheClockEndTogether: two off-delays of one length that began together end
// together, and the milder alarm does not come back for that moment.
func TestAlarmsThatEndByTheClockEndTogether(t *testing.T) {
	rules := []Rule{
		{ID: "worse", If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 95}, OffDelay: 10 * time.Second},
		{ID: "milder", If: Condition{Kind: High, Parameter: temperature, Limit: 75}, OffDelay: 10 * time.Second},
	}
	rs := compile(t, rules...)
	s, journal := play(rs, State{}, series(99, 20)...)
	require.Len(t, journal, 2)
	_, journal, _ = rs.Tick(s, t0+60_000, nil)
	require.Equal(t, []brief{{"worse", cleared, 11}, {"milder", cleared, 11}}, briefs(journal))
}

func TestAlarmsOfAnOfflineDeviceAreUncertain(t *testing.T) {
	rs := limits(t)
	const uncertain, confirmed = telemetry.EventUncertain, telemetry.EventConfirmed
	s, _ := play(rs, State{}, series(80, 80)...)
	s, journal := see(rs, s, offline(true, 10, 12, "gw"))
	require.Equal(t, []brief{{"device_offline", raised, 10}, {"temperature_high", uncertain, 10}}, briefs(journal))
	require.True(t, journal[1].Alert.Uncertain)
	require.Equal(t, telemetry.AlertActive, journal[1].Alert.Status)
	require.Nil(t, journal[1].Alert.Suppressed, "who was called is still called")
	require.False(t, journal[0].Alert.Uncertain)
	s = again(t, s)
	s, journal = see(rs, s, offline(true, 10, 14, "gw"))
	require.Empty(t, journal, "a restart does not repeat it")

	t.Run("a stored reading from before says nothing", func(t *testing.T) {
		in := at(t0+5000, 81)
		in.Received, in.Waited = t0+5000, 60_000
		_, journal := play(rs, s, in)
		require.Empty(t, journal)
	})
	t.Run("a new reading confirms it", func(t *testing.T) {
		s, journal := play(rs, s, at(t0+20_000, 81))
		require.Equal(t, []brief{{"temperature_high", confirmed, 20}}, briefs(journal))
		require.False(t, journal[0].Alert.Uncertain)
		_, journal = see(rs, again(t, s), offline(true, 10, 21, "gw"), offline(false, 20, 21, "gw"))
		require.Equal(t, []brief{{"device_offline", cleared, 20}}, briefs(journal))
	})
	t.Run("a new reading ends it", func(t *testing.T) {
		_, journal := play(rs, s, at(t0+20_000, 20))
		require.Equal(t, []brief{{"temperature_high", cleared, 20}}, briefs(journal))
		require.False(t, journal[0].Alert.Uncertain)
		require.Equal(t, telemetry.AlarmReturned, journal[0].Alert.State, "it was shown, so it is to be acknowledged")
	})
	t.Run("the device is back without that sensor", func(t *testing.T) {
		_, journal := see(rs, s, offline(false, 20, 21, ""))
		require.Equal(t, []brief{{"device_offline", cleared, 20}, {"temperature_high", confirmed, 20}}, briefs(journal))
	})
}

// TestDelayThatEndsInSilenceRaisesAnUncertainAlarm: nobody knows whether the value was beyond the limit
// for so long.
func TestDelayThatEndsInSilenceRaisesAnUncertainAlarm(t *testing.T) {
	rs := compile(t, Rule{ID: "slow", If: Condition{Kind: High, Parameter: temperature, Limit: 75}, OnDelay: time.Minute})
	s, _ := play(rs, State{}, series(80, 80)...)
	s, _ = see(rs, s, offline(true, 10, 12, ""))
	s, journal, _ := rs.Tick(s, t0+120_000, nil)
	require.Equal(t, []brief{{"slow", raised, 60}}, briefs(journal))
	require.True(t, journal[0].Alert.Uncertain)
	_, journal = see(rs, again(t, s), offline(false, 90, 121, ""))
	require.Equal(t, []brief{{"device_offline", cleared, 90}, {"slow", telemetry.EventConfirmed, 90}}, briefs(journal))
}

func TestSensorsInAlarm(t *testing.T) {
	rs := limits(t, Rule{ID: "battery_low", If: Condition{Kind: BatteryLow, Limit: 20}}, Rule{
		ID: "both", If: Condition{Kind: High, Parameter: temperature, Limit: 75}, Combine: And, Other: &Condition{Kind: High, Parameter: humidity, Limit: 50},
	})
	in := at(t0, 80)
	in.Reading.Sensors.Set(telemetry.Sensor{Name: humidity, Number: 60, Unit: "%"})
	in.Reading.Info.Battery = telemetry.Some(3)
	s, _ := play(rs, State{}, in)
	require.True(t, s.InAlarm(temperature))
	require.True(t, s.InAlarm(humidity), "the second condition of two")
	require.False(t, s.InAlarm(Battery), "a sensor of that name is another one")
	require.False(t, s.InAlarm(current))
	s, _ = play(rs, s, at(t0+1000, 20))
	require.False(t, s.InAlarm(temperature), "it is over, though not acknowledged")
	require.False(t, (&State{}).InAlarm(temperature))
}

// TestFacts: an alarm has what is needed to describe it in any language.
func TestFacts(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	tests := map[string]struct {
		rule   Rule
		inputs []Input
		want   telemetry.Alert
	}{
		"rate": {Rule{If: Condition{Kind: Rate, Parameter: temperature, Limit: 1, Per: time.Second, Window: 4 * time.Second}}, series(60, 50, 40, 30, 20), telemetry.Alert{
			Measure: telemetry.Measure{Kind: "rate", Unit: "°C", Per: "second"}, CurrentValue: -10,
		}},
		"stuck": {Rule{If: Condition{Kind: Stuck, Parameter: temperature, For: 10 * time.Second}}, series(21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21), telemetry.Alert{
			Measure: telemetry.Measure{Kind: "stuck", Unit: "°C", ForMS: 10_000}, CurrentValue: 21,
		}},
		"deviation": {Rule{If: Condition{Kind: Deviation, Parameter: temperature, Limit: 3}, OnDelay: time.Second}, roomed(22, series(26, 27)), telemetry.Alert{
			Measure: telemetry.Measure{Kind: "deviation", Unit: "°C", RoomValue: f(22)}, CurrentValue: 5,
		}},
		"two conditions": {Rule{
			If: Condition{Kind: High, Parameter: temperature, Limit: 20}, Combine: And, Other: &Condition{Kind: Rate, Parameter: temperature, Limit: 1, Per: time.Second, Window: 4 * time.Second},
		}, series(10, 20, 30, 40, 50), telemetry.Alert{
			Measure: telemetry.Measure{Kind: "high", Unit: "°C"}, CurrentValue: 30, Combine: "all", Other: &telemetry.OtherCondition{
				Measure:   telemetry.Measure{Kind: "rate", Unit: "°C", Per: "second"},
				Threshold: telemetry.Threshold{Parameter: temperature, Operator: ">", Value: 1}, CurrentValue: f(10),
			},
		}},
		"one of two conditions": {Rule{
			If: Condition{Kind: High, Parameter: humidity, Limit: 20}, Combine: Or, Other: &Condition{Kind: High, Parameter: temperature, Limit: 1},
		}, series(10), telemetry.Alert{
			Measure: telemetry.Measure{Kind: "high", Unit: "°C"}, CurrentValue: 10, Combine: "any",
		}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			c.rule.ID = "r"
			rs := compile(t, c.rule)
			var s State
			var journal []Transition
			for _, in := range c.inputs {
				s, journal, _ = rs.Step(again(t, s), in, journal)
			}
			require.Len(t, journal, 1)
			a := journal[0].Alert
			require.Equal(t, c.want, telemetry.Alert{Measure: a.Measure, CurrentValue: a.CurrentValue, Combine: a.Combine, Other: a.Other})
		})
	}

	_, journal := see(standard(t), State{}, Finding{Device: "d1", Type: "device_offline", Holds: true, Since: t0, Now: t0 + 9, SilentSince: t0 - 9})
	require.Equal(t, telemetry.Measure{Kind: "device_offline"}, journal[0].Alert.Measure)
	require.Equal(t, t0-9, journal[0].Alert.SilentSince)
}

// roomed gives inputs a room with a value.
func roomed(v float64, inputs []Input) []Input {
	for i := range inputs {
		inputs[i].Room = &RoomView{{temperature, RoomValue{Count: 3, Mean: v, Median: v}}}
	}
	return inputs
}

// TestStateGoesThroughAFormerVersionAndBack: a former version writes what it knows of a state, without
// the facts and without uncertainty. The alarms are the same afterwards, and in line again.
func TestStateGoesThroughAFormerVersionAndBack(t *testing.T) {
	rs := limits(t)
	s, _ := play(rs, State{}, series(80, 80, 99)...)
	s, _ = see(rs, s, offline(true, 10, 12, ""))
	var all map[string]json.RawMessage
	var alarms []map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(encode(t, s), &all))
	require.NoError(t, json.Unmarshal(all["alarms"], &alarms))
	require.Len(t, alarms, 3)
	for _, a := range alarms {
		for _, unknown := range []string{"kind", "unit", "per", "for_ms", "room_value", "combine", "other", "silent_since", "uncertain"} {
			delete(a, unknown)
		}
	}
	var err error
	all["alarms"], err = json.Marshal(alarms)
	require.NoError(t, err)
	data, err := json.Marshal(all)
	require.NoError(t, err)
	back, err := DecodeState(data)
	require.NoError(t, err)
	require.Equal(t, s.Open(), back.Open())

	// The watchdog of a new owner reports what holds once more.
	back, journal := see(rs, back, offline(true, 10, 14, ""))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventUncertain, 10}, {"temperature_high_high", telemetry.EventUncertain, 10}}, briefs(journal))
	back, journal = play(rs, back, at(t0+20_000, 80))
	require.Equal(t, []brief{
		{"temperature_high_high", cleared, 20},
		{"temperature_high", unsuppressed, 20},
		{"temperature_high", telemetry.EventConfirmed, 20},
	}, briefs(journal))
	_, journal = play(rs, back, at(t0+21_000, 70))
	require.Equal(t, []brief{{"temperature_high", cleared, 21}}, briefs(journal))
}
