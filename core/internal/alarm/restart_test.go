package alarm

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestRestartFromPersistedStateChangesNothing: a state is written only when Step reports
// that it must be. A process killed at any moment that resumes from the last one written
// gives the same journal, running delays included.
func TestRestartFromPersistedStateChangesNothing(t *testing.T) {
	rules := slices.DeleteFunc(busy(), func(r Rule) bool {
		return r.If.Kind == Rate || r.If.Kind == Stuck // their window restarts: see the next test
	})
	rs := compile(t, rules...)
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		inputs := slices.DeleteFunc(wander(rnd, 300), func(in Input) bool { return in.Reading.Timestamp < in.Received })
		for _, in := range inputs { // unchanged state need not be kept
			for _, x := range append(full(0).Reading.Sensors, telemetry.Switch(telemetry.SwitchStatus, true)) {
				if in.Reading.Sensors.Find(x.Name) == nil {
					in.Reading.Sensors.Set(x)
				}
			}
			in.Reading.Sensors.Set(telemetry.Switch("door", in.Offset%5 > 1))
			in.Reading.Sensors.Set(telemetry.Sensor{Name: "co2", Number: 980 + float64(in.Offset*7%40)})
		}
		_, want := play(rs, State{}, inputs...)
		require.NotEmpty(t, want)
		var s, kept State
		var got []Transition
		for _, in := range inputs {
			var keep bool
			if s, got, keep = rs.Step(s, in, got); keep {
				kept = s.Clone()
			}
			if rnd.IntN(20) == 0 {
				s = again(t, kept).SeenUntil(in.Reading.Timestamp)
			}
		}
		require.Equal(t, timeless(want), timeless(got), "seed %d", seed)
	}
}

// TestStuckSensorIsFoundAcrossARestart: a restart costs at most a quarter of the time.
func TestStuckSensorIsFoundAcrossARestart(t *testing.T) {
	rs := compile(t, Rule{ID: "x", If: Condition{Kind: Stuck, Parameter: temperature, For: 10 * time.Minute}})
	for crash := range 125 {
		var s, kept State
		var journal []Transition
		for i := range 160 {
			var keep bool
			if s, journal, keep = rs.Step(s, at(t0+int64(i)*5000, 21), journal); keep {
				kept = s.Clone()
			}
			if i == crash {
				s = again(t, kept).SeenUntil(t0 + int64(i)*5000)
			}
		}
		require.Len(t, journal, 1, "crash after %d", crash)
		took := journal[0].Alert.RaisedAt - t0
		require.GreaterOrEqual(t, took, int64(600_000))
		require.LessOrEqual(t, took, int64(750_000), "crash after %d", crash)
	}
}

// TestQuietDeviceCostsNothing: a device without alarms needs only the struct.
func TestQuietDeviceCostsNothing(t *testing.T) {
	rs := compile(t, ten()...)
	s, out := play(rs, State{}, full(t0))
	require.Empty(t, out)
	require.Nil(t, s.mem)
	_, _, keep := rs.Step(s, full(t0+1000), nil)
	require.False(t, keep)
	none, _ := play(standard(t), State{}, full(t0), full(t0+1000))
	require.Equal(t, State{seen: t0 + 1000, of: none.of, tracks: none.tracks}, none)
	require.Len(t, none.tracks, 2, "of the signals that rules judge")
	require.Equal(t, 2, cap(none.tracks))
}
