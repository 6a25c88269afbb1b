package fanout

import (
	"encoding/json"
	"errors"
	"fmt"

	"industrial-iot-monitor/internal/telemetry"
)

// Codes of the error messages that a client may get. The connection lives on.
const (
	codeBadJSON     = "bad_json"
	codeBadRequest  = "bad_request"
	codeUnknownType = "unknown_type"
	codeBadDevice   = "invalid_device_id"
	codeTooMany     = "too_many_subscriptions"
	codeRateLimited = "rate_limited"
)

// refusal is an error whose words are meant for the client.
type refusal struct{ code, message string }

// Error implements error.
func (r *refusal) Error() string { return r.code + ": " + r.message }

// request is a message of a client in the simple dialect.
type request struct {
	Type      string    `json:"type"`
	DeviceIDs *[]string `json:"device_ids"`
	// Command is parsed by Commands.
	Command json.RawMessage `json:"command"`
	// Since is the position of the last device_data that the client saw, or the time of the
	// last reading, see resume: it gets those that came after it and are still kept.
	Since *int64 `json:"since"`
	// Seq asks for positions in device_data, and for device_removed, from now on.
	Seq bool `json:"seq"`
}

// Types of requests.
const (
	typeSubscribe    = "subscribe"
	typeSubscribeAll = "subscribe_all"
	typeUnsubscribe  = "unsubscribe"
	typeAlarmCommand = "alarm_command"
)

// typeRemoved is a message about a device that was removed.
const typeRemoved = "device_removed"

type removedMessage struct {
	Type     string `json:"type"`
	DeviceID string `json:"device_id"`
}

// parseRequest reads a client's message. The error is always a *refusal.
func parseRequest(data []byte) (request, error) {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return r, &refusal{codeBadRequest, fmt.Sprintf("%q must not be a JSON %s", wrong.Field, wrong.Value)}
		}
		return r, &refusal{codeBadJSON, "not a JSON object: " + err.Error()}
	}
	switch r.Type {
	case typeSubscribeAll:
		return r, nil
	case typeUnsubscribe:
		if r.DeviceIDs == nil {
			return r, nil
		}
	case typeAlarmCommand:
		if len(r.Command) == 0 || r.Command[0] != '{' {
			return r, &refusal{codeBadRequest, `alarm_command needs "command", an object`}
		}
		return r, nil
	case typeSubscribe:
		if r.DeviceIDs == nil {
			return r, &refusal{codeBadRequest, `subscribe needs "device_ids", a list of device ids; for all devices send subscribe_all`}
		}
	case "":
		return r, &refusal{codeBadRequest, `"type" is missing; want subscribe, subscribe_all, unsubscribe or alarm_command`}
	default:
		return r, &refusal{codeUnknownType, fmt.Sprintf("type %q is not known; want subscribe, subscribe_all, unsubscribe or alarm_command", cut(r.Type))}
	}
	for _, id := range *r.DeviceIDs {
		if !telemetry.ValidDeviceID(id) {
			return r, &refusal{codeBadDevice, fmt.Sprintf("%q is not a device id; want 1 to 64 of A-Z a-z 0-9 _ -", cut(id))}
		}
	}
	return r, nil
}

// cut shortens a quotation of a client's message.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
