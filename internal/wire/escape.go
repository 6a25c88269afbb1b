package wire

import (
	"unicode/utf16"
	"unicode/utf8"
)

// escapeLen returns the length of the escape sequence at the front of b, or 0 if it
// is not one of RFC 8259.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if hexValue(c) < 0 {
				return 0
			}
		}
		return 6
	}
	return 0
}

// unescape resolves the escape sequences of s, which quoted has checked. A surrogate
// without its partner becomes U+FFFD, as in encoding/json; it and U+0000 make s unsound.
func unescape(s string) (text string, sound bool) {
	sound = true
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		if s[i+1] != 'u' {
			out = append(out, plainEscape(s[i+1]))
			i += 2
			continue
		}
		r := hexRune(s[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				pair = utf16.DecodeRune(r, hexRune(s[i+2:]))
			}
			if r = pair; r != utf8.RuneError {
				i += 6
			} else {
				sound = false
			}
		}
		sound = sound && r != 0
		out = utf8.AppendRune(out, r)
	}
	return string(out), sound
}

// plainEscape returns the byte that a backslash and c stand for.
func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// hexRune returns the value of the four hex digits at the front of s.
func hexRune(s string) rune {
	r := rune(0)
	for i := range 4 {
		r = r<<4 | rune(hexValue(s[i]))
	}
	return r
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
// Nothing is escaped without need: not even <, > and &, for which see encoding/json.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[done:i]...), "\uFFFD"...)
				done = i + 1
			}
			i += n
			continue
		}
		if b < ' ' || b == '"' || b == '\\' {
			dst = append(dst, s[done:i]...)
			done = i + 1
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			}
		}
		i++
	}
	return append(append(dst, s[done:]...), '"')
}
