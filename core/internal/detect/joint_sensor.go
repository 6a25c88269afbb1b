package detect

import "math"

// jointSensor is what is known about a sensor.
type jointSensor struct {
	N      int64 // values seen
	Moves  int64 // of these that differed from the one before
	Fresh  int64 // of these since the last gap
	At     int64 // ms, of the newest value
	Every  float64
	Last   float64
	Mean   float64 // short mean
	Centre float64
	Noise  float64 // variance of a value around its level
	Drift  float64 // variance that the level gains in a ms; a little below 0 by chance if it is steady

	Sum     float64 // of the values in the block
	InBlock int64
	Blocks  int64
	Before  float64 // mean of the block before
	BlockAt int64   // ms, begin of the block
	Prev    int64   // ms, begin of the one before

	Residual float64 // given the others, in deviations
	Gap      float64 // the same in the sensor's unit: short mean less what the others make expect
	Tails    jointTails
	Held     bool // it has part in the present state: its centre stays
}

// jointWork is what is worked out for one reading.
type jointWork struct {
	settle float64 // ms
	n      int     // sensors that are there
	index  [maxJoint]int
	gap    [maxJoint]float64 // ms since the value before
	off    [maxJoint]float64 // short mean less centre
}

func (w *jointWork) add(i int, gap float64) {
	w.index[w.n], w.gap[w.n] = i, gap
	w.n++
}

// forget returns the weight of a new observation, after ms, among n: that of a plain mean at first,
// later such that what is older than the settling time is forgotten.
func (w *jointWork) forget(n int64, ms float64) float64 {
	return max(1/float64(n), min(1, ms/w.settle))
}

// observe takes a value into the short mean and, unless the sensor is held, into noise and drift. It
// returns the ms since the value before.
func (s *jointSensor) observe(p *jointParams, w *jointWork, at int64, v float64) float64 {
	s.N++
	if s.N == 1 {
		s.At, s.Last, s.Mean, s.Centre, s.BlockAt = at, v, v, v, at
	}
	gap := float64(at - s.At)
	s.At = at
	if s.intervals(gap) > jointGap {
		s.Fresh = 0
	}
	s.Fresh++
	usual := min(gap, jointGap*s.Every)
	if s.N == 2 {
		usual, s.Every = gap, gap
	} else if s.N > 2 {
		s.Every += (usual - s.Every) * w.forget(s.N-1, usual)
	}
	u := s.intervals(usual)
	s.Mean += max(u/(u+p.Short-1), 1/float64(s.Fresh)) * (v - s.Mean)
	d := v - s.Last
	s.Last = v
	if d != 0 {
		s.Moves++
	}
	if !s.Held {
		s.Noise += w.forget(s.N, usual) * (d*d/2 - s.Noise)
	}
	s.block(p, w, at, v)
	return gap
}

// jointGap is from how many usual intervals on a pause is a gap, after which the short mean begins anew.
const jointGap = 10

// intervals returns how many usual intervals ms are.
func (s *jointSensor) intervals(ms float64) float64 {
	if s.Every <= 0 {
		return 1
	}
	return ms / s.Every
}

// block compares the mean of a block of values with that of the one before: what they differ by
// beyond their noise is drift.
func (s *jointSensor) block(p *jointParams, w *jointWork, at int64, v float64) {
	s.Sum += v
	if s.InBlock++; s.InBlock < p.Block {
		return
	}
	n := float64(s.InBlock)
	mean := s.Sum / n
	if ms := float64(s.BlockAt - s.Prev); s.Blocks > 0 && ms > 0 && !s.Held {
		d := mean - s.Before
		s.Drift += w.forget(s.Blocks, min(ms, jointGap*n*s.Every)) * ((d*d-2*s.Noise/n)/ms - s.Drift)
	}
	s.Blocks++
	s.Before, s.Prev = mean, s.BlockAt
	s.Sum, s.InBlock, s.BlockAt = 0, 0, at
}

// wander returns the variance that the level of a sensor may gain in ms.
func (s *jointSensor) wander(p *jointParams, ms float64) float64 {
	return p.Drift * max(0, s.Drift) * ms
}

// gain returns by which share the centre follows a value after ms: the steady gain of a Kalman
// filter for a level with this drift and noise.
func (s *jointSensor) gain(p *jointParams, ms float64) float64 {
	u := s.intervals(ms)
	k := max(1/float64(s.N), u/(u+p.Centre-1))
	if s.Noise > 0 {
		r := s.wander(p, ms) / s.Noise
		k = max(k, (math.Sqrt(r*r+4*r)-r)/2)
	}
	return min(k, 1)
}

// settled returns whether the short mean is one of enough values, ready whether a residual can be
// worked out, and known whether that counts.
func (s *jointSensor) settled(p *jointParams) bool { return float64(s.Fresh) >= 2*p.Short }

func (s *jointSensor) ready(p *jointParams) bool {
	return s.N > p.Learn/3 && s.Moves >= p.Moves && s.Noise > 0 && s.settled(p)
}

func (s *jointSensor) known(p *jointParams) bool { return s.N > p.Learn && s.Tails.N >= p.Learn/3 }

// jointTails is how heavy the tails of a sensor's residuals were. A sensor of a machine that starts
// and stops has heavy ones.
type jointTails struct {
	N        int64   // residuals in the means
	Square   float64 // mean of the second power
	Fourth   float64 // mean of the fourth
	Old, New jointSums
}

// jointSums are residuals that wait: those of a state that only begins must not make it usual.
type jointSums struct {
	N              int64
	Square, Fourth float64
}

const (
	// A t distribution with leastFreedom degrees of freedom is the heaviest tail that is allowed for,
	// with tailFreedom more over the excess kurtosis a lighter one. The excess of a t distribution
	// itself, 6/(ν-4), is not finite for the tails of machines.
	leastFreedom = 2.5
	tailFreedom  = 9
)

// normal returns which quantile of the normal distribution the residual e is, by the tails that were
// seen: Wallace's approximation for the t distribution (1959). Of the kurtosis counts what is beyond
// the chance of so few short means, which depend on each other. Residuals that are larger than one
// deviation on average count as tails.
func (t *jointTails) normal(p *jointParams, e float64) float64 {
	kurtosis := 3.0
	if t.Square > 0 {
		u := min(t.Square, 1)
		kurtosis = t.Fourth / (u * u)
	}
	chance := p.Chance * math.Sqrt(24*2*p.Short/float64(max(t.N, 1)))
	nu := leastFreedom + tailFreedom/max(kurtosis-3-chance, 0.05)
	return math.Copysign((8*nu+1)/(8*nu+3)*math.Sqrt(nu*math.Log1p(e*e/nu)), e)
}

// add takes a residual to those that wait. Those of a held sensor wait for the end of the state.
func (t *jointTails) add(p *jointParams, w *jointWork, every, e float64, held bool) {
	t.New.N++
	t.New.Square += e * e
	t.New.Fourth += e * e * e * e
	if t.New.N < p.Wait || held {
		return
	}
	if t.Old.N > 0 {
		n := float64(t.Old.N)
		t.N += t.Old.N
		k := min(1, n*w.forget(t.N, every))
		t.Square += k * (t.Old.Square/n - t.Square)
		t.Fourth += k * (t.Old.Fourth/n - t.Fourth)
	}
	t.Old, t.New = t.New, jointSums{}
}
