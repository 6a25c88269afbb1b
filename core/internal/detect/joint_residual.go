package detect

import (
	"math"
)

// noiseFloor is the least variance of a short mean, as a share of that of a value: a sensor whose
// coarse values stood still for long is not judged by less.
const noiseFloor = 0.02

// follow moves the centres: as the drift of the sensor demands, or those that are held so slowly
// that it takes the settling time.
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
func (j *joint) learn(p *jointParams, w *jointWork) {
	for a := range w.n {
		s, row := j.row(w.index[a])
		for b := range a + 1 {
			o := &j.Sensors[w.index[b]]
			if s.Held || o.Held || !s.settled(p) || !o.settled(p) {
				continue
			}
			k := w.forget(min(s.N, o.N), s.Every)
			row[w.index[b]] += k * (w.off[a]*w.off[b] - row[w.index[b]])
		}
	}
}

// row returns a sensor and its row of the covariance.
func (j *joint) row(i int) (*jointSensor, []float64) { return &j.Sensors[i], j.Cov[i*(i+1)/2:] }

// variance returns that of the short mean of a sensor around its centre.
func (j *joint) variance(i int) float64 {
	s, row := j.row(i)
	return row[i] + noiseFloor*s.Noise
}

// residuals sets the residual of each sensor, given the others; 0: it is missing or not ready.
func (j *joint) residuals(p *jointParams, w *jointWork, at int64) {
	for i := range j.Sensors {
		j.Sensors[i].Residual, j.Sensors[i].Gap = 0, 0
	}
	var who [maxJoint]int
	n := 0
	for a := range w.n {
		s := &j.Sensors[w.index[a]]
		w.off[a] = s.Mean - s.Centre
		if s.ready(p) {
			who[n] = w.index[a]
			n++
		}
	}
	if n < 2 {
		return
	}
	var m jointMatrix
	j.fill(&m, p, at, who[:n])
	m.solve(n)
	for a := range n {
		s := &j.Sensors[who[a]]
		e := m.pz[a] / math.Sqrt(m.diag[a])
		far := max(0, m.t2-e*e) // squared distance of the others
		e /= math.Sqrt(1 + p.Leverage*far)
		s.Residual, s.Gap = s.Tails.normal(p, e), m.pz[a]/m.diag[a]*m.sd[a]
		s.Tails.add(p, w, s.Every, e, s.Held)
	}
}

// fill sets m to the correlation of the short means of sensors, and to these.
func (j *joint) fill(m *jointMatrix, p *jointParams, at int64, who []int) {
	for a, i := range who {
		s, row := j.row(i)
		v := j.variance(i)
		m.sd[a] = math.Sqrt(v)
		m.z[a] = (s.Mean - s.Centre) / m.sd[a]
		for b := range a {
			m.c[a][b] = row[who[b]] / (m.sd[a] * m.sd[b]) * (1 - p.Ridge)
		}
		m.c[a][a] = 1
		if s.Held { // where it would be by its drift is the less certain the longer it is not followed
			m.c[a][a] += s.wander(p, float64(at-j.State.Since)) / v
		}
	}
}

// jointMatrix is a correlation, a vector z, and what solve makes of them.
type jointMatrix struct {
	sd, z    [maxJoint]float64
	c        [maxJoint][maxJoint]float64 // lower triangle; solve leaves the inverse of its Cholesky factor
	pz, diag [maxJoint]float64           // inverse times z; diagonal of the inverse
	t2       float64                     // Hotelling's T² of z
}

// leastPivot keeps collinear sensors apart.
const leastPivot = 1e-6

func (m *jointMatrix) solve(n int) {
	m.factor(n)
	for i := range n { // inverse of the factor, in place
		m.c[i][i] = 1 / m.c[i][i]
		for k := range i {
			v := 0.0
			for l := k; l < i; l++ {
				v -= m.c[i][l] * m.c[l][k]
			}
			m.c[i][k] = v * m.c[i][i]
		}
	}
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

// factor replaces c by its Cholesky factor.
func (m *jointMatrix) factor(n int) {
	for i := range n {
		for k := range i + 1 {
			v := m.c[i][k]
			for l := range k {
				v -= m.c[i][l] * m.c[k][l]
			}
			if i == k {
				m.c[i][i] = math.Sqrt(max(v, leastPivot))
			} else {
				m.c[i][k] = v / m.c[k][k]
			}
		}
	}
}
