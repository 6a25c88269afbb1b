package telemetry

import "fmt"

// Reason is a stable code for why a message was refused. It is used in publish replies,
// in the iot-reason header of dead letters and in metrics.
type Reason string

// Reasons of the first group are permanent: the message is kept as a dead letter, and
// sending it again cannot help. Those of the second group are temporary: the device keeps
// the reading and retries later.
const (
	ReasonEmpty            Reason = "empty_message"
	ReasonTooLarge         Reason = "too_large"
	ReasonInvalidUTF8      Reason = "invalid_utf8"
	ReasonInvalidJSON      Reason = "invalid_json"
	ReasonTooDeep          Reason = "too_deep"
	ReasonDuplicateKey     Reason = "duplicate_key" // an object has a key twice: readers disagree on which value counts
	ReasonInvalidReading   Reason = "invalid_reading"
	ReasonInvalidTimestamp Reason = "invalid_timestamp"
	ReasonDeviceMismatch   Reason = "device_mismatch"
	ReasonInvalidDevice    Reason = "invalid_device_id"
	ReasonInvalidTopic     Reason = "invalid_topic"    // published to a topic that is not for readings
	ReasonNotAllowed       Reason = "not_allowed"      // of a device that its sender has no right to publish for
	ReasonInvalidBatch     Reason = "invalid_batch"    // no readings in it, or too many
	ReasonInvalidEncoding  Reason = "invalid_encoding" // cannot be decompressed
	ReasonWrongStream      Reason = "wrong_stream"     // published for another stream: Nats-Expected-Stream
	ReasonInvalidCommand   Reason = "invalid_command"  // of commands to alarms
	ReasonInvalidMapping   Reason = "invalid_mapping"  // the topic has a mapping, which finds no reading in the message
	ReasonBeforeBirth      Reason = "before_birth"     // Sparkplug data whose metrics no birth has announced
	ReasonHistory          Reason = "history_refused"  // the engine that keeps the history does not take it; alarms and screens had it

	ReasonBufferFull  Reason = "buffer_full"
	ReasonUnavailable Reason = "unavailable"
	ReasonRateLimited Reason = "rate_limited" // its device sends more than the gateway takes of one
)

// Refusal is why a message was not accepted: the field, what was found and what was
// wanted.
type Refusal struct {
	Reason  Reason
	Field   string // dotted path as in "sensors.temperature.value"; empty when the whole message is meant
	Message string // safe to show to the sender
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return fmt.Sprintf("%s: %s", r.Reason, r.Message)
	}
	return fmt.Sprintf("%s: %s: %s", r.Reason, r.Field, r.Message)
}

// Temporary reports whether the sender should retry the same message later.
func (r *Refusal) Temporary() bool {
	return r.Reason == ReasonBufferFull || r.Reason == ReasonUnavailable || r.Reason == ReasonRateLimited
}
