package detect

import "math"

const (
	// bondLeast is the least share of a sensor's variance that another has to explain, and bondKeep the
	// one below which it no longer does.
	bondLeast, bondKeep = 0.5, 0.25
	// bondMemory is how long, in ms, it is remembered how sensors move together.
	bondMemory = 7 * day
	// bondReach is the range that is left of a sensor on the first day of its bond, in deviations.
	bondReach = 4
)

// bond is how a sensor follows the one of its device that explains it best. Their line is fixed once it is
// chosen, so that a sensor that slowly leaves it is seen to. What is left of the sensor beside it has a range,
// as all quantities have.
type bond struct {
	With        int8 // 1 + index of the other sensor; 0: none explains enough
	Slope, Base float64
	Left        limits
}

func (b *bond) expected(other float64) float64 { return b.Base + b.Slope*other }

// judge returns how unusual a value is, given that of the other sensor.
func (b *bond) judge(at int64, x, other float64, floor float32, settle int64) float32 {
	return b.Left.tell(at, float32(x-b.expected(other)), b.Left.part(limitLeft, floor), settle)
}

// pair is how two sensors of a device move together, in the readings that have both and nothing unusual
// about them.
type pair struct {
	N          int64
	A, B       float64 // means
	AA, BB, AB float64 // variances, covariance
}

// learn adds two values, by the share k of what is remembered.
func (p *pair) learn(a, b, k float64) {
	p.N++
	k = max(1/float64(p.N), k)
	da, db := a-p.A, b-p.B
	p.A += k * da
	p.B += k * db
	p.AA += k * ((1-k)*da*da - p.AA)
	p.BB += k * ((1-k)*db*db - p.BB)
	p.AB += k * ((1-k)*da*db - p.AB)
}

// explained returns the share of the variance of one that the other explains.
func (p *pair) explained() float64 {
	if p.AA <= 0 || p.BB <= 0 {
		return 0
	}
	return p.AB * p.AB / (p.AA * p.BB)
}

// turned returns the pair with a and b changed.
func (p *pair) turned() pair { return pair{p.N, p.B, p.A, p.BB, p.AA, p.AB} }

// pairs are those of the first sensors of a device, at most maxJoint: that of a and b, a > b, is at a(a-1)/2+b.
type pairs []pair

// of returns how sensor a moves with sensor b.
func (p pairs) of(a, b int) pair {
	if a > b {
		return p[a*(a-1)/2+b]
	}
	return p[b*(b-1)/2+a].turned()
}

// grow makes room for n sensors.
func (p *pairs) grow(n int) {
	n = min(n, maxJoint)
	if more := n*(n-1)/2 - len(*p); more > 0 {
		*p = append(*p, make(pairs, more)...)
	}
}

// learn learns the values of a reading, NaN for those that say nothing. every is the usual time in ms
// between readings.
func (p pairs) learn(values []float64, every float64) {
	n := min(len(values), maxJoint)
	k := min(1, every/bondMemory)
	i := 0
	for a := range n {
		for b := range a {
			if x, y := values[a], values[b]; !math.IsNaN(x) && !math.IsNaN(y) {
				p[i].learn(x, y, k)
			}
			i++
		}
	}
}

// bind returns the bond of sensor a of n, which had the bond before.
func (p pairs) bind(a, n int, before bond) bond {
	if w := int(before.With) - 1; w >= 0 {
		if q := p.of(a, w); q.explained() >= bondKeep {
			return before
		}
	}
	most, out := bondLeast, bond{}
	for b := range min(n, maxJoint) {
		if b == a {
			continue
		}
		q := p.of(a, b)
		if share := q.explained(); q.N >= fewestOfDay && share > most {
			most = share
			out = bond{With: int8(b + 1), Slope: q.AB / q.BB}
			out.Base = q.A - out.Slope*q.B
			reach := bondReach * float32(math.Sqrt(q.AA*(1-share)))
			out.Left = limits{Low: -reach, High: reach, Known: true}
		}
	}
	return out
}
