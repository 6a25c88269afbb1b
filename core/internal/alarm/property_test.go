package alarm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// wander is a random walk of readings over and under the limits, with repeated, late
// and long waiting ones among them.
func wander(rnd *rand.Rand, n int) []Input {
	inputs := make([]Input, 0, n)
	ts, v := t0, 70.0
	for range n {
		ts += 1 + rnd.Int64N(5000)
		v = max(-20, min(v+rnd.NormFloat64()*6, 110))
		in := at(ts, v)
		in.Reading.Sensors.Analog[telemetry.Current] = telemetry.Measurement{Present: rnd.IntN(3) > 0, Value: 10 + rnd.NormFloat64()}
		switch rnd.IntN(12) {
		case 0:
			in.Reading.Timestamp -= rnd.Int64N(60_000)
		case 1:
			in.Waited = rnd.Int64N(600_000)
		case 2:
			inputs = append(inputs, in) // comes twice
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// TestNoIllegalTransition: for each kind of alarm, active and cleared alternate, in the
// order of time, with one id for the pair and no id used twice.
func TestNoIllegalTransition(t *testing.T) {
	for seed := range uint64(50) {
		_, journal := play(rules(t), State{}, wander(rand.New(rand.NewPCG(seed, 2)), 500)...)
		open := map[string]telemetry.Alert{}
		used := map[string]bool{}
		last := map[string]int64{}
		for i, a := range journal {
			where := fmt.Sprintf("seed %d, alert %d: %+v", seed, i, a)
			prev, active := open[a.AlertType]
			require.GreaterOrEqual(t, a.Timestamp, last[a.AlertType], where)
			last[a.AlertType] = a.Timestamp
			switch a.Status {
			case telemetry.AlertActive:
				require.False(t, active, where)
				require.False(t, used[a.AlertID], where)
				require.Equal(t, a.Timestamp, a.RaisedAt, where)
				require.Zero(t, a.ClearedAt, where)
				used[a.AlertID] = true
				open[a.AlertType] = a
			case telemetry.AlertCleared:
				require.True(t, active, where)
				require.Equal(t, prev.AlertID, a.AlertID, where)
				require.Equal(t, prev.RaisedAt, a.RaisedAt, where)
				require.Greater(t, a.ClearedAt, a.RaisedAt, where)
				delete(open, a.AlertType)
			default:
				require.Fail(t, where)
			}
		}
	}
}

// TestReplayGivesTheIdenticalJournal: the same readings give the same alerts to the
// last byte, also when the state was written and read back at any moment in between.
func TestReplayGivesTheIdenticalJournal(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		inputs := wander(rnd, 400)
		_, want := play(rules(t), State{}, inputs...)
		require.NotEmpty(t, want)

		var s State
		var got []telemetry.Alert
		for _, in := range inputs {
			if rnd.IntN(10) == 0 {
				data, err := s.Encode()
				require.NoError(t, err)
				s, err = DecodeState(data)
				require.NoError(t, err)
			}
			s, got, _ = rules(t).Step(s, in, got)
		}
		require.Equal(t, want, got, "seed %d", seed)
	}
}

// TestReadingsSeenTwiceAddNothing: what is processed again after a restart from a state
// that is ahead of it adds no alert.
func TestReadingsSeenTwiceAddNothing(t *testing.T) {
	for seed := range uint64(20) {
		inputs := wander(rand.New(rand.NewPCG(seed, 4)), 300)
		s, _ := play(rules(t), State{}, inputs...)
		_, again := play(rules(t), s, inputs...)
		require.Empty(t, again, "seed %d", seed)
	}
}

// TestLabelledExcursionsAreFoundExactly: of a series made of known excursions, each is
// found once, from its first reading beyond the limit to the first one back inside the
// deadband, with its peak; and nothing else is found.
func TestLabelledExcursionsAreFoundExactly(t *testing.T) {
	type incident struct {
		raised, cleared int64
		peak            float64
	}
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		var inputs []Input
		var want []incident
		ts := t0
		add := func(v float64) int64 {
			ts += 1000
			inputs = append(inputs, at(ts, v))
			return ts
		}
		for range 20 {
			for range 1 + rnd.IntN(10) { // quiet, up to the limit
				add(rnd.Float64() * 80)
			}
			peak := 80.001 + rnd.Float64()*20
			label := incident{raised: add(peak), peak: peak}
			for range rnd.IntN(10) { // anything that does not leave the deadband
				v := 78.001 + rnd.Float64()*30
				label.peak = max(label.peak, v)
				add(v)
			}
			label.cleared = add(rnd.Float64() * 78)
			want = append(want, label)
		}
		_, journal := play(rules(t), State{}, inputs...)
		var got []incident
		for _, a := range journal {
			if a.Status == telemetry.AlertCleared {
				got = append(got, incident{a.RaisedAt, a.ClearedAt, a.PeakValue})
			}
		}
		require.Len(t, journal, 2*len(want), "seed %d", seed)
		require.Equal(t, want, got, "seed %d", seed)
	}
}
