package archive

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

// lived returns the time-weighted values of a minute by the definition: each ms of it, of each device,
// has the value of its newest reading, unless that is more than holds usual intervals old.
func (l log) lived(minute, now int64) (n sum) {
	type state struct {
		at, gap int64
		value   float64
	}
	devices := make(map[string]*state)
	cover := func(s *state, until int64) {
		limit := s.at + longestGap
		if s.gap != 0 {
			limit = s.at + holds*s.gap
		}
		from, to := max(s.at, minute*minuteMS), min(until, limit, (minute+1)*minuteMS)
		if to > from {
			n.add(sum{to - from, s.value * float64(to-from), s.value, s.value})
		}
	}
	for _, r := range l {
		s := devices[r.Device]
		v := r.Sensors.Find("temperature").Number
		if s == nil {
			devices[r.Device] = &state{at: r.At, value: v}
			continue
		}
		cover(s, r.At)
		limit := s.at + longestGap
		if s.gap != 0 {
			limit = s.at + holds*s.gap
		}
		if r.At <= limit {
			s.gap = r.At - s.at
		}
		s.at, s.value = r.At, v
	}
	for _, s := range devices {
		cover(s, now)
	}
	return n
}

// TestMeansAreOfAllDevices: the course of a building is what its definition says, whatever is flushed,
// compacted and read again after a restart, across midnight.
func TestMeansAreOfAllDevices(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		c := &clock{day0 + dayMS + 2*hourMS}
		o := options(t.TempDir(), c)
		var l log
		for at := day0 + dayMS - hourMS; at < c.ms; at += r.Int64N(9000) {
			device := []string{"d1", "d2", "d3"}[r.IntN(3)]
			if device == "d3" && at%hourMS > hourMS/4 {
				continue // it is silent for most of the time
			}
			l = append(l, Reading{Device: device, Building: "B", At: at, Sensors: telemetry.Sensors{number("temperature", math.Round(r.Float64()*1000)/10)}})
		}
		for done := 0; done < len(l); {
			a := open(t, o)
			h := head(t, a, 0)
			for range 1 + r.IntN(3) {
				done = min(len(l), max(done, int(h.Next()))+r.IntN(500))
				l.read(t, h, done)
				if r.IntN(3) > 0 {
					require.NoError(t, h.Flush(t.Context()))
				}
			}
			require.NoError(t, a.Close())
		}
		a := open(t, o)
		h := head(t, a, 0)
		l.read(t, h, len(l))
		check := func(how string) {
			q := history.Query{Buildings: []string{"B"}, From: day0 + dayMS - hourMS, To: c.ms - 1, Step: minuteMS}
			require.NoError(t, q.Check())
			answer, err := a.Series(t.Context(), &q)
			require.NoError(t, err)
			s := answer.Series[0]
			require.Len(t, s.Time, 180, how)
			col := s.Values["temperature"]
			for i, at := range s.Time {
				want := l.lived(at/minuteMS, c.ms)
				require.InEpsilon(t, want.product/float64(want.ms), col.Mean[i], 1e-4, "seed %d, %s: minute %d", seed, how, i)
				require.InDelta(t, want.min, col.Min[i], 1e-9, how)
				require.InDelta(t, want.max, col.Max[i], 1e-9, how)
				require.Equal(t, max(1, int64(math.Round(float64(want.ms)/minuteMS))), col.N[i], how)
			}
			require.Equal(t, "°C", col.Unit)
			require.Equal(t, day0+dayMS-hourMS, s.Begins, how)
		}
		check("in memory")
		require.NoError(t, h.Flush(t.Context()))
		check("in files")
		a.Tidy(t.Context())
		check("compacted")
		q := history.Query{Buildings: []string{"B", "unknown"}, From: day0, To: c.ms - 1, Points: 10}
		answer, err := a.Series(t.Context(), &q)
		require.NoError(t, err)
		require.Len(t, answer.Series[0].Time, 2, "steps of three hours")
		require.Empty(t, answer.Series[1].Time)
		require.Zero(t, answer.Series[1].Begins)
		require.NoError(t, a.Close())
	}
}

// TestLateReadingsFillTheTimeOfSilence: what a device kept while it was cut off comes into the course.
func TestLateReadingsFillTheTimeOfSilence(t *testing.T) {
	c := &clock{noon + hourMS}
	a := open(t, options(t.TempDir(), c))
	h := head(t, a, 0)
	for i := range int64(12) {
		put(t, h, "d1", noon+i*5000, number("temperature", 10))
	}
	for i := range int64(12) {
		put(t, h, "d1", noon+20*minuteMS+i*5000, number("temperature", 30))
	}
	for i := range int64(24) { // from the silence in between
		put(t, h, "d1", noon+10*minuteMS+i*5000, number("temperature", 20))
	}
	answer, err := a.Series(t.Context(), &history.Query{Buildings: []string{"A"}, From: noon, To: noon + hourMS, Step: 10 * minuteMS})
	require.NoError(t, err)
	require.Equal(t, []int64{noon, noon + 10*minuteMS, noon + 20*minuteMS}, answer.Series[0].Time)
	require.Equal(t, history.Numbers{10, 20, 30}, answer.Series[0].Values["temperature"].Mean)
}
