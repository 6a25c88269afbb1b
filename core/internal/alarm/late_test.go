package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// waited is a reading that lay in a gateway's buffer.
func waited(second int64, v float64, d time.Duration) Input {
	in := at(t0+second*1000, v)
	in.Waited = d.Milliseconds()
	return in
}

func TestExcursionWhollyInThePastIsHistory(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, waited(0, 20, time.Hour), waited(1, 95, time.Hour), waited(2, 99, time.Hour), waited(3, 20, time.Hour), waited(4, 20, time.Minute))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventRaised, 1}, {"temperature_high", telemetry.EventCleared, 3}}, briefs(journal))
	require.Zero(t, s.Open())
	for i, state := range []telemetry.AlarmState{telemetry.AlarmUnacknowledged, telemetry.AlarmNormal} {
		a := &journal[i].Alert
		require.True(t, a.Historical)
		require.Equal(t, state, a.State)
		require.EqualValues(t, i+1, a.Revision)
		require.Equal(t, AlertID("d1", "temperature_high", t0+1000), a.AlertID)
	}
	require.InDelta(t, 95, journal[0].Alert.PeakValue, 0)
	require.InDelta(t, 99, journal[1].Alert.PeakValue, 0)
	require.Equal(t, t0+1000+3_600_000, journal[0].Alert.DetectedAt)
}

func TestExcursionThatStillHoldsBecomesAnAlarm(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, waited(0, 95, time.Hour), waited(1, 99, 30*time.Minute))
	require.Empty(t, journal)
	require.Zero(t, s.Open(), "not announced yet")
	s = again(t, s)
	s, journal = play(rs, s, waited(2, 90, time.Minute))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventRaised, 0}}, briefs(journal), "its start is known")
	require.False(t, journal[0].Alert.Historical)
	require.InDelta(t, 99, journal[0].Alert.PeakValue, 0)
	require.Equal(t, t0+2000+60_000, journal[0].Alert.DetectedAt)
	require.Equal(t, 1, s.Open())
}

func TestExcursionOfADeviceThatSendsNoMoreBecomesAnAlarm(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, waited(0, 95, time.Hour))
	due := s.Due()
	require.Equal(t, t0+(60+5+2)*minute, due)
	s, journal, _ := rs.Tick(s, due-1, nil)
	require.Empty(t, journal)
	s, journal, keep := rs.Tick(s, due, nil)
	require.True(t, keep)
	require.Len(t, journal, 1)
	require.False(t, journal[0].Alert.Historical)
	require.Equal(t, 1, s.Open())
}

func TestOldReadingsEndAnAlarmButDoNotRepeatIt(t *testing.T) {
	rs := standard(t)
	s, journal := play(rs, State{}, at(t0, 95), waited(1, 20, time.Hour), waited(2, 96, time.Hour), waited(3, 20, time.Hour))
	require.Equal(t, []brief{
		{"temperature_high", telemetry.EventRaised, 0},
		{"temperature_high", telemetry.EventCleared, 1},
		{"temperature_high", telemetry.EventRaised, 2},
		{"temperature_high", telemetry.EventCleared, 3},
	}, briefs(journal))
	require.False(t, journal[1].Alert.Historical, "that it is over is news")
	require.True(t, journal[2].Alert.Historical)
	require.NotEqual(t, journal[0].Alert.AlertID, journal[2].Alert.AlertID)
	a, ok := s.Live("temperature_high")
	require.True(t, ok)
	require.Equal(t, telemetry.AlarmReturned, a.State)

	_, journal = play(rs, s, waited(4, 97, time.Hour), at(t0+5000, 98))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventRepeated, 4}}, briefs(journal))
	require.Equal(t, a.AlertID, journal[0].Alert.AlertID)
	require.InDelta(t, 98, journal[0].Alert.PeakValue, 0)
}

func TestDelays(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, OnDelay: 3 * time.Second, OffDelay: 4 * time.Second})
	const raised, repeated, cleared = telemetry.EventRaised, telemetry.EventRepeated, telemetry.EventCleared
	tests := []struct {
		name   string
		values []float64
		want   []brief
	}{
		{"too short", []float64{81, 82, 83, 80, 20, 20}, nil},
		{"restarts", []float64{81, 82, 80, 81, 82, 83, 20}, nil},
		{"the deadband applies once raised", []float64{81, 79, 79, 79, 79, 79}, nil},
		{"long enough", []float64{81, 82, 83, 84}, []brief{{"x", raised, 3}}},
		{"back for too short", []float64{81, 82, 83, 84, 20, 20, 20, 20, 81, 81}, []brief{{"x", raised, 3}}},
		{"comes back before the end", []float64{81, 82, 83, 84, 20, 20, 20, 81, 20, 20, 20, 20}, []brief{{"x", raised, 3}}},
		{"comes back into the deadband only", []float64{81, 82, 83, 84, 20, 20, 20, 79, 79, 20}, []brief{{"x", raised, 3}, {"x", cleared, 8}}},
		{"and again", []float64{81, 82, 83, 84, 20, 20, 20, 20, 20, 81, 81, 81, 81}, []brief{{"x", raised, 3}, {"x", cleared, 8}, {"x", repeated, 12}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			var journal []Transition
			for _, in := range series(tt.values...) {
				s, journal, _ = rs.Step(s, in, journal)
				s = again(t, s)
			}
			require.Equal(t, tt.want, briefs(journal))
		})
	}
}

func TestDelayElapsesWithoutAReading(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: 30 * time.Second, OffDelay: 40 * time.Second})
	s, _, keep := rs.Step(State{}, at(t0, 85), nil)
	require.True(t, keep, "a running delay survives a restart")
	require.Equal(t, t0+30_000+tickGrace, s.Due())
	s, byClock, _ := rs.Tick(again(t, s), s.Due(), nil)
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 30}}, briefs(byClock))
	require.Equal(t, "temperature 85 °C is above 80 °C for 30s", byClock[0].Alert.Message)
	require.Equal(t, &telemetry.AlarmEvidence{Partition: 7}, byClock[0].Alert.Evidence)

	// A reading that contradicts the clock, but arrives after it has decided.
	late, journal := play(rs, s, at(t0+29_000, 20))
	require.Empty(t, journal)
	require.Equal(t, 1, late.Open())

	s, _, keep = rs.Step(s, at(t0+60_000, 20), nil)
	require.True(t, keep)
	_, byClock, _ = rs.Tick(again(t, s), s.Due(), nil)
	require.Equal(t, []brief{{"x", telemetry.EventCleared, 100}}, briefs(byClock))

	// The next reading finds out the same: only when it was noticed differs.
	_, journal = play(rs, State{}, at(t0, 85), at(t0+60_000, 20), at(t0+200_000, 20))
	require.Equal(t, []brief{{"x", telemetry.EventRaised, 30}, {"x", telemetry.EventCleared, 100}}, briefs(journal))
}

// TestClockEndsNoDelayEarly: an hour-old backlog arrives within seconds while the clock
// ticks. Delays take as long as the readings say, not as long ago as they are.
func TestClockEndsNoDelayEarly(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: 10 * time.Minute, OffDelay: 10 * time.Minute})
	hour, minutes := time.Hour.Milliseconds(), time.Minute.Milliseconds()
	var s State
	var journal []Transition
	send := func(from, to int64, v float64) {
		for m := from; m < to; m++ {
			in := at(t0+m*minutes, v)
			in.Waited = hour - m*minutes + m*100 // a reading every 100 ms from t0 + 1h on
			in.Received = in.Reading.Timestamp
			s, journal, _ = rs.Step(s, in, journal)
			for now := t0 + hour + m*100; now < t0+hour+(m+1)*100; now += 20 {
				s, journal, _ = rs.Tick(again(t, s), now+tickGrace, journal)
			}
		}
	}
	send(0, 9, 85)
	send(9, 10, 20) // held for nine minutes
	send(10, 20, 85)
	require.Empty(t, journal)
	require.Negative(t, t0+hour-s.Due(), "not before ten minutes of its own")
	require.Equal(t, t0+hour+1900+minutes+tickGrace, s.Due())
	s, _, _ = rs.Tick(s, s.Due()-1, nil)
	require.Empty(t, s.mem.Alarms)
	s, _, _ = rs.Tick(s, s.Due(), nil)
	require.Equal(t, t0+20*minutes, s.mem.Alarms[0].Since)
}

// TestPlantTimeCounts: of a device whose clock is five hours slow.
func TestPlantTimeCounts(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: High, Parameter: temperature, Limit: 80}, OnDelay: 10 * time.Minute})
	var s State
	var journal []Transition
	for m := range int64(12) {
		in := at(t0+m*60_000, 85)
		in.At, in.Reading.Timestamp = in.Reading.Timestamp, in.Reading.Timestamp-5*3_600_000
		s, journal, _ = rs.Step(s, in, journal)
		s, journal, _ = rs.Tick(s, in.At+tickGrace, journal)
		require.Len(t, journal, int(m/10), m)
	}
	require.Equal(t, t0+600_000, journal[0].Alert.RaisedAt)
	require.Equal(t, t0+660_000, s.lastOf(temperature))
	_, _, o := rs.Observe(State{}, Input{Reading: at(t0, 85).Reading, At: t0 - 5, Received: t0}, "x", nil)
	require.Equal(t, []bool{true}, o.Holds)
}

func TestStateOfTheFirstVersionIsRead(t *testing.T) {
	old := `{"active":[{"alert_id":"abc","type":"temperature_high","parameter":0,"operator":">","value":80,"severity":"high","raised_at":1700000000000,"peak":90}],"last":[1700000000000,0,0,0],"changed":1700000000000}`
	s, err := DecodeState([]byte(old))
	require.NoError(t, err)
	require.Equal(t, t0, s.lastOf(temperature))
	a, ok := s.Live("temperature_high")
	require.True(t, ok)
	require.Equal(t, telemetry.AlarmUnacknowledged, a.State)
	require.Zero(t, s.Due(), "its device is not known yet")
	rs := standard(t)
	s, journal := play(rs, again(t, s), at(t0+1000, 95), at(t0+2000, 20))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventCleared, 2}}, briefs(journal))
	require.Equal(t, "abc", journal[0].Alert.AlertID)
	require.Equal(t, "d1", journal[0].Alert.DeviceID)
	require.Equal(t, "A栋", journal[0].Alert.Location.Building)
	require.EqualValues(t, 2, journal[0].Alert.Revision)
	require.InDelta(t, 95, journal[0].Alert.PeakValue, 0)
	_, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c", 3))

	s, err = DecodeState([]byte(old))
	require.NoError(t, err)
	_, acked := do(t, rs, s, command(telemetry.ActionAcknowledge, "c", 3))
	require.Equal(t, "d1", acked.DeviceID, "a command fills in the device too")
}

func TestDecodeState(t *testing.T) {
	s, _ := play(compile(t, ten()...), State{}, full(t0), full(t0+1000))
	require.JSONEq(t, string(encode(t, s)), string(encode(t, again(t, s))))
	s, _ = play(standard(t), State{}, at(t0, 85))
	require.JSONEq(t, string(encode(t, s)), string(encode(t, again(t, s))))
	for _, bad := range []string{
		``, `{`, `[]`, `{"active":[{"parameter":200}]}`, `{"active":[{"parameter":4}]}`, `{"alarms":[{}]}`,
		`{"alarms":[{"source":"rule","status":"active","state":"normal","threshold":{"parameter":"current"}}]}`,
		`{"alarms":[{"source":"rule","status":"active","state":"acknowledged","threshold":{"parameter":"Noise"}}]}`,
		`{"alarms":[{"source":"watchdog"},{"source":"watchdog"}]}`,
		`{"rates":[{"n":9}]}`, `{"still":[{"signal":"X"}]}`, `{"sensors":{"a-b":1}}`, `{"sensors":{"":1}}`,
	} {
		_, err := DecodeState([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestForgettable(t *testing.T) {
	rs := standard(t)
	s, _ := play(rs, State{}, at(t0, 85))
	require.False(t, s.Forgettable(t0+1e9, 1000), "an alarm is raised")
	s, _ = play(rs, s, at(t0+1000, 20))
	require.False(t, s.Forgettable(t0+1e9, 1000), "not acknowledged")
	s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "c", 100))
	require.False(t, s.Forgettable(t0+100_000, 1000), "the command may come again")
	require.True(t, s.Forgettable(t0+101_001, 1000))
	require.True(t, State{}.Forgettable(t0, 1000))
}
