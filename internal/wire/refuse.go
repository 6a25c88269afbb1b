package wire

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// maxEcho is the most bytes of a message that a refusal quotes.
const maxEcho = 36

func refuse(reason telemetry.Reason, field, format string, args ...any) *telemetry.Refusal {
	return &telemetry.Refusal{Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

// fail records that something else was wanted at the position, and moves to the end of
// the text. It returns false.
func (c *scanner) fail(want string) bool {
	return c.failAt("want %s, got %s", want, c.found())
}

// failAt records a syntax error at the position, if it is the first.
func (c *scanner) failAt(format string, args ...any) bool {
	if c.err == nil {
		c.err = refuse(telemetry.ReasonInvalidJSON, "", "byte %d: "+format, append([]any{c.i}, args...)...)
	}
	c.i = len(c.raw)
	return false
}

func (c *scanner) failControl() bool {
	return c.failAt("want control characters in strings escaped, got 0x%02x", c.peek())
}

func (c *scanner) failEscape() bool {
	if c.i+1 >= len(c.raw) || c.raw[c.i+1] != 'u' {
		c.i++
		return c.fail(`one of "\/bfnrtu after a backslash`)
	}
	return c.failAt(`want four hex digits after \u`)
}

func (c *scanner) failDepth() bool {
	if c.err == nil {
		c.err = refuse(telemetry.ReasonTooDeep, "", "byte %d: objects and arrays are nested more than %d deep", c.i, MaxDepth)
	}
	c.i = len(c.raw)
	return false
}

// end checks that nothing but white space follows.
func (c *scanner) end() {
	c.space()
	if c.i < len(c.raw) {
		c.failAt("want nothing after the reading, got %s", c.found())
	}
}

// found describes the character at the position.
func (c *scanner) found() string {
	rest := c.s[min(c.i, len(c.s)):]
	if rest == "" {
		return "the end"
	}
	for _, word := range []string{"NaN", "Infinity", "nan", "inf"} {
		if strings.HasPrefix(rest, word) {
			return word + ", which is not a JSON number"
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return strconv.QuoteRune(r)
}

// kindOf names the type of the JSON value that begins with b.
func kindOf(b byte) string {
	switch b {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// quote returns s in quotes, printable and not long.
func quote(s string) string { return clip(strconv.Quote(s[:min(len(s), maxEcho)])) }

// clip cuts s to maxEcho bytes, between characters.
func clip(s string) string {
	if len(s) <= maxEcho {
		return s
	}
	end := maxEcho
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

func isBlank(raw []byte) bool {
	for _, b := range raw {
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return true
}

// invalidUTF8At returns the position of the first byte that is not UTF-8.
func invalidUTF8At(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(raw) - 1
}
