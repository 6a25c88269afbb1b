// Package wsframe writes the heads of the WebSocket frames that a server sends (RFC 6455,
// section 5.2). It is not for reading frames: the WebSocket library does that. Nothing in
// it blocks.
package wsframe

import "encoding/binary"

// Text is the opcode of a text message in one frame, with the FIN bit set.
const Text = 0x81

// MaxHeader is the longest head of an unmasked frame, in bytes.
const MaxHeader = 10

// AppendHeader appends the head of an unmasked frame with n bytes of payload.
func AppendHeader(dst []byte, op byte, n int) []byte {
	switch {
	case n <= 125:
		return append(dst, op, byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, op, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, op, 127), uint64(n))
	}
}

// TextMessage returns payload as a whole text frame.
func TextMessage(payload []byte) []byte {
	return append(AppendHeader(make([]byte, 0, MaxHeader+len(payload)), Text, len(payload)), payload...)
}
