package wire

import (
	"bytes"

	"industrial-iot-monitor/internal/telemetry"
)

// Limits of a batch, uncompressed.
const (
	MaxBatchBytes    = 512 << 10
	MaxBatchReadings = 1000
)

// IsArray reports whether a message begins as a JSON array does: then it is a batch.
func IsArray(payload []byte) bool {
	for _, b := range payload {
		if !isSpace(b) {
			return b == '['
		}
	}
	return false
}

// IsLines reports whether a message looks like several readings, one a line, and not like
// one reading printed over several lines: those begin with a lone brace, and no line after
// begins with one.
func IsLines(payload []byte) bool {
	first, rest := nextLine(payload)
	second, _ := nextLine(rest)
	return len(first) > 0 && first[0] == '{' && len(second) > 0 && (first[len(first)-1] == '}' || second[0] == '{')
}

// SplitBatch appends the readings of a batch to dst, each with the bytes as sent: the
// elements of a JSON array, the lines that are not blank, or else the one reading that the
// whole is. It only finds where a reading
// ends, so that one that is not JSON costs no other. The readings alias payload. A batch is
// refused as a whole if it is too large, has no reading or too many, or is an array that
// does not end.
func SplitBatch(dst [][]byte, payload []byte) ([][]byte, *telemetry.Refusal) {
	if len(payload) > MaxBatchBytes {
		return dst, refuse(telemetry.ReasonTooLarge, "", "a batch of %d bytes; want at most %d", len(payload), MaxBatchBytes)
	}
	n := len(dst)
	var refusal *telemetry.Refusal
	switch {
	case IsArray(payload):
		dst, refusal = splitArray(dst, payload)
	case IsLines(payload):
		dst = splitLines(dst, payload)
	case !isBlank(payload):
		dst = append(dst, trimEnd(payload[skipSpace(payload, 0):]))
	}
	switch count := len(dst) - n; {
	case refusal != nil:
		return dst, refusal
	case count == 0:
		return dst, refuse(telemetry.ReasonInvalidBatch, "", "the batch is empty; want 1 to %d readings", MaxBatchReadings)
	case count > MaxBatchReadings:
		return dst, refuse(telemetry.ReasonInvalidBatch, "", "more than %d readings; send them as several batches", MaxBatchReadings)
	}
	return dst, nil
}

// splitArray stops after one reading more than allowed.
func splitArray(dst [][]byte, raw []byte) ([][]byte, *telemetry.Refusal) {
	i := skipSpace(raw, bytes.IndexByte(raw, '[')+1)
	if i < len(raw) && raw[i] == ']' {
		return dst, nothingAfter(raw, i+1)
	}
	for n := 0; n <= MaxBatchReadings; n++ {
		end := elementEnd(raw, i)
		if end >= len(raw) {
			return dst, refuse(telemetry.ReasonInvalidJSON, "", "byte %d: the array of readings does not end; want ']'", len(raw))
		}
		if raw[end] == '}' {
			return dst, refuse(telemetry.ReasonInvalidJSON, "", "byte %d: '}' without '{' in the array of readings", end)
		}
		dst = append(dst, trimEnd(raw[i:end]))
		if raw[end] == ']' {
			return dst, nothingAfter(raw, end+1)
		}
		i = skipSpace(raw, end+1)
	}
	return dst, nil
}

// structural are the characters at which the walk over an element stops.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true, ',': true}

// elementEnd returns the position of the comma or closing bracket after the element at i,
// or len(raw).
func elementEnd(raw []byte, i int) int {
	for depth := 0; ; i++ {
		for i < len(raw) && !structural[raw[i]] {
			i++
		}
		if i >= len(raw) {
			return len(raw)
		}
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i+1)
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}

// stringEnd returns the position of the quote that ends the string whose content begins at
// i, or at least len(raw).
func stringEnd(raw []byte, i int) int {
	for {
		i = plainEnd(raw, i)
		switch {
		case i >= len(raw) || raw[i] == '"':
			return i
		case raw[i] == '\\':
			i += 2
		default: // a control character, refused when the reading is decoded
			i++
		}
	}
}

func nothingAfter(raw []byte, i int) *telemetry.Refusal {
	if i = skipSpace(raw, i); i < len(raw) {
		return refuse(telemetry.ReasonInvalidJSON, "", "byte %d: want nothing after the array of readings", i)
	}
	return nil
}

// splitLines stops after one reading more than allowed.
func splitLines(dst [][]byte, raw []byte) [][]byte {
	for n := 0; n <= MaxBatchReadings; n++ {
		var line []byte
		if line, raw = nextLine(raw); line == nil {
			break
		}
		dst = append(dst, line)
	}
	return dst
}

// nextLine returns the first line of raw that is not blank, without white space around
// it, and what follows. It returns nil at the end.
func nextLine(raw []byte) (line, rest []byte) {
	raw = raw[skipSpace(raw, 0):]
	if len(raw) == 0 {
		return nil, nil
	}
	end := bytes.IndexByte(raw, '\n')
	if end < 0 {
		end = len(raw)
	}
	return trimEnd(raw[:end]), raw[end:]
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && isSpace(raw[i]) {
		i++
	}
	return i
}

func trimEnd(raw []byte) []byte {
	for len(raw) > 0 && isSpace(raw[len(raw)-1]) {
		raw = raw[:len(raw)-1]
	}
	return raw
}
