package wire

import (
	"math"
	"strconv"
)

// number is a JSON number as scanned: lit is its text. Where exact is true its value
// is mant × 10^exp, with the sign of neg.
type number struct {
	lit   string
	mant  uint64
	exp   int
	neg   bool
	exact bool
}

// pow10 holds the powers of ten that a float64 represents exactly.
var pow10 = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// number reads the number at the position, which is at a digit or a minus sign, into
// n, which is zero. It reports whether there was one.
func (c *scanner) number(n *number) bool {
	start := c.i
	if n.neg = c.raw[start] == '-'; n.neg {
		c.i++
	}
	first := c.i
	c.digits(&n.mant)
	count := c.i - first
	if count == 0 {
		return c.fail("a digit")
	}
	if count > 1 && c.raw[first] == '0' {
		c.i = first
		return c.fail("a number without leading zeros")
	}
	if c.peek() == '.' {
		c.i++
		from := c.i
		c.digits(&n.mant)
		if c.i == from {
			return c.fail("a digit")
		}
		n.exp = from - c.i
		count -= n.exp
	}
	n.exact = count <= 19 // 19 nines fit into mant
	if c.peek()|0x20 == 'e' && !c.exponent(n) {
		return false
	}
	n.lit = c.s[start:c.i]
	return true
}

// digits reads decimal digits into v, which overflows silently.
func (c *scanner) digits(v *uint64) {
	raw, i, m := c.raw, c.i, *v
	for i < len(raw) && raw[i]-'0' <= 9 {
		m = m*10 + uint64(raw[i]-'0')
		i++
	}
	c.i, *v = i, m
}

// exponent reads the exponent of n.
func (c *scanner) exponent(n *number) bool {
	c.i++
	minus := c.peek() == '-'
	if minus || c.peek() == '+' {
		c.i++
	}
	from, e := c.i, uint64(0)
	c.digits(&e)
	switch {
	case c.i == from:
		return c.fail("a digit")
	case c.i-from > 4:
		n.exact = false
	case minus:
		n.exp -= int(e)
	default:
		n.exp += int(e)
	}
	return true
}

// float returns the float64 nearest to n, exactly as strconv.ParseFloat does, and
// whether that is finite.
func (n *number) float() (float64, bool) {
	if n.exact && n.mant <= 1<<53 && -22 <= n.exp && n.exp <= 22 {
		// Both operands are exact, so the one rounding of the operation is the right
		// one (Clinger, How to Read Floating Point Numbers Accurately, 1990).
		f := float64(n.mant)
		if n.neg {
			f = -f
		}
		if n.exp < 0 {
			return f / pow10[-n.exp], true
		}
		return f * pow10[n.exp], true
	}
	f, err := strconv.ParseFloat(n.lit, 64)
	return f, err == nil
}

// integer returns n as an integer and whether it is one. How it is written does not
// matter: 3, 3.0 and 30e-1 are the same number. Beyond 2^53 that holds for plain
// digits alone, as a float64 has no room for a fraction there.
func (n *number) integer() (int64, bool) {
	if n.exact && n.exp == 0 && n.mant <= math.MaxInt64 {
		if n.neg {
			return -int64(n.mant), true
		}
		return int64(n.mant), true
	}
	f, ok := n.float()
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// appendFloat appends v in the shortest decimal form that reads back as v, without an
// exponent where encoding/json uses none. A value that is not finite has no JSON form
// and becomes null.
func appendFloat(dst []byte, v float64) []byte {
	// Most measurements have few decimals: m/10^k with m < 10^15 is exact in both
	// directions, and the smallest k gives the shortest form.
	for k := range 5 {
		m := math.RoundToEven(v * pow10[k])
		if math.Abs(m) >= 1e15 {
			break
		}
		if m/pow10[k] == v && (m != 0 || !math.Signbit(v)) {
			return appendDecimal(dst, int64(m), k)
		}
	}
	abs := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(dst, "null"...)
	case abs != 0 && (abs < 1e-6 || abs >= 1e21):
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendDecimal appends m/10^k with k decimals.
func appendDecimal(dst []byte, m int64, k int) []byte {
	if m < 0 {
		dst, m = append(dst, '-'), -m
	}
	unit := int64(pow10[k])
	dst = strconv.AppendInt(dst, m/unit, 10)
	if k == 0 {
		return dst
	}
	at := len(dst) + 1
	dst = strconv.AppendInt(dst, unit+m%unit, 10) // a 1, then k digits
	dst[at-1] = '.'
	return dst
}
