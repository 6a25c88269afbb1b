package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Codes of error messages. The connection lives on.
const (
	codeBadJSON      = "bad_json"
	codeBadRequest   = "bad_request"
	codeUnknownType  = "unknown_type"
	codeUnknownTopic = "unknown_topic"
	codeBadDevice    = "invalid_device_id"
	codeTooMany      = "too_many_topics"
)

// Types of the messages that a client may send.
const (
	typeSubscribe   = "subscribe"
	typeUnsubscribe = "unsubscribe"
	typePing        = "ping"
	typeCommand     = "command"
	typePresent     = "present"
)

// Types of the messages that a client may get.
const (
	typeHello    = "hello"
	typeAck      = "ack"
	typeError    = "error"
	typePong     = "pong"
	typeSnapshot = "snapshot"
	typeDelta    = "delta"
	typeLagged   = "lagged"
	typeResult   = "command_result"
)

// ClientTypes and ServerTypes are all types of messages, for the AsyncAPI document.
var (
	ClientTypes = []string{typeSubscribe, typeUnsubscribe, typePing, typeCommand, typePresent}
	ServerTypes = []string{typeHello, typeAck, typeError, typePong, typeSnapshot, typeDelta, typeLagged, typeResult}
)

// RequestError is an error whose words are meant for the client.
type RequestError struct{ Code, Message string }

// Error implements error.
func (r *RequestError) Error() string { return r.Code + ": " + r.Message }

// resume says where a client was.
type resume struct {
	Epoch string            `json:"epoch"`
	Seq   map[string]uint64 `json:"seq"`
}

// request is a message of a client.
type request struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Topics  *[]string       `json:"topics"`
	Resume  *resume         `json:"resume"`
	Command json.RawMessage `json:"command"`
	Name    string          `json:"name"`   // of the operator at the screen
	Screen  json.RawMessage `json:"screen"` // of ping: what the screen reports of itself

	names []topicName // Topics, understood and each once
}

const maxID = 64

// parseRequest reads a client's message. The error is always a *RequestError, and the request's
// ID is set where one could be read.
func parseRequest(data []byte) (request, error) {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		r.ID = cutID(r.ID)
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return r, &RequestError{codeBadRequest, fmt.Sprintf("%q must not be a JSON %s", cut(wrong.Field), cut(wrong.Value))}
		}
		return r, &RequestError{codeBadJSON, "not a JSON object: " + cut(err.Error())}
	}
	if len(r.ID) > maxID {
		r.ID = ""
		return r, &RequestError{codeBadRequest, fmt.Sprintf(`"id" is longer than %d bytes`, maxID)}
	}
	switch r.Type {
	case typeSubscribe, typeUnsubscribe:
		return r, r.readTopics()
	case typePing, typePresent:
		return r, nil
	case typeCommand:
		if len(r.Command) == 0 || r.Command[0] != '{' {
			return r, &RequestError{codeBadRequest, `command needs "command", an object as in POST /api/v1/alerts/commands`}
		}
		return r, nil
	case "":
		return r, &RequestError{codeBadRequest, `"type" is missing; want subscribe, unsubscribe, ping, command or present`}
	}
	return r, &RequestError{codeUnknownType, fmt.Sprintf("type %q is not known; want subscribe, unsubscribe, ping, command or present", cut(r.Type))}
}

func cutID(id string) string {
	if len(id) > maxID {
		return ""
	}
	return id
}

func (r *request) readTopics() error {
	if r.Topics == nil {
		return &RequestError{codeBadRequest, r.Type + ` needs "topics", a list of topics`}
	}
	seen := make(map[string]struct{}, len(*r.Topics))
	for _, name := range *r.Topics {
		if _, again := seen[name]; again {
			continue
		}
		seen[name] = struct{}{}
		t, err := parseTopic(name)
		if err != nil {
			return err
		}
		r.names = append(r.names, t)
	}
	return nil
}

// cut shortens a quotation of a client's message.
func cut(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
