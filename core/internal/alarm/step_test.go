package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestAlarmIsRaisedAndCleared(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, series(25, 85.25, 91, 79, 78, 25)...)
	require.Equal(t, 1, s.Open(), "not acknowledged")
	require.Len(t, journal, 2)
	id := AlertID("d1", "temperature_high", t0+1000)
	require.Len(t, id, 32)
	_, version, ok := rs.Rule("temperature_high")
	require.True(t, ok)
	require.Regexp(t, "^[0-9a-f]{12}$", version)
	first := 85.25
	raised := telemetry.Alert{
		AlertID: id, DeviceID: "d1", AlertType: "temperature_high", Severity: telemetry.SeverityHigh,
		Message: "temperature 85.25 °C is above 80 °C", Timestamp: t0 + 1000, Status: telemetry.AlertActive,
		Threshold: telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 80}, CurrentValue: 85.25,
		Measure:  telemetry.Measure{Kind: "high", Unit: "°C"},
		Revision: 1, Event: telemetry.EventRaised, State: telemetry.AlarmUnacknowledged, Priority: 2,
		Source: telemetry.SourceRule, Rule: "temperature_high", RuleVersion: version,
		RaisedAt: t0 + 1000, DetectedAt: t0 + 1000, LastSeen: t0 + 1000, OccurrenceCount: 1, PeakValue: 85.25, Deadband: 2,
		Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}, Gateway: "gw-a",
		History:  []telemetry.AlarmChange{{At: t0 + 1000, Event: telemetry.EventRaised, State: telemetry.AlarmUnacknowledged, Value: &first}},
		Evidence: &telemetry.AlarmEvidence{Partition: 7, FirstOffset: 1, LastOffset: 1},
	}
	require.Equal(t, raised, journal[0].Alert)
	require.Equal(t, telemetry.AuditEntry{
		Time: t0 + 1000, DeviceID: "d1", AlertType: "temperature_high", AlertID: id, Building: "A栋", Rule: "temperature_high", Revision: 1,
		Event: telemetry.EventRaised, From: telemetry.AlarmNormal, To: telemetry.AlarmUnacknowledged,
	}, journal[0].Audit)

	last := 78.0
	cleared := raised
	cleared.Status, cleared.State, cleared.Event, cleared.Revision = telemetry.AlertCleared, telemetry.AlarmReturned, telemetry.EventCleared, 2
	cleared.Timestamp, cleared.ClearedAt, cleared.CurrentValue, cleared.PeakValue = t0+4000, t0+4000, 78, 91
	cleared.LastSeen = t0 + 3000
	cleared.Message = "temperature 78 °C is back below 80 °C, peak 91 °C"
	cleared.History = append(cleared.History, telemetry.AlarmChange{At: t0 + 4000, Event: telemetry.EventCleared, State: telemetry.AlarmReturned, Value: &last})
	require.Equal(t, cleared, journal[1].Alert)
}

func TestTransitions(t *testing.T) {
	const raised, repeated, cleared, chatters = telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventCleared, telemetry.EventChattering
	late := func(second int64, v float64) Input {
		in := at(t0+second*1000, v)
		in.Received += 60_000
		return in
	}
	tests := []struct {
		name   string
		inputs []Input
		want   []brief
	}{
		{"the limit itself is normal", series(80, 80, 0, 0), nil},
		{"chatter around the limit is one alarm", series(81, 79.9, 81, 79, 80.5, 78.1, 82, 78), []brief{{"temperature_high", raised, 0}, {"temperature_high", cleared, 7}}},
		{"the other side has its own", series(-1, 1, -5, 2), []brief{{"temperature_low", raised, 0}, {"temperature_low", cleared, 3}}},
		{"from one side to the other", series(81, -1), []brief{{"temperature_high", raised, 0}, {"temperature_high", cleared, 1}, {"temperature_low", raised, 1}}},
		{"again before anybody saw it", series(81, 20, 81, 20), []brief{{"temperature_high", raised, 0}, {"temperature_high", cleared, 1}, {"temperature_high", repeated, 2}, {"temperature_high", cleared, 3}}},
		{"three times in a minute chatters", series(81, 20, 81, 20, 81), []brief{
			{"temperature_high", raised, 0},
			{"temperature_high", cleared, 1},
			{"temperature_high", repeated, 2},
			{"temperature_high", cleared, 3},
			{"temperature_high", repeated, 4},
			{"temperature_high", chatters, 4},
		}},
		{"a late reading raises nothing", append(series(20, 20, 20), late(1, 99)), nil},
		{"a late reading clears nothing", append(series(20, 20, 99), late(1, 20)), []brief{{"temperature_high", raised, 2}}},
		{"a repeated reading changes nothing", []Input{at(t0, 99), at(t0, 99), at(t0, 20)}, []brief{{"temperature_high", raised, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, journal := play(standard(t), State{}, tt.inputs...)
			require.Equal(t, tt.want, briefs(journal))
		})
	}
}

func TestAlarmThatComesBackUnseenIsTheSameAlarm(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, series(95, 20, 90, 20)...)
	require.Len(t, journal, 4)
	for i := range journal {
		a := &journal[i].Alert
		require.Equal(t, journal[0].Alert.AlertID, a.AlertID)
		require.EqualValues(t, i+1, a.Revision)
		require.Equal(t, t0, a.RaisedAt)
		require.InDelta(t, 95, a.PeakValue, 0, "the worst of all occurrences")
	}
	require.Equal(t, 2, journal[2].Alert.OccurrenceCount)
	require.Zero(t, journal[2].Alert.ClearedAt)

	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c1", 60))
	require.Zero(t, s.Open())
	_, journal = play(rs, s, at(t0+100_000, 99))
	require.Len(t, journal, 1)
	require.Equal(t, telemetry.EventRaised, journal[0].Alert.Event, "what was seen and over is a new incident")
	require.Equal(t, AlertID("d1", "temperature_high", t0+100_000), journal[0].Alert.AlertID)
	require.EqualValues(t, 1, journal[0].Alert.Revision)
	require.Nil(t, journal[0].Alert.Ack)
}

func TestParametersAreIndependent(t *testing.T) {
	rs := standard(t)
	both := at(t0, 85)
	both.Reading.Sensors.Set(telemetry.Sensor{Name: telemetry.Current, Number: 11})
	s, journal := play(rs, State{}, both)
	require.Len(t, journal, 2)
	require.Equal(t, 2, s.Open())
	require.NotEqual(t, journal[0].Alert.AlertID, journal[1].Alert.AlertID)
	_, journal = play(rs, s, at(t0+1000, 20)) // has no current
	require.Len(t, journal, 1)
	require.Equal(t, "temperature_high", journal[0].Alert.AlertType)
}

func TestClockThatWasFastDoesNotBlindTheDevice(t *testing.T) {
	fast := at(t0+9*60_000, 20)
	fast.Received = t0
	_, journal := play(standard(t), State{}, fast, at(t0+10_000, 99))
	require.Len(t, journal, 1)
}

func TestRepeatedReadingDoesNotRaiseAgain(t *testing.T) {
	// A clock that is minutes fast, and a message that comes twice.
	fast := func(second int64, v float64) Input {
		in := at(t0+9*60_000+second*1000, v)
		in.Received = t0 + second*1000
		return in
	}
	_, journal := play(standard(t), State{}, fast(0, 99), fast(1, 20), fast(0, 99))
	require.Len(t, journal, 2)
}

func TestAlarmOfARemovedRuleClears(t *testing.T) {
	s, _ := play(standard(t), State{}, at(t0, 99))
	_, journal := play(compile(t), s, at(t0+1000, 99))
	require.Len(t, journal, 1)
	require.Equal(t, telemetry.AlertCleared, journal[0].Alert.Status)
	require.Equal(t, "the rule temperature_high is gone; temperature is 99 °C", journal[0].Alert.Message)

	elsewhere := builtIn().Rules[0]
	elsewhere.Where.Buildings = []string{"B栋"}
	_, journal = play(compile(t, elsewhere), s, at(t0+1000, 99))
	require.Len(t, journal, 1)
	require.Equal(t, telemetry.AlertCleared, journal[0].Alert.Status)
}

func TestClearedAlertNamesTheLimitItWasRaisedFor(t *testing.T) {
	s, _ := play(standard(t), State{}, at(t0, 99))
	stricter := compile(t, Rule{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 60}, Severity: telemetry.SeverityLow})
	s, journal := play(stricter, s, at(t0+1000, 70))
	require.Empty(t, journal, "the new limit counts")
	_, journal = play(stricter, s, at(t0+2000, 60))
	require.Len(t, journal, 1)
	require.InDelta(t, 80, journal[0].Alert.Threshold.Value, 0)
	require.Equal(t, telemetry.SeverityHigh, journal[0].Alert.Severity)
}

func TestFirstRuleOfATypeThatFitsCounts(t *testing.T) {
	rs := compile(
		t,
		Rule{ID: "hot_in_the_server_room", Type: "hot", Where: Where{Buildings: []string{"A栋"}, Floors: []int{3}}, If: Condition{Kind: High, Parameter: temperature, Limit: 90}},
		Rule{ID: "hot_elsewhere", Type: "hot", If: Condition{Kind: High, Parameter: temperature, Limit: 30}},
	)
	_, journal := play(rs, State{}, series(50, 95, 95)...)
	require.Equal(t, []brief{{"hot", telemetry.EventRaised, 1}}, briefs(journal))
	require.Equal(t, "hot_in_the_server_room", journal[0].Alert.Rule)

	other := at(t0, 50)
	other.Reading.Location.Floor = 4
	_, journal = play(rs, State{}, other)
	require.Len(t, journal, 1)
	require.Equal(t, "hot_elsewhere", journal[0].Alert.Rule)
}

func TestStepDoesNotTouchTheStateItIsGiven(t *testing.T) {
	before, _ := play(standard(t), State{}, at(t0, 85))
	kept, err := before.Encode()
	require.NoError(t, err)
	_, _ = play(standard(t), before, at(t0+1000, 95), at(t0+2000, 20), at(t0+3000, -5))
	again, err := before.Encode()
	require.NoError(t, err)
	require.JSONEq(t, string(kept), string(again))
}

func TestOnlyWhatMustBeKeptIsReported(t *testing.T) {
	rs := standard(t)
	want := []bool{false, true, false, true, true, false}
	var s State
	for i, in := range series(20, 85, 84, 86, 20, 21) {
		var keep bool
		s, _, keep = rs.Step(s, in, nil)
		require.Equal(t, want[i], keep, "reading %d", i)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	rs := standard(t)
	var s State
	for i := range int64(200) {
		s, _ = play(rs, s, at(t0+i*100_000, 99), at(t0+i*100_000+50_000, 20))
	}
	a, ok := s.Live("temperature_high")
	require.True(t, ok)
	require.EqualValues(t, 400, a.Revision)
	require.Len(t, a.History, maxHistory)
	require.Equal(t, a.Timestamp, a.History[maxHistory-1].At)
	require.Equal(t, 200, a.OccurrenceCount)
}

func TestStaleAlarm(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, at(t0, 99))
	const day = 24 * 60 * minute
	require.Equal(t, t0+day+tickGrace, s.Due())
	ticked, journal, keep := rs.Tick(s, s.Due(), nil)
	require.True(t, keep)
	require.Equal(t, []brief{{"temperature_high", telemetry.EventStale, day / 1000}}, briefs(journal))
	require.True(t, journal[0].Alert.Stale)
	require.Zero(t, ticked.Due())

	_, stepped := play(rs, s, at(t0+day+1000, 99))
	stepped[0].Alert.LastSeen = journal[0].Alert.LastSeen
	require.Equal(t, journal, stepped, "readings find out at the same time as the clock")
	_, stepped = play(rs, ticked, at(t0+day+10_000, 20))
	require.False(t, stepped[0].Alert.Stale)
}

func TestChatteringSettles(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, series(81, 20, 81, 20, 81, 20)...)
	a, _ := s.Live("temperature_high")
	require.True(t, a.Chattering)
	s, journal, _ := rs.Tick(s, t0+4000+minute+tickGrace, nil)
	require.Equal(t, []brief{{"temperature_high", telemetry.EventSettled, 64}}, briefs(journal))
	require.Zero(t, s.Due())

	// Acknowledged in between: what made it chatter is not forgotten.
	s, _ = play(rs, State{}, at(t0, 81), at(t0+1000, 20))
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c1", 2))
	s, _ = play(rs, s, at(t0+3000, 81), at(t0+4000, 20))
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c2", 5))
	s, journal = play(rs, s, at(t0+6000, 81), at(t0+7000, 20))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventRaised, 6}, {"temperature_high", telemetry.EventChattering, 6}, {"temperature_high", telemetry.EventCleared, 7}}, briefs(journal))
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c3", 8))
	s, journal, _ = rs.Tick(s, t0+10*minute, nil)
	require.Equal(t, []brief{{"temperature_high", telemetry.EventSettled, 66}}, briefs(journal))
	require.Empty(t, s.mem.Alarms)
}

func TestFastEnoughForEveryReading(t *testing.T) {
	rs := compile(t, ten()...)
	require.GreaterOrEqual(t, rs.Len(), 10)
	var s State
	var out []Transition
	in := full(t0)
	s, _, _ = rs.Step(s, in, nil)
	n := testing.AllocsPerRun(1000, func() {
		in.Reading.Timestamp += 10
		in.Reading.Sensors[0].Number += 0.001
		in.Received += 10
		s, out, _ = rs.Step(s, in, out[:0])
	})
	require.Less(t, n, 0.5, "only the window of a rate of change may allocate, now and then")
	require.Empty(t, out)
}

// ten are ten rules of all kinds.
func ten() []Rule {
	return append(
		builtIn().Rules,
		Rule{ID: "temperature_high_high", If: Condition{Kind: HighHigh, Parameter: temperature, Limit: 95, Deadband: 2}, OnDelay: 5 * time.Second},
		Rule{ID: "humidity_high", If: Condition{Kind: High, Parameter: humidity, Limit: 90, Deadband: 2}},
		Rule{ID: "temperature_stuck", If: Condition{Kind: Stuck, Parameter: temperature, For: 10 * time.Minute}},
		Rule{ID: "temperature_rate", If: Condition{Kind: Rate, Parameter: temperature, Limit: 1000}},
		Rule{ID: "temperature_deviation", If: Condition{Kind: Deviation, Parameter: temperature, Limit: 8}},
		Rule{ID: "battery_low", If: Condition{Kind: BatteryLow, Limit: 15}},
		Rule{ID: "signal_weak", If: Condition{Kind: SignalWeak, Limit: -90}},
		Rule{ID: "switch_off", If: Condition{Kind: SwitchIs, On: false}, OnDelay: time.Minute},
		Rule{ID: "device_offline", If: Condition{Kind: Offline}},
	)
}

// full is a reading with all there can be.
func full(ts int64) Input {
	in := at(ts, 25)
	r := in.Reading
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Humidity, Number: 50, Unit: "%"})
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Pressure, Number: 1013, Unit: "hPa"})
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Current, Number: 2.5, Unit: "A"})
	r.Sensors.Set(telemetry.Switch(telemetry.SwitchStatus, true))
	r.Info = telemetry.DeviceInfo{Model: "IOT-SENSOR-V2", Battery: telemetry.Some(85), SignalStrength: telemetry.Some(-45)}
	in.Room = &RoomView{{temperature, RoomValue{Count: 3, Mean: 24, Median: 24}}}
	return in
}

// BenchmarkStep is the cost of a reading: of a quiet device with the built-in rules and
// with ten, of one with an unacknowledged alarm, and of one whose alarm holds.
func BenchmarkStep(b *testing.B) {
	for _, bench := range []struct {
		name  string
		rules []Rule
		first float64
		then  float64
	}{
		{"builtin", builtIn().Rules, 25, 25},
		{"ten", ten(), 25, 25},
		{"ten,returned", ten(), 85, 25},
		{"ten,holds", ten(), 85, 82},
	} {
		b.Run(bench.name, func(b *testing.B) {
			rs := compile(b, bench.rules...)
			in := full(t0)
			value := &in.Reading.Sensors.Find(telemetry.Temperature).Number
			*value = bench.first
			(*in.Room)[0].Median = bench.then
			s, out, _ := rs.Step(State{}, in, nil)
			b.ReportAllocs()
			for b.Loop() {
				// A reading every 5 s, ever newer; but no alarm becomes stale.
				in.Reading.Timestamp += 5000
				in.Received += 5000
				*value = bench.then + float64(in.Reading.Timestamp%7)/10
				s, out, _ = rs.Step(s, in, out[:0])
			}
		})
	}
}
