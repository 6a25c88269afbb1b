package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func switched(second int64, on bool) Input {
	in := at(t0+second*1000, 0)
	in.Reading.Sensors = telemetry.Sensors{telemetry.Switch(telemetry.SwitchStatus, on)}
	return in
}

func humid(second int64, v float64) Input {
	in := at(t0+second*1000, 0)
	in.Reading.Sensors = telemetry.Sensors{}
	in.Reading.Sensors.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: v, Unit: "%"})
	return in
}

func TestAlertShowsTheValueAndThresholdOfItsKind(t *testing.T) {
	_, journal := play(compile(t, Rule{ID: "x", If: Condition{Kind: SwitchIs, On: true}}), State{}, switched(0, true))
	require.InDelta(t, 1, journal[0].Alert.CurrentValue, 0)
	require.Equal(t, telemetry.Threshold{Parameter: "switch_status", Operator: "=", Value: 1}, journal[0].Alert.Threshold)

	stuck := series(20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21)
	s, journal := play(compile(t, Rule{ID: "x", If: Condition{Kind: Stuck, Parameter: temperature, For: 10 * time.Second}}), State{}, stuck...)
	require.InDelta(t, 21, journal[0].Alert.CurrentValue, 0)
	require.Equal(t, telemetry.Threshold{Parameter: "temperature", Operator: "=", Value: 21}, journal[0].Alert.Threshold)
	require.Equal(t, &telemetry.AlarmEvidence{Partition: 7, FirstOffset: 1, LastOffset: 11}, journal[0].Alert.Evidence)
	require.Equal(t, t0+11_000, s.Changed)
}

func TestRateReadsItsWindowOnly(t *testing.T) {
	rs := compile(
		t,
		Rule{ID: "x", If: Condition{Kind: Rate, Parameter: temperature, Limit: 60, Window: 4 * time.Second}},
		Rule{ID: "y", If: Condition{Kind: Rate, Parameter: temperature, Limit: 6000, Window: 8 * time.Second}},
	)
	s, journal := play(rs, State{}, series(20, 20, 20, 20, 20, 25)...)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 5}}, briefs(journal))
	require.Equal(t, "temperature changes by 75 °C/min, limit 60 °C/min", journal[0].Alert.Message)
	require.Equal(t, &telemetry.AlarmEvidence{Partition: 7, FirstOffset: 1, LastOffset: 5}, journal[0].Alert.Evidence)
	require.Len(t, s.past.rates, 2)

	// At half the window the rate is known, before that it is not.
	_, journal = play(rs, State{}, series(20, 99)...)
	require.Empty(t, journal)
	_, journal = play(rs, State{}, series(20, 20, 99)...)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 2}}, briefs(journal))

	// The windows of other rules survive a new rule; those of removed rules go.
	next := compile(
		t,
		Rule{ID: "y", If: Condition{Kind: Rate, Parameter: temperature, Limit: 6000, Window: 8 * time.Second}},
		Rule{ID: "z", If: Condition{Kind: Rate, Parameter: temperature, Limit: 6000, Window: 8 * time.Second}, Other: &Condition{Kind: Rate, Parameter: temperature, Limit: 7000}},
	)
	s, _ = play(next, s, at(t0+6000, 25))
	var windows []string
	for _, w := range s.past.rates {
		windows = append(windows, w.Rule)
	}
	require.Equal(t, []string{"y", "z", "z/2"}, windows)
}

func TestPeakOfTheOnDelayIsKept(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: 3 * time.Second})
	_, journal := play(rs, State{}, series(81, 95, 85, 86)...)
	require.Len(t, journal, 1)
	require.InDelta(t, 95, journal[0].Alert.PeakValue, 0)
	require.InDelta(t, 86, journal[0].Alert.CurrentValue, 0)
	require.Equal(t, t0+3000, journal[0].Alert.LastSeen)
}

func TestCombineOfASingleConditionIsIgnored(t *testing.T) {
	rs := compile(t, Rule{ID: "x", Combine: And, If: Condition{Kind: High, Parameter: temperature, Limit: 80}})
	_, journal := play(rs, State{}, series(81, 20)...)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 0}, {"x", telemetry.EventCleared, 1}}, briefs(journal))
}

// TestConditionThatEndsWithoutTheAlarmsValue has an alarm about temperature end with a
// reading of humidity alone.
func TestConditionThatEndsWithoutTheAlarmsValue(t *testing.T) {
	rule := Rule{
		ID: "x", Combine: And, If: Condition{Kind: High, Parameter: temperature, Limit: 30},
		Other: &Condition{Kind: High, Parameter: humidity, Limit: 70},
	}
	both := at(t0, 32)
	both.Reading.Sensors.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: 75, Unit: "%"})
	s, journal := play(compile(t, rule), State{}, both)
	require.Len(t, journal, 1)
	_, journal = play(compile(t, rule), s, humid(1, 60))
	require.Equal(t, []brief{{"x", telemetry.EventCleared, 1}}, briefs(journal))
	require.InDelta(t, 32, journal[0].Alert.CurrentValue, 0)
	require.InDelta(t, 32, *journal[0].Alert.History[1].Value, 0)
	require.Equal(t, "x is over", journal[0].Alert.Message)

	// A rule that has lost the condition its alarm is about.
	rule.Combine = Or
	s, journal = play(compile(t, rule), State{}, humid(0, 75))
	require.Equal(t, "humidity 75 % is above 70 %", journal[0].Alert.Message)
	single := compile(t, Rule{ID: "x", If: *rule.Other})
	_, journal = play(single, s, humid(1, 60))
	require.Equal(t, "humidity 60 % is back below 70 %, peak 75 %", journal[0].Alert.Message)
}

func TestHalfMetConditionIsNotPersisted(t *testing.T) {
	rs := compile(t, Rule{
		ID: "x", Combine: And, If: Condition{Kind: High, Parameter: temperature, Limit: 30},
		Other: &Condition{Kind: High, Parameter: humidity, Limit: 70}, OnDelay: 5 * time.Second,
	})
	var s State
	for i, tt := range []struct {
		in   Input
		keep bool
	}{
		{at(t0, 32), false},          // half
		{at(t0+1000, 20), false},     // none
		{at(t0+2000, 32), false},     // half
		{humid(3, 75), true},         // both: the delay starts
		{at(t0+4000, 20), true},      // half: it ends
		{humid(5, 50), false},        // none
		{switched(6, true), false},   // another signal
		{humid(7, 75), false},        // half
		{humid(8, 76), false},        // half
		{at(t0+9000, 32), true},      // both
		{at(t0+10_000, 33), true},    // another value
		{at(t0+14_000, 33), true},    // raised
		{at(t0+15_000, 33), false},   // no change
		{at(t0+16_000, 34), true},    // a new peak
		{at(t0+17_000, 33.5), false}, // no change
		{at(t0+18_000, 20), true},    // cleared
		{at(t0+19_000, 20.5), false}, // no change
	} {
		var keep bool
		s, _, keep = rs.Step(s, tt.in, nil)
		require.Equal(t, tt.keep, keep, "reading %d", i)
	}
}

func TestRuleWithoutItsDevicesIsNotForAll(t *testing.T) {
	for name, w := range map[string]Where{
		"buildings": {Buildings: []string{"B栋"}}, "floors": {Floors: []int{9}}, "models": {Models: []string{"other"}}, "devices": {Devices: []string{"other"}},
	} {
		_, journal := play(compile(t, Rule{ID: "x", Where: w, If: Condition{Kind: High, Parameter: temperature, Limit: 80}}), State{}, at(t0, 99))
		require.Empty(t, journal, name)
	}
}

func TestReleaseWaitsForAReadingOfTheSignal(t *testing.T) {
	s, _ := play(compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}}), State{}, at(t0, 99))
	_, journal := play(compile(t), s, humid(1, 50))
	require.Empty(t, journal)

	on := compile(t, Rule{ID: "x", If: Condition{Kind: SwitchIs, On: true}}, Rule{ID: "y", If: Condition{Kind: High, Parameter: temperature, Limit: 80}})
	s, _ = play(on, State{}, switched(0, true), at(t0+1000, 99))
	require.Equal(t, 2, s.Open())
	_, journal = play(compile(t), s, switched(2, true))
	require.Equal(t, []brief{{"x", telemetry.EventCleared, 2}}, briefs(journal))
	require.Equal(t, "the rule x is gone; switch is on", journal[0].Alert.Message)
	both := switched(2, false)
	both.Reading.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: 99, Unit: "°C"})
	_, journal = play(compile(t), s, both)
	require.Len(t, journal, 2)
	require.Equal(t, "the rule x is gone; switch is off", journal[0].Alert.Message)
}

func TestRaisesOfTheLastMinuteAreChatter(t *testing.T) {
	require.Equal(t, []int64{100}, recent(nil, 100))
	require.Equal(t, []int64{1, minute}, recent([]int64{0, 1}, minute), "a minute ago is too old")
	require.Equal(t, []int64{3, 4, 5}, recent([]int64{1, 2, 3, 4}, 5))
	require.Equal(t, []int64{3, 4, 5}, recent([]int64{0, 1, 2, 3, 4}, 5))
}

// TestChangedFollowsRaiseAndClear: Forgettable depends on it.
func TestChangedFollowsRaiseAndClear(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, series(20, 99)...)
	require.Equal(t, t0+1000, s.Changed)
	s, _ = play(rs, s, at(t0+2000, 98))
	require.Equal(t, t0+1000, s.Changed)
	s, _ = play(rs, s, at(t0+3000, 20))
	require.Equal(t, t0+3000, s.Changed)
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c", 10))
	require.Equal(t, t0+3000, s.Changed, "a command changes no alarm's readings")
	s, _, _ = rs.Tick(s, t0+100_000, nil)
	require.False(t, s.Forgettable(t0+110_000, 100_000), "the command may be repeated")
	require.True(t, s.Forgettable(t0+110_001, 100_000))
	s, _ = see(rs, State{}, offline(true, 10, 12, ""), offline(false, 20, 21, ""))
	require.Zero(t, s.Changed, "nor does a finding")
}

// TestEntryOfACommandWithoutEffectNamesTheAlarm is for the audit trail.
func TestEntryOfACommandWithoutEffectNamesTheAlarm(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, at(t0, 99))
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "a", 1))
	c := command(telemetry.ActionAcknowledge, "b", 2)
	c.Note = "me too"
	_, out, entry, keep := rs.Command(s, c, c.At, nil)
	require.Empty(t, out)
	require.True(t, keep)
	require.Equal(t, telemetry.AuditEntry{
		Time: c.At, DeviceID: "d1", AlertType: "temperature_high", AlertID: journal[0].Alert.AlertID, Building: "A栋", Rule: "temperature_high", By: "operator", CommandID: "b",
		Action: telemetry.ActionAcknowledge, Outcome: telemetry.OutcomeNothing, Reason: "it is acknowledged already by operator", Note: "me too",
		From: telemetry.AlarmAcknowledged, To: telemetry.AlarmAcknowledged,
	}, entry)
}

// TestLateRaiseByTheClockWaitsForAFreshReading has an on-delay of old readings end
// without a reading.
func TestLateRaiseByTheClockWaitsForAFreshReading(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: time.Minute})
	in := at(t0, 99)
	in.Waited = time.Hour.Milliseconds()
	s, journal := play(rs, State{}, in)
	require.Empty(t, journal)
	now := s.Due()
	require.Equal(t, t0+time.Hour.Milliseconds()+time.Minute.Milliseconds()+tickGrace, now)
	s, journal, _ = rs.Tick(again(t, s), now, nil)
	require.Empty(t, journal)
	due := now + rs.maxWait + 2*pastSlack
	require.Equal(t, due, s.Due())
	s, journal, _ = rs.Tick(s, due-1, nil)
	require.Empty(t, journal)
	_, journal, _ = rs.Tick(s, due, nil)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 60}}, briefs(journal))
	require.Equal(t, due, journal[0].Alert.DetectedAt)
}

// TestLeadIsAConditionWithAValue: the alarm is about a condition that the reading has a
// value for, if there is one.
func TestLeadIsAConditionWithAValue(t *testing.T) {
	pair := Rule{
		ID: "x", Combine: And, If: Condition{Kind: High, Parameter: temperature, Limit: 30},
		Other: &Condition{Kind: High, Parameter: humidity, Limit: 70},
	}
	_, journal := play(compile(t, pair), State{}, at(t0, 32), humid(1, 75))
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 1}}, briefs(journal))
	require.Equal(t, telemetry.Threshold{Parameter: "humidity", Operator: ">", Value: 70}, journal[0].Alert.Threshold)
	require.InDelta(t, 75, journal[0].Alert.CurrentValue, 0)
	require.Equal(t, "temperature is as it was and humidity 75 % is above 70 %", journal[0].Alert.Message)

	pair.Combine, pair.OnDelay = Or, 2*time.Second
	_, journal = play(compile(t, pair), State{}, at(t0, 32), humid(1, 60), humid(2, 61))
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 2}}, briefs(journal))
	require.Equal(t, telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 30}, journal[0].Alert.Threshold)
	require.InDelta(t, 32, journal[0].Alert.CurrentValue, 0)
}

// TestClockDecidesForItsSignalOnly lets an on-delay of temperature end by the clock.
func TestClockDecidesForItsSignalOnly(t *testing.T) {
	rs := compile(
		t,
		Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: 30 * time.Second},
		Rule{ID: "y", If: Condition{Kind: High, Parameter: humidity, Limit: 70}},
	)
	s, _ := play(rs, State{}, humid(-1, 75), at(t0, 85))
	s, journal, _ := rs.Tick(s, s.Due(), nil)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 30}}, briefs(journal))
	s, journal = play(rs, s, at(t0+29_000, 20))
	require.Empty(t, journal, "older than what the clock decided")
	_, journal = play(rs, s, humid(20, 50))
	require.Equal(t, []brief{{"y", telemetry.EventCleared, 20}}, briefs(journal))
}

// TestNewestCommandsAreRecognised repeats each of the newest commands, and one before.
func TestNewestCommandsAreRecognised(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, at(t0, 99))
	var sent []*telemetry.AlarmCommand
	for i := range maxDone + 1 {
		c := command(telemetry.ActionComment, "c"+string(rune('a'+i)), 10)
		c.Note = "x"
		sent = append(sent, c)
		s, _ = do(t, rs, s, c)
	}
	for _, c := range sent[1:] {
		_, out, _, keep := rs.Command(s, c, c.At, nil)
		require.False(t, keep, c.CommandID)
		require.Empty(t, out)
	}
	_, _ = do(t, rs, s, sent[0])
}

// TestFindingDoesNotTouchTheStateItIsGiven: states are values.
func TestFindingDoesNotTouchTheStateItIsGiven(t *testing.T) {
	rs := standard(t)
	before, _ := see(rs, State{}, offline(true, 10, 12, ""))
	kept, err := before.Encode()
	require.NoError(t, err)
	require.NotContains(t, string(kept), "still", "only tracked values are written")
	worse, critical, explained, over := offline(true, 10, 99, ""), offline(true, 10, 12, ""), offline(true, 10, 12, "gw"), offline(false, 20, 21, "")
	critical.Severity = telemetry.SeverityCritical
	for _, f := range []Finding{worse, critical, explained, over} {
		_, _, keep := rs.Apply(before, f, nil)
		require.True(t, keep)
		after, err := before.Encode()
		require.NoError(t, err)
		require.JSONEq(t, string(kept), string(after))
	}
}
