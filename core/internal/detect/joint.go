package detect

import (
	"math"
	"time"
)

// maxJoint is how many sensors of a device the joint measure looks at: the first ones. The cost of
// a reading grows with the cube of their number.
const maxJoint = 16

// maxJointValue bounds what is looked at, so that no fourth power is infinite. NaN is not below it.
const maxJointValue = 1e60

// jointParams are the parameters of the joint measure, the same for every device. Those in readings
// do not depend on the interval.
type jointParams struct {
	Learn    int64   // readings of a sensor before it is judged
	Moves    int64   // of these that must differ from the one before: a switch that was never used is not judged
	Short    float64 // readings of the mean that is judged
	Block    int64   // readings whose means are compared to see how a sensor drifts
	Centre   float64 // readings of the centre of a sensor that does not drift
	Drift    float64 // share of the drift seen that is allowed for
	Ridge    float64 // share of a correlation that is not believed
	Leverage float64 // how much less a residual counts for each squared deviation of the other sensors
	Chance   float64 // standard deviations of a kurtosis that are put down to chance
	Wait     int64   // residuals that wait before they count as usual
	Bound    float64 // residual, in deviations, that is unusual when Learn readings were seen
	Release  float64 // share of the peak below which a state has ended
	Hold     int64   // readings that it must stay below it
}

// jointDefaults were chosen once; docs/detection-skab.md has the grid, how, and what others give.
func jointDefaults() jointParams {
	return jointParams{
		Learn: 350, Moves: 30, Short: 6, Block: 64, Centre: 600, Drift: 0.3, Ridge: 0.2,
		Leverage: 0.12, Chance: 0.5, Wait: 32, Bound: 3, Release: 0.5, Hold: 40,
	}
}

// joint measures whether the sensors of a device still move together as they did. Each sensor has a
// centre that follows as fast as the sensor drifts: a local level model (Harvey 1989), whose gain
// follows from drift and noise. What is judged is the short mean of each sensor around its centre,
// given those of all others: a multivariate EWMA chart (Lowry et al. 1992), decomposed by sensors
// (Mason, Tracy, Young 1995). A state of load that moves the sensors together as before leaves no
// residual, however high it is. From a sensor that has part in an unusual state nothing is learned
// until the state ends or becomes usual.
type joint struct {
	Sensors []jointSensor
	Cov     []float64 // of the short means around the centres: lower triangle by rows
	N       int64     // readings
	Begin   int64     // ms, of the first reading
	At      int64     // ms, of the newest one
	State   jointState
}

// jointState is a state of the device as a whole.
type jointState struct {
	On    bool
	Since int64   // ms, while On
	Level float64 // largest residual now
	Bound float64 // what is unusual; it stays where it was while On
	Peak  float64 // largest residual of the state
	Floor float64 // below this, what remains of a state that has ended is not a new one
	Under int64   // readings that the residual is far below the peak
}

// jointVerdict is how unusual a device is as a whole.
type jointVerdict struct {
	Level    float64 // 0 to 1; 0.5 is the boundary, and the state does not go below while it lasts
	Unusual  bool
	Learning bool // fewer than two sensors are known well enough
}

// step learns the values of a reading, NaN where a sensor is missing, and returns how unusual the
// device is. A reading that is not newer than all before teaches nothing. Values beyond maxJoint are
// not looked at.
func (j *joint) step(p *jointParams, settle time.Duration, at int64, values []float64) jointVerdict {
	values = values[:min(len(values), maxJoint)]
	if j.N > 0 && at <= j.At {
		return j.verdict(p)
	}
	j.grow(len(values))
	if j.N == 0 {
		j.Begin = at
	}
	j.N++
	if j.State.On && at-j.State.Since >= j.patience(settle) {
		j.accept()
	}
	w := jointWork{settle: max(float64(settle.Milliseconds()), 1)}
	for i, v := range values {
		if math.Abs(v) < maxJointValue {
			w.add(i, j.Sensors[i].observe(p, &w, at, v))
		}
	}
	j.residuals(p, &w, at)
	j.learn(p, &w)
	j.follow(p, &w, values)
	j.bound(p, &w)
	j.At = at
	since := j.State.Since
	j.State.step(p, at, j.distance(p))
	j.hold(p, float64(at-since))
	return j.verdict(p)
}

// grow makes room for n sensors.
func (j *joint) grow(n int) {
	if more := n - len(j.Sensors); more > 0 {
		j.Sensors = append(j.Sensors, make([]jointSensor, more)...)
		j.Cov = append(j.Cov, make([]float64, n*(n+1)/2-len(j.Cov))...)
	}
}

// patience returns how many ms a state has to last to become usual: the settling time, or twice the
// time that the device was known for, if that is less. A state that lasted for longer than all that
// was seen before it is as usual as that.
func (j *joint) patience(settle time.Duration) int64 {
	return min(settle.Milliseconds(), 2*(j.State.Since-j.Begin))
}

// accept makes usual what is there now. How far the sensors that made it have gone counts as drift
// since they were first seen.
func (j *joint) accept() {
	for i := range j.Sensors {
		s := &j.Sensors[i]
		if !s.Held {
			continue
		}
		if known := float64(s.At - j.Begin); known > 0 {
			d := s.Mean - s.Centre
			s.Drift = max(0, s.Drift) + d*d/known
		}
		s.Held, s.Centre, s.Residual = false, s.Mean, 0
		s.Sum, s.InBlock, s.BlockAt = 0, 0, s.At
	}
	j.State = jointState{Bound: j.State.Bound}
}

// bound sets what is unusual. The more readings a device had, up to those of the settling time, the
// rarer a residual has to be: the boundary rises so that the probability beyond it falls in proportion.
func (j *joint) bound(p *jointParams, w *jointWork) {
	if j.State.On || w.n == 0 {
		return
	}
	n := float64(j.N)
	if every := j.Sensors[w.index[0]].Every; every > 0 {
		n = min(n, w.settle/every)
	}
	j.State.Bound = math.Sqrt(p.Bound*p.Bound + 3*math.Log(max(1, n/float64(p.Learn))))
}

// distance returns the largest residual; of a state that lasts, that of the sensors that made it.
func (j *joint) distance(p *jointParams) float64 {
	d := 0.0
	for i := range j.Sensors {
		if s := &j.Sensors[i]; s.known(p) && (s.Held || !j.State.On) {
			d = max(d, math.Abs(s.Residual))
		}
	}
	return d
}

// hold marks the sensors that have part in an unusual state, which has lasted for ms. After its end
// their centres catch up with the drift that was possible meanwhile.
func (j *joint) hold(p *jointParams, ms float64) {
	for i := range j.Sensors {
		s := &j.Sensors[i]
		was := s.Held
		s.Held = j.State.On && (was || s.known(p) && math.Abs(s.Residual) >= j.State.Bound)
		if was && !s.Held {
			d := s.wander(p, ms)
			s.Centre += d / (d + j.variance(i)) * (s.Mean - s.Centre)
		}
	}
}

// step follows a state from its begin to its end. d is the largest residual.
func (s *jointState) step(p *jointParams, at int64, d float64) {
	s.Level = d
	s.Floor -= s.Floor / p.Centre
	if !s.On {
		if d >= max(s.Bound, s.Floor) {
			s.On, s.Since, s.Peak, s.Floor, s.Under = true, at, d, 0, 0
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

func (j *joint) verdict(p *jointParams) jointVerdict {
	known := 0
	for i := range j.Sensors {
		if j.Sensors[i].known(p) {
			known++
		}
	}
	if known < 2 {
		return jointVerdict{Learning: true}
	}
	return jointVerdict{Level: j.State.level(), Unusual: j.State.On}
}

// level returns the largest residual on a scale from 0 to 1.
func (s *jointState) level() float64 {
	d, b := s.Level*s.Level, s.Bound*s.Bound
	switch {
	case b == 0:
		return 0
	case s.On:
		return max(0.5, d/(d+b))
	case d >= b: // what remains of a state that has ended
		return belowHalf
	}
	return d / (d + b)
}

// belowHalf is the highest level that is not worth an alarm.
var belowHalf = math.Nextafter(0.5, 0)
