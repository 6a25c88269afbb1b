package plant

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/telemetry"
)

// TestQuickPlantPutsTheBaselinesInTheirPlaces: neither one that always cries nor one that never does
// reaches anything, and nobody is judged on other readings than the rest.
func TestQuickPlantPutsTheBaselinesInTheirPlaces(t *testing.T) {
	o := Quick()
	o.Kinds = nil // silence, too
	o.Seeds, o.Interval = []uint64{1, 2}, time.Minute
	results, cost, err := Run(t.Context(), o, Baselines()...)
	require.NoError(t, err)
	require.Len(t, results, 4)
	all := make([]Tally, len(results))
	for i := range results {
		all[i] = results[i].All()
		require.Equal(t, sum(all[0].Found)+sum(all[0].Missed), sum(all[i].Found)+sum(all[i].Missed))
		require.Equal(t, 80, all[i].Days, "one judged day of 40 devices and two seeds")
	}
	always, never, sigma, moving := &all[0], &all[1], &all[2], &all[3]
	require.InDelta(t, 0.8*80, sum(never.Missed), 15)
	require.Zero(t, always.Precision()+always.Recall()+always.Accuracy())
	require.Zero(t, never.Recall()+never.FalsePerDay())
	require.InDelta(t, 1-0.8, never.Accuracy(), 0.2, "it is right on the days without a fault")
	require.InDelta(t, 1, sigma.RecallOf(telemetry.AnomalySpike), 0.2)
	require.Greater(t, moving.FalsePerDay(), 0.5)
	require.Greater(t, sigma.F1(), moving.F1())

	readings := int64(2 * 40 * 2 * 1440)
	require.Less(t, cost.Readings, readings, "some devices are silent for a while")
	require.Greater(t, cost.Readings, readings*98/100)
	require.Greater(t, cost.Values, 3*readings)

	var out strings.Builder
	Print(&out, o, results, cost)
	for _, want := range []string{"40 devices × 2 days at 1m0s, 2 seeds", "| moving z-score | 0.", "| oscillation |", "| silence |"} {
		require.Contains(t, out.String(), want)
	}
}

// oracle cries when a temperature is at a value that no healthy device reaches.
type oracle struct{ readings []int64 }

func (o *oracle) Step(at int64, samples []detect.Sample, dst []detect.Verdict) []detect.Verdict {
	o.readings = append(o.readings, at)
	for i := range samples {
		v := detect.Verdict{}
		if samples[i].HasPeers && samples[i].Sensor == telemetry.Temperature && math.Abs(samples[i].Value-samples[i].Peers) > 25 {
			v.Score = 1
		}
		dst = append(dst, v)
	}
	return dst
}

// TestDetectorsSeeEachReadingOnceInOrder and what they say comes out in the figures.
func TestDetectorsSeeEachReadingOnceInOrder(t *testing.T) {
	o := Quick()
	o.Devices, o.Interval = 10, time.Minute
	o.Kinds, o.Rule.OffDelay = []telemetry.AnomalyKind{telemetry.AnomalyLevel}, 0
	var made []*oracle
	var mu sync.Mutex // ten devices are two rooms, at the same time
	results, cost, err := Run(t.Context(), o, Contestant{"oracle", func() Detector {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, &oracle{})
		return made[len(made)-1]
	}})
	require.NoError(t, err)
	require.Len(t, made, 10)
	n := int64(0)
	for _, d := range made {
		require.Len(t, d.readings, 2*1440)
		for k := range d.readings {
			require.Equal(t, monday+int64(k)*minuteMS, d.readings[k])
		}
		n += int64(len(d.readings))
	}
	require.Equal(t, n, cost.Readings)
	require.Zero(t, results[0].Seeds[0].FalsePerDay())
}

// TestTheSamePlantGivesTheSameFigures whatever the order in which the rooms finish.
func TestTheSamePlantGivesTheSameFigures(t *testing.T) {
	o := Quick()
	o.Interval = time.Minute
	run := func() Tally {
		results, _, err := Run(t.Context(), o, Baselines()[2])
		require.NoError(t, err)
		return results[0].All()
	}
	a, b := run(), run()
	require.ElementsMatch(t, a.Delays, b.Delays)
	a.Delays, b.Delays = nil, nil
	require.Equal(t, a, b)
}

func TestPlantRefusesWhatCannotBeJudged(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no day is left":  func(o *Options) { o.Days = 1 },
		"half a day":      func(o *Options) { o.Settled = 12 * time.Hour },
		"no seed":         func(o *Options) { o.Seeds = nil },
		"no interval":     func(o *Options) { o.Interval = 0 },
		"start at 1 h":    func(o *Options) { o.Start = monday + hourMS },
		"too many faults": func(o *Options) { o.Anomalies = 100 },
	} {
		t.Run(name, func(t *testing.T) {
			o := Quick()
			change(&o)
			_, _, err := Run(t.Context(), o)
			require.Error(t, err)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Run(ctx, Quick(), Baselines()...)
	require.ErrorIs(t, err, context.Canceled)
}

func TestMedianWithout(t *testing.T) {
	for _, c := range []struct {
		sorted []float64
		skip   int
		want   float64
	}{
		{[]float64{1, 2, 9}, -1, 2},
		{[]float64{1, 2, 9}, 0, 5.5},
		{[]float64{1, 2, 9}, 1, 5},
		{[]float64{1, 2, 9}, 2, 1.5},
		{[]float64{1, 2, 4, 9}, 3, 2},
		{[]float64{1, 2}, -1, 1.5},
	} {
		require.InDelta(t, c.want, medianWithout(c.sorted, c.skip), 0)
	}
	require.True(t, math.IsNaN(medianWithout([]float64{1, 2}, 0)), "one other is too few")
	require.True(t, math.IsNaN(medianWithout(nil, -1)))
}

// TestPeersAreTheOthersNewestValues has a silent neighbour whose value counts for a minute.
func TestPeersAreTheOthersNewestValues(t *testing.T) {
	column := func(values ...float64) *roomDevice {
		return &roomDevice{sensors: []string{"temperature"}, values: values, medians: make([]float64, len(values))}
	}
	nan := math.NaN()
	a, b, c := column(1, 1, 1), column(2, 2, 2), column(6, nan, nan)
	g := &peerGroup{members: []member{{device: a}, {device: b}, {device: c}}}
	g.compare(0, at(0))
	g.compare(1, at(1))
	g.compare(2, at(1)+1)
	require.Equal(t, []float64{4, 4}, a.medians[:2])
	require.Equal(t, []float64{3.5, 3.5}, b.medians[:2])
	require.Equal(t, []float64{1.5, 1.5}, c.medians[:2])
	require.True(t, math.IsNaN(a.medians[2]), "one neighbour is left")
	require.InDelta(t, 1.5, c.medians[2], 0)
}
