package telemetry

import "strconv"

// Bounds of a reading's fields.
const (
	// MinTimestamp is 2000-01-01 00:00 UTC in ms since 1970, the first time accepted.
	MinTimestamp int64 = 946_684_800_000
	// MaxTimestamp is 2100-01-01 00:00 UTC in ms since 1970, the first time refused again.
	MaxTimestamp int64 = 4_102_444_800_000

	// MaxDeviceIDBytes is the length of the longest device id.
	MaxDeviceIDBytes = 64
	// MaxBuildingBytes is the length of the longest building name, in bytes of UTF-8.
	MaxBuildingBytes = 128
)

// ValidDeviceID reports whether id matches [A-Za-z0-9_-]{1,64}: a name that is one
// token of a NATS subject and one level of an MQTT topic.
func ValidDeviceID(id string) bool {
	if id == "" || len(id) > MaxDeviceIDBytes {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// ValidTimestamp reports whether ms is in [MinTimestamp, MaxTimestamp).
func ValidTimestamp(ms int64) bool { return MinTimestamp <= ms && ms < MaxTimestamp }

// RefuseTimestamp returns the refusal of an invalid timestamp. Its message recognises the
// usual mistakes: seconds, microseconds and nanoseconds.
func RefuseTimestamp(v int64) *Refusal {
	const want = "; want milliseconds since 1970"
	msg := strconv.FormatInt(v, 10)
	switch {
	case MinTimestamp/1000 <= v && v < MaxTimestamp/1000:
		msg += " looks like seconds" + want
	case ValidTimestamp(v / 1000):
		msg += " looks like microseconds" + want
	case ValidTimestamp(v / 1_000_000):
		msg += " looks like nanoseconds" + want
	default:
		msg += " is outside 2000-01-01 to 2100-01-01" + want
	}
	return &Refusal{Reason: ReasonInvalidTimestamp, Field: "timestamp", Message: msg}
}
