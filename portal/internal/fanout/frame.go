package fanout

import (
	"encoding/binary"
	"strconv"

	"industrial-iot-monitor/portal/internal/dashboard"
)

// Opcodes of the frames a server sends, with the FIN bit set (RFC 6455, section 5.2).
const (
	opText  = 0x81
	opClose = 0x88
	opPing  = 0x89
	opPong  = 0x8A
)

// maxControl is the longest payload of a control frame.
const maxControl = 125

// Close codes of the contract. The client may connect again after 4001, 4008 and 4012.
const (
	CloseShutdown = 4001
	CloseEnded    = 4003
	CloseSlow     = 4008
	CloseNoPong   = 4012
	CloseLimit    = 4504

	closeNormal      = 1000
	closeTooBig      = 1009
	closeGoneSilent  = 0 // no close frame: the connection is simply dropped
	closeNoCodeGiven = 1005
)

// Messages of the simple dialect are built around existing JSON.
const (
	dataHead  = `{"type":"device_data","payload":`
	alertHead = `{"type":"alert","payload":`
	tail      = `}`
)

// appendMessage appends a text frame that holds head, payload and the closing brace.
func appendMessage(dst []byte, head string, payload []byte) []byte {
	dst = dashboard.AppendFrameHeader(dst, opText, len(head)+len(payload)+len(tail))
	dst = append(dst, head...)
	dst = append(dst, payload...)
	return append(dst, tail...)
}

// appendReading appends a device_data message. offset is that of the device's clock, in ms, and
// position the one that the client has reached with it; they are left out when 0.
func appendReading(dst, payload []byte, offset int64, position uint64) []byte {
	var room [80]byte
	end := room[:0]
	if offset != 0 {
		end = strconv.AppendInt(append(end, `,"clock_offset_ms":`...), offset, 10)
	}
	if position != 0 {
		end = strconv.AppendUint(append(end, `,"seq":`...), position, 10)
	}
	end = append(end, tail...)
	dst = dashboard.AppendFrameHeader(dst, opText, len(dataHead)+len(payload)+len(end))
	dst = append(dst, dataHead...)
	dst = append(dst, payload...)
	return append(dst, end...)
}

// appendControl appends a control frame. A payload that is too long is cut.
func appendControl(dst []byte, op byte, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(dashboard.AppendFrameHeader(dst, op, len(payload)), payload...)
}

// appendClose appends a close frame.
func appendClose(dst []byte, code int, text string) []byte {
	if code == closeNoCodeGiven {
		return appendControl(dst, opClose, nil)
	}
	return appendControl(dst, opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...))
}

// errorMessage returns an error message of the simple dialect as a text frame.
func errorMessage(code, message string) []byte {
	return textFrame(struct { // texts always marshal
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"error", code, message})
}

// frameEnd returns where the frame ends that contains the byte at index at-1 of batch,
// which begins with a whole frame; at itself when it is between two frames.
func frameEnd(batch []byte, at int) int {
	end := 0
	for end < at && end+2 <= len(batch) {
		switch n := int(batch[end+1]); n {
		case 126:
			end += 4 + int(binary.BigEndian.Uint16(batch[end+2:]))
		case 127:
			end += 10 + int(binary.BigEndian.Uint64(batch[end+2:]))
		default:
			end += 2 + n
		}
	}
	return min(end, len(batch))
}
