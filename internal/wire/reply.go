package wire

import (
	"encoding/json"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// Reply is the answer to a publish made as a NATS request: either Stream and Seq of
// the pack that holds the reading, or Error.
type Reply struct {
	Stream    string      `json:"stream,omitempty"`
	Seq       uint64      `json:"seq,omitempty"`
	Duplicate bool        `json:"duplicate"`
	Error     *ReplyError `json:"error,omitempty"`
}

// ReplyError is why a publish was refused. Code follows HTTP: 400 for a message
// that can never be accepted, 413 for one too large, 503 for "retry later".
type ReplyError struct {
	Code    int              `json:"code"`
	Reason  telemetry.Reason `json:"reason"`
	Message string           `json:"message"`
	Field   string           `json:"field,omitempty"`
}

// AppendAck appends the success reply for a reading stored in the pack at seq.
func AppendAck(dst []byte, stream string, seq uint64) []byte {
	dst = append(dst, `{"stream":"`...)
	dst = append(dst, stream...) // stream names are plain ASCII by construction
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, `,"duplicate":false}`...)
}

// EncodeRefusal returns the refusal reply.
func EncodeRefusal(r *telemetry.Refusal) []byte {
	code := 400
	switch {
	case r.Temporary():
		code = 503
	case r.Reason == telemetry.ReasonTooLarge:
		code = 413
	}
	b, err := json.Marshal(struct {
		Error ReplyError `json:"error"`
	}{ReplyError{Code: code, Reason: r.Reason, Message: r.Message, Field: r.Field}})
	if err != nil {
		return []byte(`{"error":{"code":500,"reason":"internal","message":"the refusal could not be encoded"}}`)
	}
	return b
}

// DecodeReply parses a reply of either kind.
func DecodeReply(data []byte) (Reply, error) {
	var r Reply
	err := json.Unmarshal(data, &r)
	return r, err
}
