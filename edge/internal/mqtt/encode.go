package mqtt

import "encoding/binary"

// Types of control packets (section 2.1.2).
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
	typeAuth        = 15
)

// maxReasonBytes bounds a reason string.
const maxReasonBytes = 1024

func appendVarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// packet puts the fixed header before a body.
func packet(kind, flags byte, body []byte) []byte {
	b := make([]byte, 0, 5+len(body))
	b = append(b, kind<<4|flags)
	b = appendVarint(b, len(body))
	return append(b, body...)
}

// reasonProperties encodes a property section with at most a reason string.
func reasonProperties(reason string) []byte {
	if reason == "" {
		return []byte{0}
	}
	section := appendText([]byte{propReasonString}, reason)
	return append(appendVarint(nil, len(section)), section...)
}

// ackPacket encodes a PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7). Success without
// a reason needs neither code nor properties, which is the only form that MQTT 3 has.
func ackPacket(kind byte, id uint16, code Code, reason string) []byte {
	flags := byte(0)
	if kind == typePubrel {
		flags = 2 // [MQTT-3.6.1-1]
	}
	body := binary.BigEndian.AppendUint16(nil, id)
	if code != Success || reason != "" {
		body = append(body, byte(code))
		if reason != "" {
			body = append(body, reasonProperties(reason)...)
		}
	}
	return packet(kind, flags, body)
}

// disconnectPacket encodes a DISCONNECT for MQTT 5 (section 3.14).
func disconnectPacket(code Code, reason string) []byte {
	return packet(typeDisconnect, 0, append([]byte{byte(code)}, reasonProperties(reason)...))
}

// subscribeAck encodes a SUBACK or UNSUBACK with a code for each filter. The UNSUBACK of
// MQTT 3 has no codes.
func subscribeAck(kind, version byte, id uint16, codes []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version == protocolMQTT5 {
		body = append(body, 0)
	}
	if kind == typeSuback || version == protocolMQTT5 {
		body = append(body, codes...)
	}
	return packet(kind, 0, body)
}

// connackPacket encodes a CONNACK (section 3.2). Properties are for MQTT 5 alone.
func connackPacket(version byte, present bool, code Code, properties []byte) []byte {
	body := []byte{0, byte(code)}
	if present && version != protocolMQTT31 { // a reserved byte in MQTT 3.1
		body[0] = 1
	}
	if version == protocolMQTT5 {
		body = append(appendVarint(body, len(properties)), properties...)
	}
	return packet(typeConnack, 0, body)
}
