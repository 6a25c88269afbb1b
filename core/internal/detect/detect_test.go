package detect_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/internal/telemetry"
)

const (
	step = int64(10_000) // ms between two readings
	hour = int64(3_600_000)
	day  = 24 * hour
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli() // a Monday

// plant is a temperature with a daily cycle, a humidity that falls as it rises, and the current of a
// machine with changes of load, all with noise. It is a pure function of seed and time.
type plant struct{ seed uint64 }

func (p plant) at(t int64) []detect.Sample {
	rng := rand.New(rand.NewPCG(p.seed, uint64(t)))
	warm := 2 * math.Sin(2*math.Pi*float64(t%day)/float64(day))
	load := rand.New(rand.NewPCG(p.seed, uint64(t/(5*60_000)))).IntN(4)
	current := 0.04
	if load > 0 {
		current = round(2*float64(load)+0.05*rng.NormFloat64(), 100)
	}
	return []detect.Sample{
		{Sensor: "temperature", Value: round(22+warm+0.1*rng.NormFloat64(), 100)},
		{Sensor: "humidity", Value: round(50-4*warm+0.3*rng.NormFloat64(), 100)},
		{Sensor: "current", Value: current},
	}
}

func round(x, steps float64) float64 { return math.Round(x*steps) / steps }

// course runs a device through a plant whose samples change edits.
type course struct {
	tb     testing.TB
	plant  plant
	device detect.Device
	set    detect.Settings
	edit   func(t int64, s []detect.Sample) []detect.Sample
	now    int64
	out    []detect.Verdict
}

func newCourse(tb testing.TB) *course {
	tb.Helper()
	return &course{tb: tb, plant: plant{1}, set: detect.Defaults(), now: start}
}

// run goes on for a time and calls see with every verdict.
func (c *course) run(ms int64, see func(t int64, s detect.Sample, v detect.Verdict)) {
	for end := c.now + ms; c.now < end; c.now += step {
		samples := c.plant.at(c.now)
		if c.edit != nil {
			samples = c.edit(c.now, samples)
		}
		c.out = c.device.Step(&c.set, c.now, samples, c.out[:0])
		require.Len(c.tb, c.out, len(samples))
		for i, v := range c.out {
			see(c.now, samples[i], v)
		}
	}
}

// quiet runs a time in which nothing may be unusual.
func (c *course) quiet(ms int64) {
	c.tb.Helper()
	c.run(ms, func(t int64, s detect.Sample, v detect.Verdict) {
		if v.Score >= 0.5 || v.State >= 0.5 {
			a, _ := c.device.Describe(s.Sensor)
			require.Failf(c.tb, "cries wolf", "%s %v after %s: %+v", s.Sensor, s.Value, time.Duration(t-start)*time.Millisecond, a)
		}
	})
}

// faults are edits that begin at a time from 0 on.
var faults = map[telemetry.AnomalyKind]struct {
	within int64 // ms
	edit   func(rng *rand.Rand, since int64, temperature *detect.Sample) (lost bool)
	named  []telemetry.AnomalyKind // what it may be called
}{
	telemetry.AnomalySpike: {step, func(_ *rand.Rand, since int64, s *detect.Sample) bool {
		if since == 0 {
			s.Value += 5
		}
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalySpike}},
	telemetry.AnomalyLevel: {5 * 60_000, func(_ *rand.Rand, _ int64, s *detect.Sample) bool {
		s.Value -= 3
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalySpike, telemetry.AnomalyLevel}},
	telemetry.AnomalyDrift: {2 * hour, func(_ *rand.Rand, since int64, s *detect.Sample) bool {
		s.Value = round(s.Value+3*float64(since)/float64(hour), 100)
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalyDrift, telemetry.AnomalyLevel, telemetry.AnomalyCorrelation}},
	telemetry.AnomalyStuck: {10 * step, func(_ *rand.Rand, _ int64, s *detect.Sample) bool {
		s.Value = 21.5
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalyStuck, telemetry.AnomalyCorrelation}},
	telemetry.AnomalyNoise: {5 * 60_000, func(rng *rand.Rand, _ int64, s *detect.Sample) bool {
		s.Value = round(s.Value+0.5*rng.NormFloat64(), 100)
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalyNoise, telemetry.AnomalyOscillation, telemetry.AnomalySpike}},
	telemetry.AnomalyOscillation: {5 * 60_000, func(rng *rand.Rand, _ int64, s *detect.Sample) bool {
		s.Value += 1.5 * float64(rng.IntN(2))
		return false
	}, []telemetry.AnomalyKind{telemetry.AnomalyNoise, telemetry.AnomalyOscillation, telemetry.AnomalySpike}},
	telemetry.AnomalyDropout: {30 * 60_000, func(rng *rand.Rand, _ int64, _ *detect.Sample) bool {
		return rng.IntN(2) == 0
	}, []telemetry.AnomalyKind{telemetry.AnomalyDropout}},
}

func TestEveryKindOfFaultIsFoundAndEnds(t *testing.T) {
	t.Parallel()
	for kind, f := range faults {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := newCourse(t)
			c.quiet(2*day + 14*hour)
			begin := c.now
			rng := rand.New(rand.NewPCG(3, 4))
			c.edit = func(now int64, s []detect.Sample) []detect.Sample {
				if f.edit(rng, now-begin, &s[0]) {
					return s[1:]
				}
				return s
			}
			var told detect.Verdict
			var a telemetry.Anomaly
			c.run(f.within+step, func(at int64, s detect.Sample, v detect.Verdict) {
				if s.Sensor == "temperature" && v.Score >= 0.5 && told.Score == 0 {
					told = v
					a, _ = c.device.Describe(s.Sensor)
				}
				if s.Sensor != "temperature" && v.State >= 0.5 {
					require.Equal(t, telemetry.AnomalyCorrelation, v.Kind, s.Sensor)
				}
			})
			require.GreaterOrEqual(t, told.Score, 0.5, "not found")
			require.Contains(t, f.named, told.Kind)
			require.Equal(t, told.Kind, a.Kind)
			require.Equal(t, "temperature", a.Sensor)
			require.GreaterOrEqual(t, a.Since, begin-10*step)
			require.Less(t, a.Tail, 1e-4)
			require.Less(t, a.Low, a.High)

			c.edit = nil
			c.run(2*hour, func(int64, detect.Sample, detect.Verdict) {})
			c.quiet(6 * hour)
		})
	}
}

func TestALevelThatStaysBecomesUsualAndIsToldOnce(t *testing.T) {
	c := newCourse(t)
	c.set.Settle = 6 * time.Hour
	c.quiet(2 * day)
	c.edit = func(_ int64, s []detect.Sample) []detect.Sample {
		s[0].Value += 6
		return s
	}
	told, held := 0, int64(0)
	c.run(day, func(at int64, s detect.Sample, v detect.Verdict) {
		if s.Sensor != "temperature" {
			return
		}
		if v.Score >= 0.5 {
			told++
		}
		if v.State >= 0.5 {
			held += step
		}
	})
	require.LessOrEqual(t, told, 2, "at its begin, and as a level once that is clear")
	require.GreaterOrEqual(t, told, 1)
	require.InDelta(t, c.set.Settle.Milliseconds(), held, float64(hour))
	c.quiet(6 * hour)
}

func TestWhatAnOperatorAcceptsIsNotToldAgain(t *testing.T) {
	c := newCourse(t)
	c.quiet(2 * day)
	spike := func(now int64) int {
		c.edit = func(t int64, s []detect.Sample) []detect.Sample {
			if t == now {
				s[0].Value += 5
			}
			return s
		}
		told := 0
		c.run(hour, func(_ int64, _ detect.Sample, v detect.Verdict) {
			if v.Score >= 0.5 {
				told++
			}
		})
		return told
	}
	require.Equal(t, 1, spike(c.now))
	require.Equal(t, 1, spike(c.now), "a spike alone teaches nothing")
	require.True(t, c.device.Accept("temperature"))
	require.False(t, c.device.Accept("colour"))
	require.Equal(t, 0, spike(c.now))
}

func TestVerdictsDependOnThePastAlone(t *testing.T) {
	long, short := newCourse(t), newCourse(t)
	var want, got []detect.Verdict
	keep := func(to *[]detect.Verdict) func(int64, detect.Sample, detect.Verdict) {
		return func(_ int64, _ detect.Sample, v detect.Verdict) { *to = append(*to, v) }
	}
	fault := func(now int64, s []detect.Sample) []detect.Sample {
		if now > start+day+hour {
			s[0].Value += 4
		}
		return s
	}
	long.edit, short.edit = fault, fault
	long.run(day+3*hour, keep(&want))
	short.run(day+2*hour, keep(&got))
	require.Equal(t, want[:len(got)], got)
}

// TestStateIsAllThereIs stops and goes on from the encoded state at several times.
func TestStateIsAllThereIs(t *testing.T) {
	whole, parts := newCourse(t), newCourse(t)
	rng := rand.New(rand.NewPCG(5, 6))
	shape := func(now int64, s []detect.Sample) []detect.Sample {
		r := rand.New(rand.NewPCG(7, uint64(now)))
		for i := range s {
			s[i].Peers, s[i].HasPeers = s[i].Value+r.NormFloat64(), r.IntN(3) > 0
		}
		if now > start+day {
			s[0].Value += 3 * r.NormFloat64()
		}
		return s[r.IntN(2):]
	}
	whole.edit, parts.edit = shape, shape
	var want, got []detect.Verdict
	whole.run(day+8*hour, func(_ int64, _ detect.Sample, v detect.Verdict) { want = append(want, v) })
	for parts.now < whole.now {
		parts.run(min(int64(rng.IntN(int(4*hour)))/step*step, whole.now-parts.now), func(_ int64, _ detect.Sample, v detect.Verdict) { got = append(got, v) })
		data, err := parts.device.Encode()
		require.NoError(t, err)
		require.Less(t, len(data), 3*2<<10, "bytes of three streams")
		parts.device, err = detect.Decode(data)
		require.NoError(t, err)
	}
	require.Equal(t, want, got)
	b, ok := whole.device.Band("temperature")
	require.True(t, ok)
	again, _ := parts.device.Band("temperature")
	require.Equal(t, b, again)
}

func TestDecodeRefusesWhatIsNoState(t *testing.T) {
	c := newCourse(t)
	c.run(hour, func(int64, detect.Sample, detect.Verdict) {})
	data, err := c.device.Encode()
	require.NoError(t, err)
	for n := 0; n < len(data); n += 1 + n/8 {
		_, err := detect.Decode(data[:n])
		require.Error(t, err, n)
	}
	data[0]++
	_, err = detect.Decode(data)
	require.ErrorContains(t, err, "version")
}

func TestALateReadingTeachesNothing(t *testing.T) {
	c := newCourse(t)
	c.quiet(day + 2*hour)
	before, err := c.device.Encode()
	require.NoError(t, err)
	out := c.device.Step(&c.set, c.now-step, []detect.Sample{{Sensor: "temperature", Value: 500}}, nil)
	require.Equal(t, []detect.Verdict{{}}, out)
	after, err := c.device.Encode()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestOddStreams has what no range can be learned from, and values of any size: nothing may be NaN.
func TestOddStreams(t *testing.T) {
	streams := map[string]func(i int) float64{
		"constant": func(int) float64 { return 7 }, "zero": func(int) float64 { return 0 },
		"counter": func(i int) float64 { return 1e9 + float64(i/7) }, "huge": func(i int) float64 { return 1e300 * float64(i%5) },
		"tiny": func(i int) float64 { return 1e-300 * float64(i%5) }, "switching": func(i int) float64 { return float64(i / 50 % 2) },
		"once": func(i int) float64 { return float64(i / 2_000) },
	}
	gaps := []int64{1_000, 5_000, 60_000, 600_000, 1_000, 3 * hour}
	for name, value := range streams {
		var d detect.Device
		set := detect.Defaults()
		at := start
		for i := range 4_000 {
			at += gaps[i%len(gaps)]
			for _, v := range d.Step(&set, at, []detect.Sample{{Sensor: name, Value: value(i)}}, nil) {
				require.True(t, v.State >= 0 && v.State <= 1 && v.Score >= 0 && v.Score <= 1, "%s: %+v", name, v)
				if name != "once" && name != "huge" {
					require.Less(t, v.State, 0.5, "%s, value %d", name, i)
				}
			}
		}
	}
}

func TestTooManySensorsAreNotJudged(t *testing.T) {
	var d detect.Device
	set := detect.Defaults()
	samples := make([]detect.Sample, 70)
	for i := range samples {
		samples[i].Sensor = string(rune('a'+i/26)) + string(rune('a'+i%26))
	}
	out := d.Step(&set, start, samples, nil)
	require.Len(t, out, len(samples))
	_, known := d.Describe("aa")
	require.True(t, known)
	_, known = d.Describe(samples[69].Sensor)
	require.False(t, known)
	data, err := d.Encode()
	require.NoError(t, err)
	_, err = detect.Decode(data)
	require.NoError(t, err)
}

func BenchmarkStep(b *testing.B) {
	p := plant{1}
	var readings [10_000][]detect.Sample
	for i := range readings {
		readings[i] = p.at(start + int64(i)*step)
	}
	set := detect.Defaults()
	var d detect.Device
	var out []detect.Verdict
	at := start
	b.ReportAllocs()
	for i := range b.N {
		at += step
		out = d.Step(&set, at, readings[i%len(readings)], out[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3, "ns/value")
}

// TestAnHourThatIsNotAsUsualIsFound has a machine that works by day, and once at night.
func TestAnHourThatIsNotAsUsualIsFound(t *testing.T) {
	var d detect.Device
	set := detect.Defaults()
	rng := rand.New(rand.NewPCG(8, 9))
	night := start + 23*day + 2*hour // a Wednesday
	var found telemetry.Anomaly
	for at := start; at < night+2*hour; at += 60_000 {
		x := 1.0
		if h, w := at%day/hour, (at-start)/day%7; h >= 6 && h < 18 && w < 5 || at >= night {
			x = 8
		}
		x = round(x+0.5*rng.NormFloat64(), 100)
		for _, v := range d.Step(&set, at, []detect.Sample{{Sensor: "current", Value: x}}, nil) {
			if at < night {
				require.Less(t, v.State, 0.5, time.UnixMilli(at).UTC())
			} else if v.Kind == telemetry.AnomalyPattern && v.State >= 0.5 && found.Kind == "" {
				found, _ = d.Describe("current")
			}
		}
	}
	require.Equal(t, telemetry.AnomalyPattern, found.Kind)
	require.True(t, found.Seasonal)
	require.InDelta(t, 1, found.Expected, 1)
	require.Greater(t, found.Sigma, 3.0)
}

// TestASensorThatLeavesItsNeighboursIsFound has a temperature that moves away by less than its own day,
// and later one that does what all the room does.
func TestASensorThatLeavesItsNeighboursIsFound(t *testing.T) {
	for _, alone := range []bool{true, false} {
		var d detect.Device
		set := detect.Defaults()
		rng := rand.New(rand.NewPCG(10, 11))
		from, found := start+6*day, telemetry.AnomalyKind("")
		for at := start; at < from+8*hour; at += 60_000 {
			room := 22 + 2*math.Sin(2*math.Pi*float64(at%day)/float64(day)) + 0.5*math.Sin(float64(at)/float64(hour))
			away := 2.5 * min(1, max(0, float64(at-from))/float64(3*hour))
			own, peers := room+away, room
			if !alone {
				peers += away
			}
			s := detect.Sample{Sensor: "temperature", Value: round(own+0.1*rng.NormFloat64(), 100), Peers: round(peers+0.05*rng.NormFloat64(), 100), HasPeers: true}
			for _, v := range d.Step(&set, at, []detect.Sample{s}, nil) {
				if v.State < 0.5 {
					continue
				}
				require.GreaterOrEqual(t, at, from)
				require.True(t, alone, "%v at %s", v, time.UnixMilli(at).UTC())
				found = v.Kind
			}
		}
		if alone {
			require.Equal(t, telemetry.AnomalyPeers, found)
		}
	}
}
