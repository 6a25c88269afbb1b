package wire

import (
	"encoding/json"
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
)

// Reply is the answer to a publish made as a NATS request: either Stream and Seq of
// the pack that holds the readings, or Error. It is also the acknowledgement, or the error,
// that the JetStream publish of NATS clients expects.
type Reply struct {
	Stream    string `json:"stream,omitempty"`
	Seq       uint64 `json:"seq,omitempty"` // 0 for a resend of a message that holds no reading
	Duplicate bool   `json:"duplicate"`     // a resend of a message that the gateway has already
	// Accepted and Refused count the readings of a batch.
	Accepted int            `json:"accepted,omitempty"`
	Refused  []BatchRefusal `json:"refused,omitempty"`
	Error    *ReplyError    `json:"error,omitempty"`
}

// BatchRefusal is why one reading of a batch was refused.
type BatchRefusal struct {
	Index int        `json:"index"` // in the batch, from 0
	Error ReplyError `json:"error"`
}

// ReplyError is why a publish was refused. Code follows HTTP: 400 for a message
// that can never be accepted, 413 for one too large, 503 for "retry later".
type ReplyError struct {
	Code    int              `json:"code"`
	Reason  telemetry.Reason `json:"reason"`
	Message string           `json:"message"`
	Field   string           `json:"field,omitempty"`
}

// errorReply is a refusal on the wire, with the fields of a JetStream error beside those of
// the contract.
type errorReply struct {
	Error struct {
		ReplyError
		apiError
	} `json:"error"`
}

// jetStreamReply is a refusal for a JetStream client. That of Python knows no field but those
// of apiError and fails on any other, so that the rest stands beside it.
type jetStreamReply struct {
	Error   jetStreamError   `json:"error"`
	Reason  telemetry.Reason `json:"reason"`
	Message string           `json:"message"`
	Field   string           `json:"field,omitempty"`
}

type jetStreamError struct {
	Code int `json:"code"`
	apiError
}

type apiError struct {
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error codes of nats-server that come closest to a refusal.
const (
	natsBadRequest     = 10003
	natsUnavailable    = 10008
	natsNoResources    = 10023
	natsTooLarge       = 10054
	natsStreamMismatch = 10060
)

// codesOf returns the code like HTTP and the code of nats-server for a refusal.
func codesOf(r telemetry.Reason) (code, nats int) {
	switch r {
	case telemetry.ReasonBufferFull:
		return 503, natsNoResources
	case telemetry.ReasonUnavailable:
		return 503, natsUnavailable
	case telemetry.ReasonRateLimited:
		return 429, natsNoResources
	case telemetry.ReasonTooLarge:
		return 413, natsTooLarge
	case telemetry.ReasonWrongStream:
		return 400, natsStreamMismatch
	case telemetry.ReasonNotAllowed:
		return 403, natsBadRequest
	default:
		return 400, natsBadRequest
	}
}

// AppendAck appends the success reply for a reading stored in the pack at seq. Stream names
// are plain ASCII by construction.
func AppendAck(dst []byte, stream string, seq uint64, duplicate bool) []byte {
	return append(appendAck(dst, stream, seq, duplicate), '}')
}

func appendAck(dst []byte, stream string, seq uint64, duplicate bool) []byte {
	dst = append(dst, `{"stream":"`...)
	dst = append(dst, stream...)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, `,"duplicate":`...)
	return strconv.AppendBool(dst, duplicate)
}

// AppendBatchAck appends the success reply for a batch stored in the pack at seq, with the
// number of its readings and the refused ones, which are dead letters.
func AppendBatchAck(dst []byte, stream string, seq uint64, duplicate bool, accepted int, refused []BatchRefusal) []byte {
	dst = appendAck(dst, stream, seq, duplicate)
	dst = append(dst, `,"accepted":`...)
	dst = strconv.AppendInt(dst, int64(accepted), 10)
	dst = append(dst, `,"refused":`...)
	list, err := json.Marshal(refused)
	if err != nil || refused == nil { // strings and numbers can always be encoded
		list = []byte("[]")
	}
	return append(append(dst, list...), '}')
}

// ErrorOf returns a refusal as in replies.
func ErrorOf(r *telemetry.Refusal) ReplyError {
	code, _ := codesOf(r.Reason)
	return ReplyError{Code: code, Reason: r.Reason, Message: r.Message, Field: r.Field}
}

// EncodeRefusal returns the refusal reply.
func EncodeRefusal(r *telemetry.Refusal) []byte {
	var reply errorReply
	reply.Error.ReplyError, reply.Error.apiError = ErrorOf(r), apiErrorOf(r)
	return encodeReply(reply)
}

// EncodeJetStreamRefusal returns the refusal reply for a publish with JetStream's headers.
func EncodeJetStreamRefusal(r *telemetry.Refusal) []byte {
	e := ErrorOf(r)
	return encodeReply(jetStreamReply{jetStreamError{e.Code, apiErrorOf(r)}, e.Reason, e.Message, e.Field})
}

func apiErrorOf(r *telemetry.Refusal) apiError {
	_, nats := codesOf(r.Reason)
	return apiError{ErrCode: nats, Description: r.Error()}
}

func encodeReply(reply any) []byte {
	b, err := json.Marshal(reply)
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
