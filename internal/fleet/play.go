package fleet

import (
	"math"
	"slices"

	"industrial-iot-monitor/internal/telemetry"
)

// usual is what a channel of a device shows in a week without faults.
type usual struct {
	mean, spread float64
	low, high    float64
	noise        float64 // deviation from one value to the next
}

// usualSamples is from how many moments usual is taken.
const usualSamples = 96

// usual returns what is usual for each channel of d in the week until end.
func (g *Generator) usual(d *device, end int64) []usual {
	out := make([]usual, len(d.model.channels))
	values := make([][]float64, len(out))
	steps := make([][]float64, len(out))
	for n := range uint64(usualSamples) {
		t := end - int64(between(d.key+keyAnomaly, n<<32, 0, float64(week)))
		for k, v := range g.clean(d, t) {
			values[k] = append(values[k], v)
		}
		for k, v := range g.clean(d, t+10*second) {
			if step := math.Abs(v - values[k][n]); step > 0 {
				steps[k] = append(steps[k], step)
			}
		}
	}
	for k := range out {
		out[k] = summarise(values[k], steps[k])
	}
	return out
}

func summarise(values, steps []float64) usual {
	u := usual{low: slices.Min(values), high: slices.Max(values)}
	var squares float64
	for _, v := range values {
		u.mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - u.mean) * (v - u.mean)
	}
	u.spread = math.Sqrt(squares / float64(len(values)))
	if len(steps) > 0 {
		slices.Sort(steps)
		// The median of the difference of two normal values is 0.954 of their deviation.
		u.noise = steps[len(steps)/2] / 0.954
	}
	return u
}

// atRest returns the value of channel k of d at t if its machine did nothing.
func (g *Generator) atRest(d *device, t int64, k int) float64 {
	m := &g.moment
	m.aim(d, t)
	m.level = 0
	return d.model.channels[k].value(m)
}

// player remembers the anomaly of each device's present slot, so that it is not drawn anew for each
// reading.
type player struct {
	slots []played // by device; none in a fleet without anomalies
	noise whiteNoise
}

type played struct {
	n int64    // number of the slot + 1
	a *anomaly // nil for none
}

func newPlayer(f *Fleet) player {
	if f.anomalies.probability == 0 {
		return player{}
	}
	return player{slots: make([]played, len(f.devices)), noise: newWhiteNoise()}
}

// anomaly returns what device i has at t, nil for nothing.
func (g *Generator) anomaly(i int, t int64) *anomaly {
	if g.played.slots == nil {
		return nil
	}
	s, n := &g.played.slots[i], t/g.moment.fleet.anomalies.slot
	if s.n != n+1 {
		*s = played{n: n + 1}
		if a, ok := g.find(&g.moment.fleet.devices[i], n); ok {
			s.a = &a
		}
	}
	if s.a == nil || t < s.a.onset || t > s.a.end {
		return nil
	}
	return s.a
}

// Silent reports whether device i sends nothing at t (ms since 1970) because of an anomaly.
func (g *Generator) Silent(i int, t int64) bool {
	a := g.anomaly(i, t)
	return a != nil && a.kind == Silence
}

var missing = math.NaN()

func isMissing(v float64) bool { return math.IsNaN(v) }

// ramp rises from 0 to 1 within rise ms of the onset.
func (a *anomaly) ramp(t, rise int64) float64 {
	return min(1, float64(t-a.onset)/float64(min(rise, (a.end-a.onset)/2)))
}

const (
	pairRise = 10 * minute
	peerRise = hour
)

// play changes the values v of the channels of d at t as the anomaly wants.
func (g *Generator) play(a *anomaly, d *device, t int64, v []float64) {
	if a == nil || a.kind == Silence {
		return
	}
	c := &d.model.channels[a.channel]
	x := v[a.channel]
	switch a.kind {
	case telemetry.AnomalySpike:
		x = a.displaced(c, x)
	case telemetry.AnomalyOscillation:
		if (t-a.onset)/a.flicker%2 == 0 {
			x = a.displaced(c, x)
		}
	case telemetry.AnomalyLevel:
		x += a.offset
	case telemetry.AnomalyDrift:
		x += a.offset * float64(t-a.onset) / float64(a.end-a.onset)
	case telemetry.AnomalyStuck:
		x = a.hold
	case telemetry.AnomalyNoise:
		g.played.noise.aim(a.key+keyBurst, t)
		x += g.played.noise.normal(a.intensity * a.usual.noise)
	case telemetry.AnomalyDropout:
		if unit(hash(a.key+keyDropout, uint64(t))) < a.intensity {
			v[a.channel] = missing
			return
		}
	case telemetry.AnomalyCorrelation:
		x = g.apart(a, d, t, v)
	case telemetry.AnomalyPeers:
		x += a.offset * a.ramp(t, peerRise)
	default: // all kinds of AnomalyKinds are above
	}
	v[a.channel] = max(c.low, min(c.high, x))
}

// displaced returns x away by the offset; a channel driven by the load goes beyond its full load,
// whatever the load is.
func (a *anomaly) displaced(c *channel, x float64) float64 {
	if c.driven {
		x = max(x, a.usual.mean)
	}
	return x + a.offset
}

// apart returns the value of the first sensor of a pair that no longer moves with the second, and
// moves the second where the first should follow.
func (g *Generator) apart(a *anomaly, d *device, t int64, v []float64) float64 {
	if a.offset == 0 {
		g.played.noise.aim(a.key+keyBurst, t)
		return min(v[a.channel], a.hold+g.played.noise.normal(a.usual.noise))
	}
	by := a.offset * a.ramp(t, pairRise)
	c := &d.model.channels[a.other]
	v[a.other] = max(c.low, min(c.high, v[a.other]+by))
	return v[a.channel] + 0.5*by
}

// Sensors returns the names of the numeric sensors of device i, in the order of Values.
func (f *Fleet) Sensors(i int) []string {
	var out []string
	for k := range f.devices[i].model.channels {
		if c := &f.devices[i].model.channels[k]; c.kind == telemetry.Number {
			out = append(out, c.name)
		}
	}
	return out
}

// Values appends the numeric values of device i at t (ms since 1970) to dst, as its sensors resolve
// them, in the usual units of their model; NaN for one that is missing. It returns false if the
// device sends nothing.
func (g *Generator) Values(i int, t int64, dst []float64) ([]float64, bool) {
	d := &g.moment.fleet.devices[i]
	a := g.anomaly(i, t)
	if a != nil && a.kind == Silence {
		return dst, false
	}
	v := g.clean(d, t)
	g.moment.fleet.plan.apply(d, t, v)
	g.play(a, d, t, v)
	for k := range v {
		if c := &d.model.channels[k]; c.kind == telemetry.Number {
			dst = append(dst, math.Round(v[k]*c.steps)/c.steps)
		}
	}
	return dst, true
}
