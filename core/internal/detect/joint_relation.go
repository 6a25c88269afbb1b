package detect

import "math"

const (
	// relationWindow is how many readings, with weights that fall, a slope is taken over.
	relationWindow = 360
	// relationLearn is how many readings a slope is learned from before it is judged.
	relationLearn = 4 * relationWindow
	// relationLeast is the least share of a sensor's movement that the others have to explain.
	relationLeast = 0.5
	// relationChange is the least change of a slope, which is 1 by nature, that is unusual, and
	// relationSpread how many of its usual deviations it has to be.
	relationChange, relationSpread = 0.6, 5
	// relationPrior is how much movement, in usual squared residuals over the window, weighs as much
	// as the slope that was learned.
	relationPrior = 0.5
)

// jointRelation is how far a sensor does what the others make expect: the slope of its movement on
// the expected one. A single movement that it does not follow may leave a residual no larger than
// those of an ordinary load step; the slope falls to 0 all the same.
type jointRelation struct {
	N              int
	Moved, Missed  float64 // usual square of the expected movement and of the residual
	Both, Expected float64 // in the window: movement times the expected one, square of that
	Slope, Spread  float64 // usual slope, and its variance
	Change         float64 // of the slope now, over what is unusual
	Apart          bool    // it has part in a broken relation
}

// observe takes the movement of a sensor around its centre and the one that is expected.
func (r *jointRelation) observe(w *jointWork, every, moved, expected float64) {
	r.N++
	k := max(1/float64(r.N), 1.0/relationWindow)
	r.Both += k * (moved*expected - r.Both)
	r.Expected += k * (expected*expected - r.Expected)
	prior := relationPrior * r.Missed
	usual := r.Slope
	if r.N <= relationWindow {
		usual = 1
	}
	slope := usual
	if r.Expected+prior > 0 {
		slope = (r.Both + prior*usual) / (r.Expected + prior)
	}
	if !r.Apart {
		r.learn(w, every, moved-expected, expected, slope)
	}
	r.Change = 0
	if r.N > relationLearn && r.Moved >= relationLeast*(r.Moved+r.Missed) {
		r.Change = math.Abs(slope-r.Slope) / max(relationChange, relationSpread*math.Sqrt(r.Spread))
	}
}

func (r *jointRelation) learn(w *jointWork, every, missed, expected, slope float64) {
	k := w.forget(r.N, every)
	r.Moved += k * (expected*expected - r.Moved)
	r.Missed += k * (missed*missed - r.Missed)
	if r.N <= relationWindow {
		r.Slope = 1
		return
	}
	k = w.forget(r.N-relationWindow, every)
	d := slope - r.Slope
	r.Slope += k * d
	r.Spread += k * ((1-k)*d*d - r.Spread)
}

// relate follows the state of the relations between the sensors.
func (j *joint) relate(p *jointParams, at int64) {
	d := 0.0
	for i := range j.Sensors {
		if r := &j.Sensors[i].Relation; r.Apart || !j.Relation.On {
			d = max(d, r.Change)
		}
	}
	j.Relation.Bound = 1
	j.Relation.step(p, at, d)
	for i := range j.Sensors {
		r := &j.Sensors[i].Relation
		r.Apart = j.Relation.On && (r.Apart || r.Change >= 1)
	}
}

// acceptRelation makes usual how the sensors move together now: they are learned anew.
func (j *joint) acceptRelation() {
	for i := range j.Sensors {
		s, row := j.row(i)
		if !s.Relation.Apart {
			continue
		}
		s.Relation = jointRelation{}
		for k := range i {
			row[k] = 0
		}
		for k := i + 1; k < len(j.Sensors); k++ {
			_, other := j.row(k)
			other[i] = 0
		}
	}
	j.Relation = jointState{}
}
