package telemetry

import "strconv"

// Bounds of a reading's fields.
const (
	// MinTimestamp is 2000-01-01 00:00 UTC in ms since 1970, the earliest valid time.
	MinTimestamp int64 = 946_684_800_000
	// MaxTimestamp is 2100-01-01 00:00 UTC in ms since 1970, the first time no longer valid.
	MaxTimestamp int64 = 4_102_444_800_000

	// MaxDeviceIDBytes is the length of the longest device id.
	MaxDeviceIDBytes = 64
	// MaxIntervalS is the longest interval in seconds that a device can announce, 31 days.
	MaxIntervalS = 31 * 86_400.0
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

// ValidDeviceTimestamp reports whether ms may be the timestamp of a reading. A device's
// clock may be wrong by any offset, that of a dead clock that starts in 1970 included, so
// only what no offset explains is invalid: times before 1970, from 2100 on, and numbers
// that are valid times in seconds.
func ValidDeviceTimestamp(ms int64) bool { return 0 <= ms && ms < MaxTimestamp && !seconds(ms) }

func seconds(v int64) bool { return MinTimestamp/1000 <= v && v < MaxTimestamp/1000 }

// RefuseTimestamp returns the refusal of an invalid timestamp of a reading. Its message
// recognises the usual mistakes: seconds, microseconds and nanoseconds.
func RefuseTimestamp(v int64) *Refusal {
	const want = "; want milliseconds since 1970"
	msg := strconv.FormatInt(v, 10)
	switch {
	case seconds(v):
		msg += " looks like seconds" + want
	case ValidTimestamp(v / 1000):
		msg += " looks like microseconds" + want
	case ValidTimestamp(v / 1_000_000):
		msg += " looks like nanoseconds" + want
	default:
		msg += " is outside 1970-01-01 to 2100-01-01" + want
	}
	return &Refusal{Reason: ReasonInvalidTimestamp, Field: "timestamp", Message: msg}
}
