package wire

import (
	"encoding/binary"
	"math/bits"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// scanner walks over JSON text (RFC 8259) that is known to be valid UTF-8. Its errors
// are sticky: the first one is kept in err and moves the scanner to the end of the
// text, where every further step fails as well, so that loops end by themselves and
// only the outermost caller checks err.
type scanner struct {
	raw   []byte
	s     string // a copy of raw; returned strings are parts of it
	i     int    // position in raw
	depth int    // open objects and arrays
	err   *telemetry.Refusal
	twice *telemetry.Refusal // the first key found twice in a skipped object

	broken bool // the last string had a \u0000 or half of a surrogate pair
}

// peek returns the byte at the position, or 0 at the end.
func (c *scanner) peek() byte {
	if c.i < len(c.raw) {
		return c.raw[c.i]
	}
	return 0
}

// space skips white space.
func (c *scanner) space() {
	if c.i < len(c.raw) && c.raw[c.i] <= ' ' {
		c.spaces()
	}
}

func (c *scanner) spaces() {
	for c.i < len(c.raw) {
		switch c.raw[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// openObject enters the object at the position and reports whether it has a member,
// which is then next.
func (c *scanner) openObject() bool {
	if !c.enter() {
		return false
	}
	switch c.peek() {
	case '"':
		return true
	case '}':
		return c.leave()
	}
	return c.fail("a key or '}'")
}

// nextMember moves past a member's value and reports whether another one follows.
func (c *scanner) nextMember() bool {
	if i := c.i + 1; i < len(c.raw) && c.raw[i-1] == ',' && c.raw[i] == '"' {
		c.i = i
		return true
	}
	return c.nextMemberSlow()
}

func (c *scanner) nextMemberSlow() bool {
	c.space()
	switch c.peek() {
	case ',':
		c.i++
		c.space()
		return c.peek() == '"' || c.fail("a key")
	case '}':
		return c.leave()
	}
	return c.fail("',' or '}'")
}

// key reads a member's name and the colon; the value is next.
func (c *scanner) key() string {
	start := c.i + 1
	end := plainEnd(c.raw, start)
	if end+2 < len(c.raw) && c.raw[end] == '"' && c.raw[end+1] == ':' && c.raw[end+2] > ' ' {
		c.i = end + 2
		return c.s[start:end]
	}
	name := c.str()
	c.colon()
	return name
}

func (c *scanner) colon() {
	c.space()
	if c.peek() != ':' {
		c.fail("':'")
		return
	}
	c.i++
	c.space()
}

// skipArray reads the array at the position.
func (c *scanner) skipArray() {
	for more := c.openArray(); more; more = c.nextElement() {
		c.skipValue()
	}
}

// openArray enters the array at the position and reports whether it has an element, which is
// then next.
func (c *scanner) openArray() bool {
	if !c.enter() {
		return false
	}
	if c.peek() == ']' {
		return c.leave()
	}
	return true
}

// nextElement moves past an element's value and reports whether another one follows.
func (c *scanner) nextElement() bool {
	c.space()
	switch c.peek() {
	case ',':
		c.i++
		c.space()
		return true
	case ']':
		return c.leave()
	}
	return c.fail("',' or ']'")
}

// enter goes one level deeper, past the opening bracket.
func (c *scanner) enter() bool {
	if c.depth == MaxDepth {
		return c.failDepth()
	}
	c.depth++
	c.i++
	c.space()
	return true
}

// leave goes past the closing bracket. It returns false: nothing follows inside.
func (c *scanner) leave() bool {
	c.i++
	c.depth--
	return false
}

// skipValue reads any value.
func (c *scanner) skipValue() {
	switch b := c.peek(); b {
	case '"':
		c.quoted()
	case '{':
		c.skipObject()
	case '[':
		c.skipArray()
	case 't':
		c.literal("true")
	case 'f':
		c.literal("false")
	case 'n':
		c.literal("null")
	default:
		if b != '-' && (b < '0' || b > '9') {
			c.fail("a value")
			return
		}
		var n number
		c.number(&n)
	}
}

// literal reads word.
func (c *scanner) literal(word string) {
	if !strings.HasPrefix(c.s[c.i:], word) {
		c.fail("a value")
		return
	}
	c.i += len(word)
}

// str reads the string at the position.
func (c *scanner) str() string {
	start := c.i + 1
	if end := plainEnd(c.raw, start); end < len(c.raw) && c.raw[end] == '"' {
		c.i = end + 1
		return c.s[start:end]
	}
	return c.strSlow()
}

// strSlow reads a string that is not plain, or not whole.
func (c *scanner) strSlow() string {
	start := c.i + 1
	if escaped := c.quoted(); escaped {
		s, sound := unescape(c.s[start : c.i-1])
		c.broken = !sound
		return s
	}
	return ""
}

// quoted skips the string at the position and reports whether it contains an escape
// sequence. It checks every escape sequence.
func (c *scanner) quoted() (escaped bool) {
	i := c.i + 1 // past the opening quote
	for {
		i = plainEnd(c.raw, i)
		switch {
		case i >= len(c.raw):
			c.i = i
			return c.fail("'\"'")
		case c.raw[i] == '"':
			c.i = i + 1
			return escaped
		case c.raw[i] != '\\':
			c.i = i
			return c.failControl()
		}
		n := escapeLen(c.raw[i:])
		if n == 0 {
			c.i = i
			return c.failEscape()
		}
		escaped = true
		i += n
	}
}

// plainEnd returns the position of the first quote, backslash or control character
// at or after i, or len(raw). It looks at eight bytes at a time.
func plainEnd(raw []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(raw); i += 8 {
		x := binary.LittleEndian.Uint64(raw[i:])
		// For a byte b below 0x80, b-n has its top bit set if b < n. The xor makes the
		// wanted byte 0, and 0-1 is negative. A borrow can mark wrong bytes only above
		// a right one, and the lowest is taken.
		control, quote, back := x-' '*ones, x^'"'*ones-ones, x^'\\'*ones-ones
		if hit := (control | quote | back) &^ x & tops; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(raw); i++ {
		if b := raw[i]; b == '"' || b == '\\' || b < ' ' {
			return i
		}
	}
	return i
}
