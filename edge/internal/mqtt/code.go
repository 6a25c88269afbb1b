package mqtt

import (
	"fmt"
	"maps"
	"slices"
)

// Code is an MQTT 5 reason code (section 2.4).
type Code byte

// Reason codes that this server sends or acts on.
const (
	Success                 Code = 0x00
	disconnectWithWill      Code = 0x04
	unspecifiedError        Code = 0x80
	malformedPacket         Code = 0x81
	protocolError           Code = 0x82
	unsupportedVersion      Code = 0x84
	clientIDNotValid        Code = 0x85
	NotAuthorized           Code = 0x87
	serverBusy              Code = 0x89
	serverShuttingDown      Code = 0x8B
	badAuthenticationMethod Code = 0x8C
	keepAliveTimeout        Code = 0x8D
	sessionTakenOver        Code = 0x8E
	topicFilterInvalid      Code = 0x8F
	TopicNameInvalid        Code = 0x90
	packetIDNotFound        Code = 0x92
	receiveMaximumExceeded  Code = 0x93
	topicAliasInvalid       Code = 0x94
	packetTooLarge          Code = 0x95
	QuotaExceeded           Code = 0x97
	PayloadFormatInvalid    Code = 0x99

	// Return codes of MQTT 3.1.1, section 3.2.2.3.
	returnUnsupportedVersion Code = 1
	returnClientIDRejected   Code = 2
	returnUnavailable        Code = 3
	returnNotAuthorized      Code = 5
)

// causes are the reasons that Options.OnClosed gets.
var causes = map[Code]string{
	malformedPacket: "malformed_packet", protocolError: "protocol_error", unsupportedVersion: "unsupported_version",
	clientIDNotValid: "invalid_client_id", badAuthenticationMethod: "bad_authentication_method",
	keepAliveTimeout: "keep_alive_timeout", sessionTakenOver: "session_taken_over", topicAliasInvalid: "topic_alias_invalid",
	receiveMaximumExceeded: "receive_maximum_exceeded", packetTooLarge: "packet_too_large", QuotaExceeded: "retry_later",
	TopicNameInvalid: "topic_name_invalid", NotAuthorized: "not_authorized", serverBusy: "server_busy",
}

// Causes returns all values that Options.OnClosed gets.
func Causes() []string { return slices.Sorted(maps.Values(causes)) }

// fault is why the server ends a connection.
type fault struct {
	code Code
	text string // for the reason string and the log
}

func (f *fault) Error() string { return f.text }

func faultf(code Code, format string, args ...any) *fault {
	return &fault{code: code, text: fmt.Sprintf(format, args...)}
}

// returnCode is the CONNACK code of f for MQTT 3.1 and 3.1.1, which know 1 to 5 only. The
// specification has none for a malformed packet: the connection is closed without a
// CONNACK ([MQTT-3.1.4-1] of 3.1.1).
func (f *fault) returnCode() (Code, bool) {
	switch f.code {
	case unsupportedVersion:
		return returnUnsupportedVersion, true
	case clientIDNotValid:
		return returnClientIDRejected, true
	case serverShuttingDown, serverBusy:
		return returnUnavailable, true
	case NotAuthorized:
		return returnNotAuthorized, true
	default:
		return 0, false
	}
}
