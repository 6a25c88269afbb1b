package alarm

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

func rules(tb testing.TB) *Rules {
	tb.Helper()
	rs, err := NewRules(5*time.Minute,
		Rule{Type: "temperature_high", Parameter: telemetry.Temperature, Operator: Above, Value: 80, Deadband: 2, Severity: telemetry.SeverityHigh},
		Rule{Type: "temperature_low", Parameter: telemetry.Temperature, Operator: Below, Value: 0, Deadband: 2, Severity: telemetry.SeverityMedium},
		Rule{Type: "current_high", Parameter: telemetry.Current, Operator: Above, Value: 10, Deadband: 0.5, Severity: telemetry.SeverityCritical},
	)
	require.NoError(tb, err)
	return rs
}

// at is a reading of device d1 received when it was taken.
func at(ts int64, temperature float64) Input {
	r := &telemetry.Reading{DeviceID: "d1", Timestamp: ts, Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}}
	r.Sensors.Analog[telemetry.Temperature] = telemetry.Measurement{Present: true, Value: temperature, Unit: "°C"}
	return Input{Reading: r, Gateway: "gw-a", Received: ts}
}

// play runs inputs through rs from state s and returns the state and the whole journal.
func play(rs *Rules, s State, inputs ...Input) (State, []telemetry.Alert) {
	var journal []telemetry.Alert
	for _, in := range inputs {
		s, journal, _ = rs.Step(s, in, journal)
	}
	return s, journal
}

func series(values ...float64) []Input {
	in := make([]Input, len(values))
	for i, v := range values {
		in[i] = at(t0+int64(i)*1000, v)
	}
	return in
}

func TestAlarmIsRaisedAndCleared(t *testing.T) {
	s, journal := play(rules(t), State{}, series(25, 85.25, 91, 79, 78, 25)...)
	require.Empty(t, s.Active)
	id := AlertID("d1", "temperature_high", t0+1000)
	require.Len(t, id, 32)
	common := telemetry.Alert{
		AlertID: id, DeviceID: "d1", AlertType: "temperature_high", Severity: telemetry.SeverityHigh,
		Threshold: telemetry.Threshold{Parameter: "temperature", Operator: ">", Value: 80},
		RaisedAt:  t0 + 1000, Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}, Gateway: "gw-a",
	}
	raised, cleared := common, common
	raised.Status, raised.Timestamp, raised.CurrentValue, raised.PeakValue = telemetry.AlertActive, t0+1000, 85.25, 85.25
	raised.Message = "temperature 85.25 °C is above 80 °C"
	cleared.Status, cleared.Timestamp, cleared.CurrentValue, cleared.PeakValue = telemetry.AlertCleared, t0+4000, 78, 91
	cleared.ClearedAt = t0 + 4000
	cleared.Message = "temperature 78 °C is back below 80 °C, peak 91 °C"
	require.Equal(t, []telemetry.Alert{raised, cleared}, journal)
}

func TestTransitions(t *testing.T) {
	const raised, cleared = telemetry.AlertActive, telemetry.AlertCleared
	type want struct {
		kind   string
		status telemetry.AlertStatus
		second int64
	}
	late := func(second int64, v float64) Input {
		in := at(t0+second*1000, v)
		in.Received += 60_000
		return in
	}
	waited := func(second int64, v float64, d time.Duration) Input {
		in := at(t0+second*1000, v)
		in.Waited = d.Milliseconds()
		return in
	}
	tests := []struct {
		name   string
		inputs []Input
		want   []want
	}{
		{"the limit itself is normal", series(80, 80, 0, 0), nil},
		{"chatter around the limit is one alarm", series(81, 79.9, 81, 79, 80.5, 78.1, 82, 78), []want{{"temperature_high", raised, 0}, {"temperature_high", cleared, 7}}},
		{"the other side has its own", series(-1, 1, -5, 2), []want{{"temperature_low", raised, 0}, {"temperature_low", cleared, 3}}},
		{"from one side to the other", series(81, -1), []want{{"temperature_high", raised, 0}, {"temperature_high", cleared, 1}, {"temperature_low", raised, 1}}},
		{"two incidents", series(81, 20, 81, 20), []want{{"temperature_high", raised, 0}, {"temperature_high", cleared, 1}, {"temperature_high", raised, 2}, {"temperature_high", cleared, 3}}},
		{"a late reading raises nothing", append(series(20, 20, 20), late(1, 99)), nil},
		{"a late reading clears nothing", append(series(20, 20, 99), late(1, 20)), []want{{"temperature_high", raised, 2}}},
		{"a repeated reading changes nothing", []Input{at(t0, 99), at(t0, 99), at(t0, 20)}, []want{{"temperature_high", raised, 0}}},
		{"what waited long raises nothing", []Input{waited(0, 99, 6*time.Minute), waited(1, 99, 6*time.Minute)}, nil},
		{"what waited long clears", []Input{at(t0, 99), waited(1, 20, 6*time.Minute)}, []want{{"temperature_high", raised, 0}, {"temperature_high", cleared, 1}}},
		{"the first fresh reading raises", []Input{waited(0, 99, 6*time.Minute), waited(1, 99, time.Minute)}, []want{{"temperature_high", raised, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, journal := play(rules(t), State{}, tt.inputs...)
			var got []want
			for _, a := range journal {
				got = append(got, want{a.AlertType, a.Status, (a.Timestamp - t0) / 1000})
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestParametersAreIndependent(t *testing.T) {
	both := at(t0, 85)
	both.Reading.Sensors.Analog[telemetry.Current] = telemetry.Measurement{Present: true, Value: 11}
	s, journal := play(rules(t), State{}, both)
	require.Len(t, journal, 2)
	require.Len(t, s.Active, 2)
	require.NotEqual(t, journal[0].AlertID, journal[1].AlertID)
	s, journal = play(rules(t), s, at(t0+1000, 20)) // says nothing about the current
	require.Len(t, journal, 1)
	require.Equal(t, "temperature_high", journal[0].AlertType)
	require.Len(t, s.Active, 1)
}

func TestClockThatWasFastDoesNotBlindTheDevice(t *testing.T) {
	fast := at(t0+9*60_000, 20)
	fast.Received = t0
	_, journal := play(rules(t), State{}, fast, at(t0+10_000, 99))
	require.Len(t, journal, 1)
}

func TestRepeatOfWhatRaisedDoesNotRaiseAgain(t *testing.T) {
	// A clock that is minutes fast, and a message that comes twice.
	fast := func(second int64, v float64) Input {
		in := at(t0+9*60_000+second*1000, v)
		in.Received = t0 + second*1000
		return in
	}
	_, journal := play(rules(t), State{}, fast(0, 99), fast(1, 20), fast(0, 99))
	require.Len(t, journal, 2)
}

func TestRuleThatIsGoneLetsItsAlarmGo(t *testing.T) {
	s, _ := play(rules(t), State{}, at(t0, 99))
	none, err := NewRules(time.Minute)
	require.NoError(t, err)
	s, journal := play(none, s, at(t0+1000, 99))
	require.Empty(t, s.Active)
	require.Len(t, journal, 1)
	require.Equal(t, telemetry.AlertCleared, journal[0].Status)
}

func TestClearedAlertNamesTheLimitItWasRaisedFor(t *testing.T) {
	s, _ := play(rules(t), State{}, at(t0, 99))
	stricter, err := NewRules(time.Minute, Rule{Type: "temperature_high", Parameter: telemetry.Temperature, Operator: Above, Value: 60, Severity: telemetry.SeverityLow})
	require.NoError(t, err)
	s, journal := play(stricter, s, at(t0+1000, 70))
	require.Empty(t, journal, "the new limit counts")
	_, journal = play(stricter, s, at(t0+2000, 60))
	require.Len(t, journal, 1)
	require.InDelta(t, 80, journal[0].Threshold.Value, 0)
	require.Equal(t, telemetry.SeverityHigh, journal[0].Severity)
}

func TestStepDoesNotTouchTheStateItIsGiven(t *testing.T) {
	before, _ := play(rules(t), State{}, at(t0, 85))
	kept, err := before.Encode()
	require.NoError(t, err)
	_, _ = play(rules(t), before, at(t0+1000, 95), at(t0+2000, 20), at(t0+3000, -5))
	again, err := before.Encode()
	require.NoError(t, err)
	require.JSONEq(t, string(kept), string(again))
}

func TestOnlyWhatMustBeKeptIsReported(t *testing.T) {
	rs := rules(t)
	want := []bool{false, true, false, true, true, false}
	var s State
	for i, in := range series(20, 85, 84, 86, 20, 21) {
		var keep bool
		s, _, keep = rs.Step(s, in, nil)
		require.Equal(t, want[i], keep, "reading %d", i)
	}
}

func TestForgettable(t *testing.T) {
	s, _ := play(rules(t), State{}, at(t0, 85))
	require.False(t, s.Forgettable(t0+1e9, 1000), "an alarm is raised")
	s, _ = play(rules(t), s, at(t0+1000, 20))
	require.False(t, s.Forgettable(t0+2000, 1000))
	require.True(t, s.Forgettable(t0+2001, 1000))
}

func TestDecodeState(t *testing.T) {
	s, _ := play(rules(t), State{}, at(t0, 85))
	data, err := s.Encode()
	require.NoError(t, err)
	again, err := DecodeState(data)
	require.NoError(t, err)
	require.Equal(t, s, again)
	for _, bad := range []string{``, `{`, `[]`, `{"active":[{"parameter":200}]}`, `{"active":[{"parameter":4}]}`} {
		_, err := DecodeState([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzDecodeState(f *testing.F) {
	f.Add([]byte(`{"active":[{"alert_id":"a","type":"temperature_high","parameter":0,"operator":">","value":80,"severity":"high","raised_at":1,"peak":90}],"last":[1,2,3,4],"changed":1}`))
	f.Add([]byte(`{}`))
	rs := rules(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeState(data)
		if err != nil {
			return
		}
		// Whatever was read, the next readings must not panic and an alarm must have a way out.
		s, _ = play(rs, s, at(math.MaxInt64-2, 20), at(math.MaxInt64-1, 20))
		for _, in := range s.Active {
			if in.Parameter == telemetry.Temperature && s.Last[telemetry.Temperature] < math.MaxInt64-3 {
				t.Fatalf("still active: %+v", in)
			}
		}
	})
}

func TestRulesAreChecked(t *testing.T) {
	good := Rule{Type: "x", Parameter: telemetry.Current, Operator: Above, Value: 1}
	tests := []struct {
		name string
		bend func(*Rule)
	}{
		{"no type", func(r *Rule) { r.Type = "" }},
		{"unknown parameter", func(r *Rule) { r.Parameter = telemetry.NumAnalog }},
		{"unknown operator", func(r *Rule) { r.Operator = ">=" }},
		{"infinite limit", func(r *Rule) { r.Value = math.Inf(1) }},
		{"limit is no number", func(r *Rule) { r.Value = math.NaN() }},
		{"negative deadband", func(r *Rule) { r.Deadband = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			tt.bend(&r)
			_, err := NewRules(0, r)
			require.Error(t, err)
		})
	}
	_, err := NewRules(0, good, good)
	require.ErrorContains(t, err, "twice")
}

func BenchmarkStep(b *testing.B) {
	rs := rules(b)
	in := at(t0, 25)
	var s State
	var out []telemetry.Alert
	b.ReportAllocs()
	for b.Loop() {
		in.Reading.Timestamp++
		in.Received++
		s, out, _ = rs.Step(s, in, out[:0])
	}
}
