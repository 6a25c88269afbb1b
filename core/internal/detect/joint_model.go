package detect

import "math"

// jointWork is what the joint measure works out for one reading. It is large for a stack but small
// for a heap: nothing of it outlives the reading.
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
func (w *jointWork) forget(n int, ms float64) float64 {
	return max(1/float64(n), min(1, ms/w.settle))
}

// observe takes a value into the short mean and, unless the state is unusual, into noise and drift.
// It returns the ms since the value before.
func (s *jointSensor) observe(p *jointParams, w *jointWork, at int64, v float64, unusual bool) float64 {
	s.N++
	if s.N == 1 {
		s.At, s.Last, s.Mean, s.Centre, s.BlockAt = at, v, v, v, at
	}
	gap := float64(at - s.At)
	s.At = at
	switch s.N {
	case 1:
	case 2:
		s.Every = gap
	default:
		s.Every += (min(gap, 10*s.Every) - s.Every) * w.forget(s.N-1, gap)
	}
	u := 1.0 // of usual intervals
	if s.Every > 0 {
		u = gap / s.Every
	}
	s.Mean += max(u/(u+p.Short-1), 1/float64(s.N)) * (v - s.Mean)
	d := v - s.Last
	s.Last = v
	if d != 0 {
		s.Moves++
	}
	if !unusual {
		s.Noise += w.forget(s.N, gap) * (d*d/2 - s.Noise)
	}
	s.block(p, w, at, v, unusual)
	return gap
}

// block compares the means of two blocks of values: what they differ by more than their noise is drift.
func (s *jointSensor) block(p *jointParams, w *jointWork, at int64, v float64, unusual bool) {
	s.Sum += v
	if s.InBlock++; s.InBlock < p.Block {
		return
	}
	mean, n := s.Sum/float64(s.InBlock), float64(s.InBlock)
	if ms := float64(s.BlockAt - s.Prev); s.Blocks > 0 && ms > 0 && !unusual {
		d := mean - s.Before
		s.Drift += w.forget(s.Blocks, ms) * ((d*d-2*s.Noise/n)/ms - s.Drift)
	}
	s.Blocks++
	s.Before, s.Prev = mean, s.BlockAt
	s.Sum, s.InBlock, s.BlockAt = 0, 0, at
}

// gain returns by how much the centre follows a value after ms: the steady Kalman gain of a level
// with this drift and noise.
func (s *jointSensor) gain(p *jointParams, ms float64) float64 {
	k := 1 / float64(s.N)
	if s.Every > 0 {
		u := ms / s.Every
		k = max(k, u/(u+p.Centre-1))
	}
	if s.Noise > 0 {
		r := p.drift(s) * ms / s.Noise
		k = max(k, (math.Sqrt(r*r+4*r)-r)/2)
	}
	return min(k, 1)
}

// drift returns the variance that a level is taken to gain in a ms.
func (p *jointParams) drift(s *jointSensor) float64 { return p.Drift * max(0, s.Drift) }

// follow moves the centres: as their drift demands, or those that are held so slowly that a state
// has to last for the settling time.
func (j *joint) follow(p *jointParams, w *jointWork, values []float64) {
	for a := range w.n {
		s := &j.Sensors[w.index[a]]
		k := min(w.gap[a]/w.settle, 1)
		if !s.Held {
			k = s.gain(p, w.gap[a])
		}
		s.Centre += k * (values[w.index[a]] - s.Centre)
	}
}

// learn takes the short means around the centres into their covariance.
func (j *joint) learn(w *jointWork) {
	for a := range w.n {
		ia := w.index[a]
		row := j.Cov[ia*(ia+1)/2:]
		for b := range a + 1 {
			ib := w.index[b]
			if j.Sensors[ia].Held || j.Sensors[ib].Held {
				continue
			}
			n := min(j.Sensors[ia].N, j.Sensors[ib].N)
			row[ib] += w.forget(n, max(w.gap[a], w.gap[b])) * (w.off[a]*w.off[b] - row[ib])
		}
	}
}

// ready returns whether a sensor can be judged.
func (s *jointSensor) ready(p *jointParams) bool { return s.N > p.Learn/3 && s.Moves >= p.Moves }

// residuals sets the residual of each sensor that is there and ready, given the others, and returns
// how many they are.
func (j *joint) residuals(p *jointParams, w *jointWork, at int64) int {
	var m jointMatrix
	for i := range j.Sensors {
		j.Sensors[i].Residual = 0
	}
	n := 0
	var who [maxJoint]int
	for a := range w.n {
		s := &j.Sensors[w.index[a]]
		w.off[a] = s.Mean - s.Centre
		if s.ready(p) {
			who[n] = w.index[a]
			m.z[n] = w.off[a]
			n++
		}
	}
	if n < 2 {
		return n
	}
	since := 0.0
	if j.State.On {
		since = float64(at - j.State.Since)
	}
	for a := range n {
		s := &j.Sensors[who[a]]
		row := j.Cov[who[a]*(who[a]+1)/2:]
		v := row[who[a]] + noiseFloor*s.Noise
		m.sd[a] = math.Sqrt(v)
		m.z[a] /= m.sd[a]
		for b := range a {
			m.c[a][b] = row[who[b]] / (m.sd[a] * m.sd[b]) * (1 - p.Ridge)
		}
		// Where a level drifts it is the less certain the longer it was not followed.
		m.c[a][a] = 1
		if s.Held {
			m.c[a][a] += p.drift(s) * since / v
		}
	}
	m.solve(n)
	for a := range n {
		e := m.pz[a] / math.Sqrt(m.diag[a])
		s := &j.Sensors[who[a]]
		far := max(0, m.t2-e*e) // squared distance of the others
		s.weigh(p, w, e/math.Sqrt(1+p.Leverage*far), s.Held)
	}
	return n
}

// weigh sets the residual from what it is by the covariance, such that it is comparable to a normal one however
// heavy the tails were that it had, and takes it into the tails.
func (s *jointSensor) weigh(p *jointParams, w *jointWork, e float64, unusual bool) {
	s.Residual = s.Tails.normal(p, e)
	s.Tails.add(p, w, s, e, unusual)
}

// normal returns the quantile of the normal distribution that e is of a t distribution with the
// kurtosis that was seen, by Wallace's approximation (1959). Of the kurtosis counts what is beyond
// the chance of so few values that depend on each other.
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

const leastFreedom, tailFreedom = 2.5, 9

// add takes a residual into what waits. While a state lasts that a sensor has part in, it waits for its end.
func (t *jointTails) add(p *jointParams, w *jointWork, s *jointSensor, e float64, unusual bool) {
	q := e * e
	t.New.add(q)
	if t.New.N < p.Wait || unusual {
		return
	}
	if n := t.Old.N; n > 0 {
		t.N += n
		f := min(1, float64(n)*w.forget(t.N, s.Every))
		t.Square += f * (t.Old.Square/float64(n) - t.Square)
		t.Fourth += f * (t.Old.Fourth/float64(n) - t.Fourth)
	}
	t.Old, t.New = t.New, jointSums{}
}

func (m *jointSums) add(q float64) {
	m.N++
	m.Square += q
	m.Fourth += q * q
}

// noiseFloor is the least variance of a short mean, in that of a value: a sensor whose values were
// the same for long by its resolution is not judged by less than that.
const noiseFloor = 0.02

// jointMatrix is the correlation of standardised short means, what they are, and what follows.
type jointMatrix struct {
	sd, z, pz, diag [maxJoint]float64
	c               [maxJoint][maxJoint]float64 // lower triangle; solve leaves the inverse of its root there
	t2              float64
}

// solve sets pz to the product of the inverse and z, diag to the inverse's diagonal, and t2 to
// Hotelling's measure of z.
func (m *jointMatrix) solve(n int) {
	for i := range n { // Cholesky
		for k := range i + 1 {
			v := m.c[i][k]
			for l := range k {
				v -= m.c[i][l] * m.c[k][l]
			}
			if i == k {
				m.c[i][i] = math.Sqrt(max(v, 1e-9))
			} else {
				m.c[i][k] = v / m.c[k][k]
			}
		}
	}
	for i := range n { // the root's inverse, in place
		m.c[i][i] = 1 / m.c[i][i]
		for k := range i {
			v := 0.0
			for l := k; l < i; l++ {
				v -= m.c[i][l] * m.c[l][k]
			}
			m.c[i][k] = v * m.c[i][i]
		}
	}
	m.t2 = 0
	for i := range n {
		y := 0.0
		for k := range i + 1 {
			y += m.c[i][k] * m.z[k]
		}
		m.t2 += y * y
		for k := range i + 1 {
			m.pz[k] += m.c[i][k] * y
			m.diag[k] += m.c[i][k] * m.c[i][k]
		}
	}
}
