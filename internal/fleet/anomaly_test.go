package fleet

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// anomalous are the options of a plant in which each kind occurs.
func anomalous() Options {
	return Options{
		Devices: 200, Seed: 5, Variance: 0.1, Mixed: true, Rhythm: true, Anomalies: 0.5, Interval: 10 * time.Second,
		AnomaliesFrom: start + day,
	}
}

// course is what a sensor shows during a label, with and without the anomaly.
type course struct {
	label        AnomalyLabel
	shown, clean []float64
	week         usual // of the clean sensor, measured by the test
	driven       bool
	steps        float64
}

// play returns the course of a label, and checks that the other sensors show nothing of it.
func play(t *testing.T, with, without *Fleet, i int, l AnomalyLabel) course {
	t.Helper()
	a, b := with.Generator(), without.Generator()
	k := slices.Index(with.Sensors(i), l.Sensor)
	d := &with.devices[i]
	c := course{label: l}
	if k >= 0 {
		channel := &d.model.channels[d.model.channel(l.Sensor)]
		c.week, c.driven, c.steps = measure(without, i, k, l.Onset), channel.driven, channel.steps
	}
	for ts := l.Onset - hour/2; ts <= l.End+hour/2; ts += 10 * second {
		clean, _ := b.Values(i, ts, nil)
		shown, ok := a.Values(i, ts, nil)
		require.Equal(t, !a.Silent(i, ts), ok)
		if ts < l.Onset || ts > l.End {
			require.Equal(t, clean, shown, "%+v at %d", l, ts)
			continue
		}
		if l.Kind == Silence {
			require.False(t, ok, "%+v at %d", l, ts)
			continue
		}
		c.shown, c.clean = append(c.shown, shown[k]), append(c.clean, clean[k])
		for j, name := range with.Sensors(i) {
			if name != l.Sensor && name != l.With {
				require.InDelta(t, clean[j], shown[j], 0, "%s during %+v", name, l)
			}
		}
	}
	return c
}

// measure returns what a sensor usually shows, from a week of readings that are taken in pairs.
func measure(f *Fleet, i, k int, until int64) usual {
	g := f.Generator()
	var values, steps []float64
	for ts := until - week; ts < until; ts += 12 * minute {
		v, _ := g.Values(i, ts, nil)
		w, _ := g.Values(i, ts+10*second, nil)
		values = append(values, v[k])
		if step := math.Abs(w[k] - v[k]); step > 0 {
			steps = append(steps, step)
		}
	}
	return summarise(values, steps)
}

// TestEachKindDoesWhatItsLabelSays plays every label and looks at the values: outside of it they are
// bit by bit those of the fleet without anomalies.
func TestEachKindDoesWhatItsLabelSays(t *testing.T) {
	o := anomalous()
	with := newFleet(t, o)
	o.Anomalies = 0
	without := newFleet(t, o)
	seen := map[telemetry.AnomalyKind]int{}
	for _, l := range with.Anomalies(start, start+8*day) {
		if seen[l.Kind]++; seen[l.Kind] > 12 {
			continue
		}
		i := slices.IndexFunc(with.devices, func(d device) bool { return d.id == l.Device })
		c := play(t, with, without, i, l)
		t.Run(string(l.Kind)+" of "+l.Device+" "+l.Sensor, func(t *testing.T) {
			if l.Kind != Silence {
				check[l.Kind](t, &c)
			}
		})
	}
	for _, k := range AnomalyKinds {
		require.Positive(t, seen[k], "%s does not occur", k)
	}
}

// check has what the values of each kind must show.
var check = map[telemetry.AnomalyKind]func(t *testing.T, c *course){
	telemetry.AnomalySpike: func(t *testing.T, c *course) {
		t.Helper()
		require.Less(t, len(c.shown), 4)
		c.displaced(t, func(int) bool { return true })
	},
	telemetry.AnomalyLevel: func(t *testing.T, c *course) {
		t.Helper()
		require.GreaterOrEqual(t, len(c.shown), 2*360-1)
		c.differs(t, len(c.shown)/2, 1)
		c.differs(t, 0, 1)
	},
	telemetry.AnomalyDrift: func(t *testing.T, c *course) {
		t.Helper()
		c.differs(t, len(c.shown)-1, 1)
		c.differs(t, len(c.shown)/2, 0.5)
		require.InDelta(t, c.clean[0], c.shown[0], 2/c.steps+0.01*c.week.spread)
	},
	telemetry.AnomalyStuck: func(t *testing.T, c *course) {
		t.Helper()
		require.Len(t, slices.Compact(slices.Clone(c.shown)), 1)
		moves := len(slices.Compact(slices.Clone(c.clean))) > len(c.clean)/8
		rests := c.driven && slices.Min(c.clean) < c.shown[0]-c.week.spread
		require.True(t, moves || rests, "it would have moved")
		require.InDelta(t, c.clean[0], c.shown[0], 8*c.week.noise+2/c.steps)
	},
	telemetry.AnomalyNoise: func(t *testing.T, c *course) {
		t.Helper()
		var squares float64
		for k := range c.shown {
			squares += (c.shown[k] - c.clean[k]) * (c.shown[k] - c.clean[k])
		}
		added := math.Sqrt(squares / float64(len(c.shown)))
		require.Greater(t, added, 2/c.steps)
		if c.week.noise > 1.5/c.steps { // else the resolution hides what the noise is
			require.InEpsilon(t, c.label.Intensity, added/c.week.noise, 0.5)
		}
	},
	telemetry.AnomalyOscillation: func(t *testing.T, c *course) {
		t.Helper()
		away := func(k int) bool { return c.shown[k] != c.clean[k] }
		changes := 0
		for k := 1; k < len(c.shown); k++ {
			if away(k) != away(k-1) {
				changes++
			}
		}
		require.True(t, away(0), "it begins with the contact open")
		require.GreaterOrEqual(t, changes, len(c.shown)/6)
		c.displaced(t, away)
	},
	telemetry.AnomalyDropout: func(t *testing.T, c *course) {
		t.Helper()
		gone := 0
		for _, v := range c.shown {
			if math.IsNaN(v) {
				gone++
			}
		}
		require.InDelta(t, c.label.Intensity, float64(gone)/float64(len(c.shown)), 0.12)
	},
	telemetry.AnomalyCorrelation: func(t *testing.T, c *course) {
		t.Helper()
		require.NotEmpty(t, c.label.With)
		if c.label.Sensor == telemetry.Humidity {
			require.Greater(t, c.shown[len(c.shown)-1], c.clean[len(c.clean)-1], "it rises with the temperature")
			return
		}
		require.Less(t, c.shown[0], c.clean[0]-0.5*c.week.spread, "it rests while the current flows")
	},
	telemetry.AnomalyPeers: func(t *testing.T, c *course) {
		t.Helper()
		c.differs(t, len(c.shown)-1, 1)
		require.LessOrEqual(t, c.label.Intensity, 3.5, "not unusual by itself")
	},
}

// differs checks that value k is apart from the clean one by a part of the intensity.
func (c *course) differs(t *testing.T, k int, part float64) {
	t.Helper()
	require.InEpsilon(t, part*c.label.Intensity*c.week.spread, math.Abs(c.shown[k]-c.clean[k]), 0.4)
}

// displaced checks that the values that are away are so by the intensity, or beyond all usual ones if
// the load drives them.
func (c *course) displaced(t *testing.T, away func(k int) bool) {
	t.Helper()
	for k := range c.shown {
		switch {
		case !away(k):
		case c.driven:
			require.Greater(t, c.shown[k], c.week.high)
		default:
			c.differs(t, k, 1)
		}
	}
}

// TestNothingIsUnlabelled compares whole days of a fleet with those without anomalies.
func TestNothingIsUnlabelled(t *testing.T) {
	o := anomalous()
	o.Anomalies, o.Devices = 3, 20
	with := newFleet(t, o)
	labels := map[string][]AnomalyLabel{}
	for _, l := range with.Anomalies(start, start+3*day) {
		require.GreaterOrEqual(t, l.Onset, o.AnomaliesFrom)
		labels[l.Device] = append(labels[l.Device], l)
	}
	o.Anomalies = 0
	a, b := with.Generator(), newFleet(t, o).Generator()
	var r telemetry.Reading
	for i := range with.Len() {
		for ts := start; ts < start+3*day; ts += minute {
			shown, ok := a.Values(i, ts, nil)
			clean, _ := b.Values(i, ts, nil)
			labelled := slices.ContainsFunc(labels[with.ID(i)], func(l AnomalyLabel) bool { return ts >= l.Onset && ts <= l.End })
			require.True(t, labelled || ok && slices.Equal(shown, clean), "%s at %d", with.ID(i), ts)
			a.Reading(i, ts, &r)
			for k := range r.Sensors {
				require.Empty(t, beyond(&r.Sensors[k]), "an anomaly stays within the alarm limits")
			}
		}
	}
}

// TestPeersStandOutFromTheirRoom compares each with the median of its neighbours, when it has reached
// its full offset and a day before.
func TestPeersStandOutFromTheirRoom(t *testing.T) {
	o := anomalous()
	o.Kinds = []telemetry.AnomalyKind{telemetry.AnomalyPeers}
	f := newFleet(t, o)
	g := f.Generator()
	o.Anomalies = 0
	healthy := newFleet(t, o).Generator() // a neighbour has its own anomalies
	apart := func(i int, sensor string, ts int64) float64 {
		var own float64
		var others []float64
		from, to := f.Room(i)
		for k := from; k < to; k++ {
			s := slices.Index(f.Sensors(k), sensor)
			if s < 0 {
				continue
			}
			if k == i {
				v, _ := g.Values(k, ts, nil)
				own = v[s]
			} else {
				v, _ := healthy.Values(k, ts, nil)
				others = append(others, v[s])
			}
		}
		slices.Sort(others)
		return own - others[len(others)/2]
	}
	seen := 0
	for _, l := range f.Anomalies(start, start+4*day) {
		i := slices.IndexFunc(f.devices, func(d device) bool { return d.id == l.Device })
		alike, others := 0, 0
		for n := range f.devices {
			d := &f.devices[n]
			if n == i || d.loc != f.devices[i].loc || d.model.channel(l.Sensor) < 0 {
				continue
			}
			if others++; d.model.name == "IOT-SENSOR-V2" || d.model.name == "AIR-QUALITY-6" {
				alike++
			}
		}
		require.True(t, alike >= 2 && 2*alike > others, "%+v has %d of %d comparable neighbours", l, alike, others)
		if seen++; seen < 30 {
			k := slices.Index(f.Sensors(i), l.Sensor)
			week := measure(f, i, k, l.Onset)
			change := math.Abs(apart(i, l.Sensor, l.End) - apart(i, l.Sensor, l.Onset-second))
			require.Greater(t, change, 0.5*l.Intensity*week.spread, "%+v", l)
		}
	}
	require.Greater(t, seen, 30)
}

func TestAnomaliesComeFromTheSeed(t *testing.T) {
	o := anomalous()
	labels := newFleet(t, o).Anomalies(start, start+4*day)
	require.Equal(t, labels, newFleet(t, o).Anomalies(start, start+4*day))
	require.Equal(t, labels[3:4], slices.DeleteFunc(newFleet(t, o).Anomalies(labels[3].Onset, labels[3].Onset),
		func(l AnomalyLabel) bool { return l != labels[3] }), "asking for a part gives the same")
	o.Seed++
	require.NotEqual(t, labels, newFleet(t, o).Anomalies(start, start+4*day))
}

func TestAnomalyRateMatchesOptions(t *testing.T) {
	for _, rate := range []float64{0.2, 4, 24} {
		o := Options{Devices: 60, Mixed: true, Variance: 0.1, Anomalies: rate, Kinds: []telemetry.AnomalyKind{telemetry.AnomalySpike}}
		labels := newFleet(t, o).Anomalies(start, start+5*day-1)
		require.InDelta(t, rate*60*5, len(labels), 4*math.Sqrt(rate*60*5)+0.02*rate*60*5, "rate %v", rate)
		for _, l := range labels {
			require.Equal(t, telemetry.AnomalySpike, l.Kind)
		}
	}
	require.Empty(t, newFleet(t, Options{Devices: 50}).Anomalies(start, start+day))
	_, err := New(Options{Devices: 1, Anomalies: 25})
	require.Error(t, err)
	_, err = New(Options{Devices: 1, Kinds: []telemetry.AnomalyKind{"odd"}})
	require.ErrorContains(t, err, "odd")
}

func TestValuesMatchTheReading(t *testing.T) {
	o := anomalous()
	o.Anomalies = 5
	f := newFleet(t, o)
	a, b := f.Generator(), f.Generator()
	var r telemetry.Reading
	for i := range 50 {
		if f.devices[i].foreign {
			continue
		}
		for ts := start + day; ts < start+2*day; ts += 7 * minute {
			values, ok := a.Values(i, ts, nil)
			if b.Reading(i, ts, &r); !ok {
				continue
			}
			for k, name := range f.Sensors(i) {
				s := r.Sensors.Find(name)
				require.Equal(t, isMissing(values[k]), s == nil, name)
				if s != nil {
					require.InDelta(t, s.Number, values[k], 0, name)
				}
			}
		}
	}
}

func BenchmarkValues(b *testing.B) {
	o := anomalous()
	g := newFleet(b, o).Generator()
	var v []float64
	n := 0
	b.ReportAllocs()
	for k := int64(0); b.Loop(); k++ {
		v, _ = g.Values(0, start+day+k*10*second, v[:0])
		n += len(v)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/value")
}
