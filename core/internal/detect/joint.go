package detect

import (
	"math"
	"time"
)

// maxJoint is how many sensors of a device the joint measure looks at: the first ones. The cost of
// a reading grows with the cube of their number.
const maxJoint = 16

// jointParams are the parameters of the joint measure, the same for every device. Those in readings
// do not depend on the interval.
type jointParams struct {
	Learn    int     // readings of a sensor before it is judged
	Moves    int     // of them that must differ from the one before: a switch that was never used is not judged
	Short    float64 // readings of the mean that is judged
	Block    int     // readings whose means are compared to see how a sensor drifts
	Centre   float64 // readings of the centre of a sensor that does not drift
	Drift    float64 // factor on the drift that was learned
	Leverage float64 // how much less a residual counts per squared distance of the others
	Ridge    float64 // share of a correlation that is not believed
	Bound    float64 // residual in deviations that is worth an alarm
	Release  float64 // share of the peak below which a state has ended
	Hold     int     // readings that it must stay below it
	Grow     float64
	Chance   float64 // deviations of a kurtosis that are put down to chance
	Wait     int     // residuals that wait before they count as usual
}

// jointDefaults were chosen once, see docs/detection.md for the grid and the figures of its neighbours.
func jointDefaults() jointParams {
	return jointParams{
		Learn: 350, Moves: 30, Short: 8, Block: 64, Centre: 600, Drift: 0.3,
		Leverage: 0.08, Ridge: 0.2, Bound: 3, Release: 0.5, Hold: 40, Chance: 0.5, Grow: 1, Wait: 32,
	}
}

// joint measures whether the sensors of a device still move together as they did. Each sensor has a
// centre that follows as fast as it drifted while it was learned: the level of a local level model
// (Harvey 1989), with a gain from the ratio of drift and noise. What is judged is the short mean of
// each sensor around its centre, given those of all others: its residual in a multivariate EWMA
// chart (Lowry et al. 1992), decomposed after Mason, Tracy and Young (1995). A state of load that
// moves the sensors together leaves no residual, however high it is. While a state is unusual
// nothing is learned from it, until it has lasted for Settings.Settle.
type joint struct {
	Sensors []jointSensor
	Cov     []float64 // of the short means around the centres, lower triangle by rows
	Begin   int64     // ms, of the first reading
	At      int64     // ms, of the newest one
	State   jointState
}

// jointSensor is what is known about a sensor on its own.
type jointSensor struct {
	N, Moves      int     // values seen; those that differed from the one before
	At            int64   // ms, of the newest value
	Every         float64 // ms between values
	Last          float64
	Mean, Centre  float64 // short mean, centre
	Noise         float64 // variance from one value to the next
	Drift         float64 // variance that the level gains in a ms
	Sum           float64 // of the values in the block
	InBlock       int
	Blocks        int
	Before        float64 // mean of the block before
	BlockAt, Prev int64   // ms, begin of the block and of the one before
	Residual      float64 // given the others, in deviations
	Tails         jointTails
	Held          bool // it has part in the present state: its centre stays where it was
}

// jointTails is how heavy the tails of a sensor's residuals were.
type jointTails struct {
	N              int     // residuals in the means
	Square, Fourth float64 // means of the second and fourth power
	Old, New       jointSums
}

// jointSums are residuals that wait: those of a state that only begins must not make it usual.
type jointSums struct {
	N              int
	Square, Fourth float64
}

// jointState is the state of the device as a whole.
type jointState struct {
	On    bool
	Since int64 // ms
	Peak  float64
	Floor float64 // below this, what remains of a state that has ended is not a new one
	Under int
	Level float64
	Bound float64
}

// jointVerdict is how unusual a device is as a whole.
type jointVerdict struct {
	Level    float64 // 0 to 1; 0.5 is the boundary, kept as long as the state lasts
	Unusual  bool
	Learning bool // fewer than two sensors can be judged
}

// step learns the values of a reading, NaN where a sensor is missing, and returns how unusual the
// device is. Values beyond maxJoint are not looked at.
func (j *joint) step(p *jointParams, settle time.Duration, at int64, values []float64) jointVerdict {
	values = values[:min(len(values), maxJoint)]
	j.grow(len(values))
	if len(j.Sensors) > 0 && at <= j.At && j.At != 0 {
		return jointVerdict{Level: j.level(p), Unusual: j.State.On}
	}
	if j.Begin == 0 {
		j.Begin = at
	}
	if j.State.On && at-j.State.Since >= min(settle.Milliseconds(), 2*(j.State.Since-j.Begin)) {
		j.accept()
	}
	w := jointWork{settle: max(float64(settle.Milliseconds()), 1)}
	for i, v := range values {
		if !math.IsNaN(v) {
			w.add(i, j.Sensors[i].observe(p, &w, at, v, j.Sensors[i].Held))
		}
	}
	judged := j.residuals(p, &w, at)
	j.learn(&w)
	j.follow(p, &w, values)
	j.At = at
	if judged < 2 {
		return jointVerdict{Learning: true}
	}
	if !j.State.On {
		n := 0
		for i := range j.Sensors {
			n = max(n, j.Sensors[i].N)
		}
		r := max(float64(n)/float64(p.Learn), 1)
		if e := j.Sensors[0].Every; e > 0 {
			r = min(r, w.settle/e/float64(p.Learn))
		}
		j.State.Bound = math.Sqrt(p.Bound*p.Bound + 2*p.Grow*math.Log(max(r, 1)))
	}
	j.State.step(p, at, j.distance(p))
	j.hold(p)
	return jointVerdict{Level: j.level(p), Unusual: j.State.On}
}

// grow makes room for n sensors.
func (j *joint) grow(n int) {
	for len(j.Sensors) < n {
		j.Sensors = append(j.Sensors, jointSensor{})
		j.Cov = append(j.Cov, make([]float64, len(j.Sensors))...)
	}
}

// accept makes usual what is there now. How far the sensors that made it have gone since they were
// first seen counts as drift: they are known to do that now.
func (j *joint) accept() {
	for i := range j.Sensors {
		s := &j.Sensors[i]
		if age := float64(s.At - j.Begin); s.Held && age > 0 {
			d := s.Mean - s.Centre
			s.Drift = max(0, s.Drift) + d*d/age
		}
		if s.Held {
			s.Centre, s.Held, s.Residual = s.Mean, false, 0
			s.Sum, s.InBlock, s.BlockAt = 0, 0, s.At
		}
	}
	j.State = jointState{}
}

// distance returns the largest residual; of a state that lasts, that of the sensors that made it.
func (j *joint) distance(p *jointParams) float64 {
	d := 0.0
	for i := range j.Sensors {
		if s := &j.Sensors[i]; s.known(p) && (!j.State.On || s.Held) {
			d = max(d, math.Abs(s.Residual))
		}
	}
	return d
}

// known returns whether residuals of a sensor count.
func (s *jointSensor) known(p *jointParams) bool { return s.N > p.Learn && s.Tails.N >= p.Learn/3 }

// hold marks the sensors that have part in an unusual state.
func (j *joint) hold(p *jointParams) {
	for i := range j.Sensors {
		s := &j.Sensors[i]
		s.Held = j.State.On && s.known(p) && (s.Held || math.Abs(s.Residual) >= j.State.Bound)
	}
}

// level returns the distance on a scale of 0 to 1.
func (j *joint) level(p *jointParams) float64 {
	d, b := j.State.Level, j.State.Bound
	l := d * d / (d*d + b*b)
	if j.State.On {
		return max(0.5, l)
	}
	return min(l, math.Nextafter(0.5, 0))
}

// step follows a state from its begin to its end.
func (s *jointState) step(p *jointParams, at int64, d float64) {
	s.Level = d
	s.Floor -= s.Floor / p.Centre
	if !s.On {
		if d >= max(s.Bound, s.Floor) {
			*s = jointState{On: true, Since: at, Peak: d, Level: d, Bound: s.Bound}
		}
		return
	}
	s.Peak = max(s.Peak, d)
	end := max(p.Release*s.Peak, s.Bound/2)
	if d >= end {
		s.Under = 0
		return
	}
	if s.Under++; s.Under > p.Hold {
		*s = jointState{Floor: end, Level: d, Bound: s.Bound}
	}
}
