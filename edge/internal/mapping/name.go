package mapping

import (
	"hash/fnv"
	"strconv"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// hashedBytes is the length of "_" and 8 hex digits.
const hashedBytes = 9

// appendDeviceID appends name as a device id: every run of other characters than A-Z a-z
// 0-9 _ - becomes one _. If that changed or shortened the name, "_" and 8 hex digits of its
// FNV-1a hash follow, so that two devices never become one.
func appendDeviceID(dst []byte, name []byte) []byte {
	start, changed, gap := len(dst), false, false
	for _, c := range name {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		switch {
		case letter || '0' <= c && c <= '9' || c == '_' || c == '-':
			dst, gap = append(dst, c), false
		case gap:
		default:
			dst, gap, changed = append(dst, '_'), true, true
		}
	}
	if len(dst)-start > telemetry.MaxDeviceIDBytes {
		changed = true
	}
	if !changed {
		return dst
	}
	dst = dst[:start+min(len(dst)-start, telemetry.MaxDeviceIDBytes-hashedBytes)]
	return appendHash(dst, name)
}

// appendHash appends "_" and the hash of name.
func appendHash(dst, name []byte) []byte {
	h := fnv.New32a()
	_, _ = h.Write(name) // never fails
	hex := strconv.FormatUint(uint64(h.Sum32())|1<<32, 16)
	return append(append(dst, '_'), hex[1:]...)
}

// sensorName returns name as a sensor name: lower case, a _ before a capital that follows
// a small letter or digit, one _ for every run of other characters, none at the ends,
// "s_" before a digit. If that lost a letter of another script or shortened the name, "_"
// and 8 hex digits of its hash follow.
func sensorName(name string) string {
	if telemetry.ValidSensorName(name) {
		return name
	}
	var b strings.Builder
	lost, small, gap := false, false, false
	for i := range len(name) {
		c := name[i]
		capital := 'A' <= c && c <= 'Z'
		if !capital && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			lost = lost || c >= 0x80
			gap, small = b.Len() > 0, false
			continue
		}
		if gap || capital && small {
			b.WriteByte('_')
		}
		gap, small = false, !capital
		if b.Len() == 0 && '0' <= c && c <= '9' {
			b.WriteString("s_")
		}
		if capital {
			c |= 0x20
		}
		b.WriteByte(c)
	}
	s := b.String()
	if s == "" {
		s, lost = "s", true
	}
	if !lost && len(s) <= telemetry.MaxSensorNameBytes {
		return s
	}
	s = s[:min(len(s), telemetry.MaxSensorNameBytes-hashedBytes)]
	return string(appendHash([]byte(strings.TrimRight(s, "_")), []byte(name)))
}
