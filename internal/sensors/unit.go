package sensors

import (
	"math"
	"strings"
	"unicode/utf8"
)

// unit is one unit of a quantity: a value v in it is (v + add) * mul / div in the
// quantity's base unit. mul and div are exact where the unit's definition is.
type unit struct {
	symbol    string // as shown
	add       float64
	mul, div  float64
	spellings string // further ones, separated by spaces: UCUM codes and what devices write
}

// quantity is a physical quantity with its units; the first is the base unit.
type quantity struct {
	name  string
	units []unit
}

// scale converts a value: (v + add) * mul / div - sub.
type scale struct{ add, mul, div, sub float64 }

func (s scale) value(v float64) float64 { return (v+s.add)*s.mul/s.div - s.sub }

// difference converts the distance of two values, which knows no zero point: 9 °F are
// 5 °C apart.
func (s scale) difference(v float64) float64 { return v * s.mul / s.div }

// to returns the scale from unit u to unit v of the same quantity.
func (u unit) to(v unit) scale {
	s := scale{add: u.add, mul: u.mul * v.div, div: u.div * v.mul, sub: v.add}
	if d := commonDivisor(s.mul, s.div); d > 1 {
		s.mul, s.div = s.mul/d, s.div/d
	}
	return s
}

// commonDivisor returns the greatest of two whole numbers; 1 if one is not whole, or too
// large to be exact.
func commonDivisor(a, b float64) float64 {
	const exact = 1 << 53
	if a != math.Trunc(a) || b != math.Trunc(b) || a < 1 || b < 1 || a > exact || b > exact {
		return 1
	}
	for b != 0 {
		a, b = b, math.Mod(a, b)
	}
	return a
}

// spellings find a unit of one quantity, by its index, from what a device writes.
type spellings struct {
	exact  map[string]int // as in the table, and normalised
	folded map[string]int // normalised and in lower case, where no two units share that
}

// find returns the index of a unit as a device writes it. Case is ignored unless two units
// differ in it alone, as mW and MW do. It does not allocate.
func (s *spellings) find(written string) (int, bool) {
	if i, ok := s.exact[written]; ok {
		return i, true
	}
	var buf [maxUnitBytes]byte
	b, ok := normalise(buf[:0], written)
	if !ok {
		return 0, false
	}
	if i, ok := s.exact[string(b)]; ok {
		return i, true
	}
	i, ok := s.folded[string(lower(b))]
	return i, ok
}

func (q *quantity) spellings() *spellings {
	s := &spellings{exact: map[string]int{}, folded: map[string]int{}}
	shared := map[string]bool{}
	for i, u := range q.units {
		for _, text := range append(strings.Fields(u.spellings), u.symbol) {
			b, _ := normalise(nil, text)
			s.exact[text], s.exact[string(b)] = i, i
			folded := string(lower(b))
			if j, taken := s.folded[folded]; taken && j != i {
				shared[folded] = true
			}
			s.folded[folded] = i
		}
	}
	for folded := range shared {
		delete(s.folded, folded)
	}
	return s
}

// maxUnitBytes bounds a unit that is looked up, normalised. The longest in the table is
// much shorter.
const maxUnitBytes = 32

// normalise appends the one spelling of a unit that is written in several: spaces left out,
// ℃ as °C, µ and μ as u, m³ and m^3 as m3, N·m as N.m, full-width and squared
// characters as plain ones. It reports false for a text too long for a unit.
func normalise(dst []byte, written string) ([]byte, bool) {
	for _, r := range written {
		switch {
		case r == ' ' || r == '\u00a0' || r == '\u202f' || r == '\u2009' || r == '^' || r == '_':
		case r < utf8.RuneSelf:
			dst = append(dst, byte(r))
		case r >= '！' && r <= '～': // full-width ASCII
			dst = append(dst, byte(r-'！'+'!'))
		default:
			if plain, ok := plainRunes[r]; ok {
				dst = append(dst, plain...)
			} else {
				dst = utf8.AppendRune(dst, r)
			}
		}
		if len(dst) > maxUnitBytes-utf8.UTFMax {
			return dst, false
		}
	}
	return dst, true
}

// plainRunes are the characters that Unicode has for parts of units.
var plainRunes = map[rune]string{
	'℃': "°C", '℉': "°F", 'º': "°", '˚': "°", 'µ': "u", 'μ': "u",
	'²': "2", '³': "3", '⁻': "-", '¹': "1", '·': ".", '⋅': ".", '∙': ".", '•': ".", '×': ".", '−': "-", '∕': "/", '⁄': "/",
	'㎥': "m3", '㎡': "m2", '㎎': "mg", '㎍': "ug", '㎏': "kg", '㎜': "mm", '㎝': "cm", '㎞': "km", '㎛': "um",
	'㎐': "Hz", '㎑': "kHz", '㎒': "MHz", '㎩': "Pa", '㎪': "kPa", '㎫': "MPa", '㎧': "m/s", '㎨': "m/s2",
	'㎃': "mA", '㎂': "uA", '㎷': "mV", '㎸': "kV", '㎾': "kW", '㎿': "MW", '㏈': "dB", '㏗': "pH", '㎖': "mL", '㏕': "mil", '㏃': "Bq",
}

// lower turns the ASCII letters of b into lower case, in place.
func lower(b []byte) []byte {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
