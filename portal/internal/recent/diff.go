package recent

import (
	"encoding/binary"
	"math/bits"
)

// A difference is a list of steps: copy n bytes of the base, skip n, insert the n that follow. The
// numbers are uvarints. Readings of one device differ in a few digits, so a difference has
// about a tenth of their length.

// appendDiff appends the difference that turns base into text. It is at most slightly longer than text.
func appendDiff(dst, base, text []byte) []byte {
	from, i, j := len(dst), 0, 0
	for {
		if len(dst)-from > len(text)/2 { // they have little in common
			return appendStep(dst[:from], 0, 0, text)
		}
		n := common(base[i:], text[j:])
		i, j = i+n, j+n
		skip, insert := meet(base[i:], text[j:])
		dst = appendStep(dst, n, skip, text[j:j+insert])
		if i, j = i+skip, j+insert; j == len(text) {
			return dst
		}
	}
}

func appendStep(dst []byte, n, skip int, insert []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(skip))
	dst = binary.AppendUvarint(dst, uint64(len(insert)))
	return append(dst, insert...)
}

// common returns the length of the common prefix of a and b.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	k := 0
	for ; k+8 <= n; k += 8 {
		if d := binary.LittleEndian.Uint64(a[k:]) ^ binary.LittleEndian.Uint64(b[k:]); d != 0 {
			return k + bits.TrailingZeros64(d)/8
		}
	}
	for k < n && a[k] == b[k] {
		k++
	}
	return k
}

// meet returns how many bytes to skip in each text to reach the end of the JSON value in which they
// differ, or all of b if there is no such end.
func meet(a, b []byte) (skip, insert int) {
	skip, insert = valueEnd(a), valueEnd(b)
	if insert == len(b) || skip == len(a) {
		return 0, len(b)
	}
	if skip == 0 && insert == 0 { // both are at an end, of different values
		return 1, 1
	}
	return skip, insert
}

// valueEnd returns where the JSON value at the start of s ends.
func valueEnd(s []byte) int {
	for i, c := range s {
		if c == ',' || c == '}' || c == '"' {
			return i
		}
	}
	return len(s)
}

// appendText applies diff to base and appends the result. It reports whether diff is well formed.
func appendText(dst, base, diff []byte) ([]byte, bool) {
	at := 0
	for len(diff) > 0 {
		var step [3]int
		for i := range step {
			v, n := binary.Uvarint(diff)
			if n <= 0 || v > 1<<30 {
				return dst, false
			}
			step[i], diff = int(v), diff[n:]
		}
		if at+step[0]+step[1] > len(base) || step[2] > len(diff) {
			return dst, false
		}
		dst = append(dst, base[at:at+step[0]]...)
		dst = append(dst, diff[:step[2]]...)
		at, diff = at+step[0]+step[1], diff[step[2]:]
	}
	return dst, true
}
