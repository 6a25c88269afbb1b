package series

import "math"

// code is a value in 16 bits: sign, 6 bits of exponent and 9 of mantissa of its distance from the
// reference of its series, so that a value is at most a thousandth of that distance off: the
// noise of a sensor, or the course of a counter, is kept to three digits, however large
// the value. A code with exponent 0 is no distance.
type code uint16

const (
	none         code = 1 << 15 // no value
	mantissaBits      = 9
	maxExponent       = 1<<6 - 1
)

// packing says what the codes of a series mean.
type packing struct {
	reference float64
	// unit is the exponent of 2 in the middle of the range: that of the first value, or distance,
	// that is not 0.
	unit  int16
	scale bool // unit is known
}

func newPacking(v float64) packing {
	p := packing{reference: v}
	p.measure(v)
	return p
}

// about returns a packing with another reference whose codes can express the values of p.
func (p *packing) about(reference float64) packing {
	q := newPacking(reference)
	if p.scale && (!q.scale || q.unit < p.unit) {
		q.unit, q.scale = p.unit, true
	}
	return q
}

func (p *packing) measure(v float64) {
	if !p.scale && v != 0 {
		_, exponent := math.Frexp(v)
		p.unit, p.scale = int16(exponent), true
	}
}

// fits reports whether a value can be packed: its distance is at most 2³⁰ times the first one.
func (p *packing) fits(v float64) bool {
	d := v - p.reference
	p.measure(d)
	return math.Abs(d) < math.Ldexp(1, int(p.unit)+maxExponent/2-1) && math.Abs(d) < math.MaxFloat32 || d == 0
}

func (p *packing) distance(v float64) float32 { return float32(v - p.reference) }

// pack returns the code of a value that fits.
func (p *packing) pack(v float64) code { return p.packDistance(float32(v - p.reference)) }

func (p *packing) packDistance(d float32) code {
	fraction, exponent := math.Frexp(math.Abs(float64(d))) // fraction is in [0.5, 1)
	m := int(math.RoundToEven((2*fraction - 1) * (1 << mantissaBits)))
	e := exponent - int(p.unit) + maxExponent/2
	if e += m >> mantissaBits; d == 0 || e <= 0 {
		return 0
	}
	c := code(min(e, maxExponent))<<mantissaBits | code(m)&(1<<mantissaBits-1)
	if d < 0 {
		c |= 1 << 15
	}
	return c
}

// value returns the value of a code other than none: the one of the fewest digits that the code can
// stand for.
func (p *packing) value(c code) float64 {
	e := int(c &^ none >> mantissaBits)
	if e == 0 {
		return p.reference
	}
	step := math.Ldexp(1, e+int(p.unit)-maxExponent/2-1-mantissaBits) // from this code to the next one
	d := float64(1<<mantissaBits|c&(1<<mantissaBits-1)) * step
	if c&none != 0 {
		d = -d
	}
	v := p.reference + d
	exponent := int(math.Ceil(math.Log10(step)))
	if few := roundTo(v, exponent); math.Abs(few-v) <= step/2 {
		return few
	}
	return roundTo(v, exponent-1)
}

// roundTo rounds v to a multiple of a power of ten.
func roundTo(v float64, exponent int) float64 {
	digits := math.Pow10(-exponent)
	if r := math.Round(v*digits) / digits; !math.IsNaN(r) && !math.IsInf(r, 0) {
		return r
	}
	return v
}
