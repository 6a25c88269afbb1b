package historian

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/archive"
	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	minute  = 60_000
	firstMS = 1_790_000_000_000 / dayMS * dayMS
	days    = 3
)

// course returns three days of a device, a reading a minute: two sensors, of which one is missing now
// and then, a switch and a text. At spikeMS the temperature is far off for three readings.
func course() (log []archive.Reading) {
	r := rand.New(rand.NewPCG(1, 2))
	for at := int64(firstMS); at < firstMS+days*dayMS; at += minute {
		temperature := 20 + 2*math.Sin(float64(at%dayMS)/dayMS*2*math.Pi) + r.NormFloat64()/10
		if at >= spikeMS && at < spikeMS+3*minute {
			temperature = 90
		}
		x := archive.Reading{Device: "d1", Building: "A", At: at, Sensors: telemetry.Sensors{
			{Name: "mode", Kind: telemetry.Text, Text: "auto"},
			{Name: "temperature", Number: temperature, Unit: "°C"},
			{Name: "on", Kind: telemetry.Bool, Number: 1},
		}}
		if at/minute%7 != 0 {
			x.Sensors = append(x.Sensors, telemetry.Sensor{Name: "humidity", Number: 50 + r.NormFloat64(), Unit: "%"})
		}
		log = append(log, x)
	}
	return log
}

const spikeMS = firstMS + 2*dayMS + dayMS/2

// kept returns an archive with a log of which a part comes late.
func kept(t *testing.T, log []archive.Reading) *archive.Archive {
	t.Helper()
	a, err := archive.Open(archive.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	h, err := a.Head(t.Context(), 0)
	require.NoError(t, err)
	third := len(log) / 3
	for _, part := range [][]archive.Reading{log[:third], log[2*third:], log[third : 2*third]} {
		for i := range part {
			require.NoError(t, h.Append(h.Next(), &part[i]))
		}
		require.NoError(t, h.Flush(t.Context()))
	}
	return a
}

// shown returns the scores and states that a detector gives the temperature of a log.
func shown(log []archive.Reading, from, to int64) (times []int64, score, state history.Numbers) {
	settings := detect.Defaults()
	var d detect.Device
	for i := range log {
		if log[i].At > to {
			break
		}
		var in []detect.Sample
		at := -1
		for _, s := range log[i].Sensors {
			if s.Kind == telemetry.Number {
				if s.Name == "temperature" {
					at = len(in)
				}
				in = append(in, detect.Sample{Sensor: s.Name, Value: s.Number})
			}
		}
		v := d.Step(&settings, log[i].At, in, nil)
		if log[i].At >= from {
			times, score, state = append(times, log[i].At), append(score, v[at].Score), append(state, v[at].State)
		}
	}
	return times, score, state
}

func TestReplayIsWhatTheDetectorSaysReadingByReading(t *testing.T) {
	log := course()
	a := kept(t, log)
	const from, to = spikeMS - 3*3_600_000, spikeMS + 3*3_600_000 - 1
	q := history.DetectQuery{Device: "d1", From: from, To: to, Points: history.MaxPoints}
	require.NoError(t, q.Check())
	answer, err := replay(t.Context(), a, &q, mostReadings)
	require.NoError(t, err)
	require.NoError(t, answer.Check())
	require.EqualValues(t, firstMS, answer.LearnedFrom)
	require.Equal(t, 1, answer.Every)
	require.Len(t, answer.Sensors, 2, "a switch and a text have no usual range")
	require.Equal(t, "humidity", answer.Sensors[0].Parameter)

	s := answer.Sensor("temperature")
	require.Equal(t, "°C", s.Unit)
	require.False(t, s.Learning)
	times, score, state := shown(log, from, to)
	require.Equal(t, times, s.Time)
	require.Equal(t, score, s.Score)
	require.Equal(t, state, s.State)
	for i := range s.Time {
		require.LessOrEqual(t, s.Low[i], s.High[i])
	}
	require.NotEmpty(t, s.Anomalies)
	found := s.Anomalies[0]
	require.Equal(t, "temperature", found.Sensor)
	require.InDelta(t, spikeMS, found.Since, 10*minute)
	require.Greater(t, found.Score, 0.5)
	require.Greater(t, found.Until, int64(spikeMS))

	// Steps keep the highest of each.
	q.Points, q.Parameters = 25, []string{"temperature"}
	answer, err = replay(t.Context(), a, &q, mostReadings)
	require.NoError(t, err)
	require.Len(t, answer.Sensors, 1)
	steps := answer.Sensors[0]
	require.LessOrEqual(t, len(steps.Time), 25)
	require.InDelta(t, highest(score), highest(steps.Score), 0)
	require.InDelta(t, highest(state), highest(steps.State), 0)
	require.Equal(t, s.Anomalies, steps.Anomalies, "found from all readings")
}

func TestSpikeThatStaysIsToldAsALevel(t *testing.T) {
	log := course()
	for i := range log {
		for k := range log[i].Sensors {
			if s := &log[i].Sensors[k]; s.Name == "temperature" && log[i].At >= spikeMS {
				s.Number += 10
			}
		}
	}
	q := history.DetectQuery{Device: "d1", Parameters: []string{"temperature"}, From: spikeMS - 3_600_000, To: spikeMS + 3_600_000, Points: 100}
	for after, kind := range map[int64]telemetry.AnomalyKind{0: telemetry.AnomalySpike, 3_600_000: telemetry.AnomalyLevel} {
		q.To = spikeMS + after
		answer, err := replay(t.Context(), kept(t, log), &q, mostReadings)
		require.NoError(t, err)
		found := answer.Sensors[0].Anomalies
		require.Len(t, found, 1)
		require.Equal(t, kind, found[0].Kind)
		require.EqualValues(t, spikeMS, found[0].Since)
		require.Zero(t, found[0].Until)
	}
}

func highest(list history.Numbers) (top float64) {
	for _, v := range list {
		top = max(top, v)
	}
	return top
}

func TestReplayIsBounded(t *testing.T) {
	a := kept(t, course())
	q := history.DetectQuery{Device: "d1", From: firstMS + 2*dayMS, To: firstMS + 3*dayMS - 1, Points: 100}
	for _, c := range []struct {
		most    int64
		learned int64
		every   int
	}{
		{3 * 1440, firstMS, 1},
		{2 * 1440, firstMS + dayMS, 1},
		{1440, firstMS + dayMS + minute, 2}, // the second of each two
	} {
		answer, err := replay(t.Context(), a, &q, c.most)
		require.NoError(t, err)
		require.Equal(t, c.learned, answer.LearnedFrom, "at most %d", c.most)
		require.Equal(t, c.every, answer.Every, "at most %d", c.most)
		require.NotEmpty(t, answer.Sensor("temperature").Time)
	}
}

func TestReplayOfNothing(t *testing.T) {
	a := kept(t, course())
	q := history.DetectQuery{Device: "nobody", From: firstMS, To: firstMS + dayMS, Points: 100}
	answer, err := replay(t.Context(), a, &q, mostReadings)
	require.NoError(t, err)
	require.Zero(t, answer.LearnedFrom)
	require.NotNil(t, answer.Sensors)
	require.Empty(t, answer.Sensors)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.Device = "d1"
	_, err = replay(ctx, a, &q, mostReadings)
	require.ErrorIs(t, err, context.Canceled)
}
