package detect

import "math"

const (
	// relationWindow is how many readings, with weights that fall, the present relation is taken over:
	// 2 h at 10 s, several steps of a machine's load. Movements slower than that are not compared.
	relationWindow = 720
	relationQuick  = 12 // readings of the mean whose movements are compared
	// relationLearn is how many readings the relation of two sensors is learned from before it is
	// judged. The device must also be known for half of the settling time: a machine has its rhythm.
	relationLearn = 6 * relationWindow
	// relationLeast is the least share of one's movement that the other explains: less is no relation.
	relationLeast = 0.8
	// relationChange is the least change of the slope, by its usual one, that is unusual;
	// relationSpread is how many of its usual deviations it has to be.
	relationChange, relationSpread = 0.6, 6
	// relationDoubt is the share of an unusual change from which on nothing is learned from it.
	relationDoubt = 0.7
	// relationPrior is how much movement, in usual movement, weighs as much as the usual slope: while
	// nothing moves the relation stays what it was.
	relationPrior = 0.15
)

// jointMotion is how a sensor moves around its mean of the last hours. It is slower than what the
// residuals look at: humidity follows temperature within minutes, not within a reading.
type jointMotion struct {
	N             int64
	Quick, Slow   float64 // means
	Usual, Recent float64 // square of their difference
}

func (m *jointMotion) observe(w *jointWork, every, v float64, apart bool) {
	m.N++
	if m.N == 1 {
		m.Quick, m.Slow = v, v
	}
	m.Quick += max(1/float64(m.N), 1.0/relationQuick) * (v - m.Quick)
	k := max(1/float64(m.N), 1.0/relationWindow)
	m.Slow += k * (v - m.Slow)
	d := m.off()
	m.Recent += k * (d*d - m.Recent)
	if !apart {
		m.Usual += w.forget(m.N, every) * (d*d - m.Usual)
	}
}

func (m *jointMotion) off() float64 { return m.Quick - m.Slow }

// jointPair is how two sensors move together: the product of their movements, and for each of the
// two its slope on the other, by the usual one. Where a sensor no longer follows, a single movement
// leaves a residual that a load step may leave as well, but the slope falls to 0.
type jointPair struct {
	Usual, Recent float64
	N             int64 // slopes learned
	Slopes        [2]jointSlope
	Apart         bool // it has part in a broken relation
}

type jointSlope struct{ Mean, Spread, Change float64 }

// pair returns how sensors a and b, a > b, move together.
func (j *joint) pair(a, b int) *jointPair { return &j.Pairs[a*(a-1)/2+b] }

// relate follows how the sensors of a reading move together, and the state of that.
func (j *joint) relate(p *jointParams, w *jointWork, at int64, values []float64) {
	for a := range w.n {
		s := &j.Sensors[w.index[a]]
		s.Motion.observe(w, s.Every, values[w.index[a]], s.Apart)
	}
	for a := range w.n {
		for b := range a {
			j.pair(w.index[a], w.index[b]).observe(w, &j.Sensors[w.index[a]], &j.Sensors[w.index[b]])
		}
	}
	d := 0.0
	for i := range j.Pairs {
		if q := &j.Pairs[i]; q.Apart || !j.Relation.On {
			d = max(d, q.change())
		}
	}
	j.Relation.Bound = 1
	j.Relation.step(p, at, d)
	j.part()
}

// part marks the pairs that have part in a broken relation, and their sensors.
func (j *joint) part() {
	for a := range j.Sensors {
		j.Sensors[a].Apart = false
		for b := range a {
			q := j.pair(a, b)
			q.Apart = j.Relation.On && (q.Apart || q.change() >= 1)
			if q.Apart {
				j.Sensors[a].Apart, j.Sensors[b].Apart = true, true
			}
		}
	}
}

func (q *jointPair) change() float64 { return max(q.Slopes[0].Change, q.Slopes[1].Change) }

func (q *jointPair) observe(w *jointWork, s, o *jointSensor) {
	n := min(s.Motion.N, o.Motion.N)
	d := s.Motion.off() * o.Motion.off()
	q.Recent += max(1/float64(n), 1.0/relationWindow) * (d - q.Recent)
	apart := s.Apart || o.Apart || q.change() >= relationDoubt
	if !apart {
		q.Usual += w.forget(n, s.Every) * (d - q.Usual)
	}
	explained := q.Usual * q.Usual
	if n <= relationWindow || explained < relationLeast*s.Motion.Usual*o.Motion.Usual || explained == 0 {
		q.Slopes[0].Change, q.Slopes[1].Change = 0, 0
		return
	}
	if !apart {
		q.N++
	}
	q.slope(w, s.Every, &q.Slopes[0], &o.Motion, apart)
	q.slope(w, o.Every, &q.Slopes[1], &s.Motion, apart)
}

// slope compares the slope on the movement m with the usual one.
func (q *jointPair) slope(w *jointWork, every float64, s *jointSlope, m *jointMotion, apart bool) {
	usual := m.Usual / q.Usual // inverse
	prior := relationPrior * m.Usual
	v := (q.Recent*usual + prior) / (m.Recent + prior)
	if !apart {
		k := w.forget(q.N, every)
		d := v - s.Mean
		s.Mean += k * d
		s.Spread += k * ((1-k)*d*d - s.Spread)
	}
	s.Change = 0
	if q.N > relationLearn && w.grown {
		s.Change = math.Abs(v-s.Mean) / max(relationChange, relationSpread*math.Sqrt(s.Spread))
	}
}

// acceptRelation makes usual how the sensors move together now: they are learned anew.
func (j *joint) acceptRelation() {
	for a := range j.Sensors {
		for b := range a {
			if q := j.pair(a, b); q.Apart {
				*q = jointPair{Usual: q.Recent, Recent: q.Recent}
			}
		}
	}
	for i := range j.Sensors {
		if s := &j.Sensors[i]; s.Apart {
			s.Apart, s.Motion.Usual = false, s.Motion.Recent
		}
	}
	j.Relation = jointState{}
}
