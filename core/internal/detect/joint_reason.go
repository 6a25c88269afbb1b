package detect

import "math"

// jointReason says which sensors make a device unusual, by index.
type jointReason struct {
	Sensor int     // whose residual is the largest
	Share  float64 // its part in the squared residuals of all, negative if it is below what is expected
	// Expected is its short mean as the others make expect; Value is what it is. With at -1 it is the
	// level that is unusual, otherwise the relation to sensor With.
	Value, Expected float64
	With            int
}

// holds reports whether a sensor has part in the present state.
func (j *joint) holds(sensor int) bool { return sensor < len(j.Sensors) && j.Sensors[sensor].Held }

// strongPair is from which correlation on two sensors are said to move together.
const strongPair = 0.5

// reason returns why the device is as unusual as it is; false: nothing is known yet. It is for what
// is shown, not for every reading.
func (j *joint) reason(p *jointParams) (jointReason, bool) {
	r := jointReason{Sensor: -1}
	sum, most := 0.0, 0.0
	for i := range j.Sensors {
		s := &j.Sensors[i]
		if !s.known(p) {
			continue
		}
		e := math.Abs(s.Residual)
		sum += e * e
		if e > most {
			r.Sensor, most = i, e
		}
	}
	if r.Sensor < 0 {
		return r, false
	}
	s := &j.Sensors[r.Sensor]
	r.Share = math.Copysign(most*most/sum, s.Residual)
	r.Value, r.Expected = s.Mean, s.Mean-s.Gap
	r.With = j.broken(p, r.Sensor)
	return r, true
}

// broken returns the sensor whose relation to sensor i has changed most: the residual of one
// regressed on the other is the largest. -1: none of those that i moved with.
func (j *joint) broken(p *jointParams, i int) int {
	with, most := -1, j.State.Bound/2
	z := (j.Sensors[i].Mean - j.Sensors[i].Centre) / math.Sqrt(j.variance(i))
	for k := range j.Sensors {
		if k == i || !j.Sensors[k].known(p) {
			continue
		}
		c := j.correlation(i, k)
		if math.Abs(c) < strongPair {
			continue
		}
		y := (j.Sensors[k].Mean - j.Sensors[k].Centre) / math.Sqrt(j.variance(k))
		if e := math.Abs(z-c*y) / math.Sqrt(max(1-c*c, leastPivot)); e > most {
			with, most = k, e
		}
	}
	return with
}

// correlation returns that of the short means of two sensors.
func (j *joint) correlation(a, b int) float64 {
	a, b = max(a, b), min(a, b)
	_, row := j.row(a)
	v := j.variance(a) * j.variance(b)
	if v <= 0 {
		return 0
	}
	return row[b] / math.Sqrt(v)
}
