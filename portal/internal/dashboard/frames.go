package dashboard

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
)

// opText is the first byte of a text message in one frame, with the FIN bit set.
const opText = 0x81

// maxHeader is the longest head of an unmasked frame, in bytes.
const maxHeader = 10

// AppendFrameHeader appends the head of an unmasked WebSocket frame with n bytes of payload
// (RFC 6455, section 5.2).
func AppendFrameHeader(dst []byte, op byte, n int) []byte {
	switch {
	case n <= 125:
		return append(dst, op, byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, op, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, op, 127), uint64(n))
	}
}

// TextFrame returns payload as a whole text frame.
func TextFrame(payload []byte) []byte {
	return append(AppendFrameHeader(make([]byte, 0, maxHeader+len(payload)), opText, len(payload)), payload...)
}

// envelopeRoom is more than what stands around the data of a message without its topic.
const envelopeRoom = 160

// deltaFrame returns {"type":"delta",…} as a frame. data is JSON.
func deltaFrame(t *topic, seq uint64, now int64, data []byte) []byte {
	b := make([]byte, 0, len(data)+len(t.quoted)+envelopeRoom)
	b = appendEnvelope(b, typeDelta, t.quoted, seq, now)
	return finish(b, data)
}

// snapshotFrames returns the parts of a snapshot as frames. There is at least one part.
func snapshotFrames(t *topic, seq uint64, now int64, parts [][]byte) [][]byte {
	frames := make([][]byte, 0, len(parts))
	for i, data := range parts {
		b := make([]byte, 0, len(data)+len(t.quoted)+envelopeRoom)
		b = appendEnvelope(b, typeSnapshot, t.quoted, seq, now)
		b = append(b, `,"part":`...)
		b = strconv.AppendInt(b, int64(i+1), 10)
		b = append(b, `,"parts":`...)
		b = strconv.AppendInt(b, int64(len(parts)), 10)
		frames = append(frames, finish(b, data))
	}
	return frames
}

func appendEnvelope(b []byte, kind string, topic []byte, seq uint64, now int64) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","topic":`...)
	b = append(b, topic...)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"ts":`...)
	return strconv.AppendInt(b, now, 10)
}

// finish closes the message and returns it as a frame of its own.
func finish(b, data []byte) []byte {
	n := len(b) + len(`,"data":}`) + len(data)
	f := AppendFrameHeader(make([]byte, 0, n+maxHeader), opText, n)
	f = append(f, b...)
	f = append(f, `,"data":`...)
	f = append(f, data...)
	return append(f, '}')
}

// laggedFrame reports that deltas were left out for one client.
func laggedFrame(t *topic, dropped uint64) []byte {
	b := append([]byte(`{"type":"lagged","topic":`), t.quoted...)
	b = append(b, `,"dropped":`...)
	b = strconv.AppendUint(b, dropped, 10)
	return TextFrame(append(b, '}'))
}

// replyFrame returns any other message as a frame.
func replyFrame(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil { // what we make always marshals; what a caller gave may not
		body = []byte(`{"type":"error","code":"internal","message":"the answer cannot be shown"}`)
	}
	return TextFrame(body)
}

// packer fills JSON objects with lists so that none becomes longer than a bound: a message
// with too many items becomes several.
type packer struct {
	most  int
	done  [][]byte
	buf   []byte // the object being filled, without its end
	list  string // the list that is open in it
	items int
}

func newPacker(most int) *packer { return &packer{most: most} }

// add appends an item to the list of that name, in the object at hand if there is room,
// else in a new one. Lists must not be taken up again.
func (p *packer) add(list string, item []byte) {
	if p.items > 0 && len(p.buf)+len(item)+len(list)+8 > p.most {
		p.flush()
	}
	switch p.list {
	case list:
		p.buf = append(p.buf, ',')
	case "":
		p.buf = append(p.buf, '{')
		p.open(list)
	default:
		p.buf = append(p.buf, `],`...)
		p.open(list)
	}
	p.buf = append(p.buf, item...)
	p.items++
}

func (p *packer) open(list string) {
	p.list = list
	p.buf = append(p.buf, '"')
	p.buf = append(p.buf, list...)
	p.buf = append(p.buf, `":[`...)
}

func (p *packer) flush() {
	if p.items == 0 {
		return
	}
	p.done = append(p.done, append(p.buf, `]}`...))
	p.buf, p.list, p.items = nil, "", 0
}

// finish returns the objects; where there was no item at all it is one with empty.
func (p *packer) finish(empty string) [][]byte {
	p.flush()
	if len(p.done) == 0 {
		return [][]byte{[]byte(empty)}
	}
	return p.done
}

// appendTexts appends a JSON array of strings.
func appendTexts(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // strings always marshal
		return append(b, `""`...)
	}
	return append(b, q...)
}
