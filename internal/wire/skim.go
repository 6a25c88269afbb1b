package wire

import (
	"unicode/utf8"
	"unsafe"
)

// IsObject reports whether text is one JSON object in UTF-8, not nested deeper than MaxDepth,
// so that it can be passed on within a JSON text. It decodes nothing and allocates nothing.
func IsObject(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	c := scanner{raw: text, s: unsafe.String(unsafe.SliceData(text), len(text))}
	if c.space(); c.peek() != '{' {
		return false
	}
	c.skim()
	c.end()
	return c.err == nil
}

// skim reads any value and does not look at keys.
func (c *scanner) skim() {
	switch c.peek() {
	case '{':
		for more := c.openObject(); more; more = c.nextMember() {
			c.quoted()
			c.colon()
			c.skim()
		}
	case '[':
		for more := c.openArray(); more; more = c.nextElement() {
			c.skim()
		}
	default:
		c.skipValue()
	}
}
