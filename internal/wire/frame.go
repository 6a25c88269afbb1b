package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A live frame is one message on live.<gateway>: readings as core processed them, in
// the order of each device.
//
//	"IOTF" version=1 gateway:str count:u32 { entry }
//	entry = flags:u8 timestamp:varint received:varint device:str payload:bytes
//
// Encodings are those of a pack. Flag bit 0 is Backfill; the others are zero when
// written and ignored when read.
const (
	frameMagic    = "IOTF"
	frameVersion  = 1
	frameEntryMin = 5 // flags, two times and two empty strings: one byte each

	flagBackfill = 1
)

// ErrDamagedFrame is returned for bytes that are not a whole live frame.
var ErrDamagedFrame = errors.New("damaged live frame")

// FrameEntry is one processed reading of a live frame. Payload is the reading's JSON
// with the status of each sensor set. The slices and strings of a decoded entry point
// into the frame: they are valid as long as its bytes are neither changed nor reused,
// and keep them in memory.
type FrameEntry struct {
	Device    string
	Timestamp int64 // ms, event time
	Received  int64 // ms, when the gateway received it
	Backfill  bool  // the reading waited in a gateway's buffer
	Payload   []byte
}

// FrameBuilder collects entries into a live frame. The zero value is ready after
// Reset. Its buffer is reused from frame to frame. It is not safe for concurrent use.
type FrameBuilder struct {
	buf     []byte
	countAt int
	count   int
}

// Reset empties the builder for a frame of gateway.
func (b *FrameBuilder) Reset(gateway string) {
	b.buf = append(b.buf[:0], frameMagic...)
	b.buf = append(b.buf, frameVersion)
	b.buf = appendBytes(b.buf, gateway)
	b.countAt, b.count = len(b.buf), 0
	b.buf = append(b.buf, 0, 0, 0, 0) // filled in by Finish
}

// Add appends e. The payload is copied.
func (b *FrameBuilder) Add(e FrameEntry) {
	b.count++
	flags := byte(0)
	if e.Backfill {
		flags = flagBackfill
	}
	buf := append(b.buf, flags)
	buf = binary.AppendVarint(buf, e.Timestamp)
	buf = binary.AppendVarint(buf, e.Received)
	buf = appendBytes(buf, e.Device)
	b.buf = appendBytes(buf, e.Payload)
}

// Count returns the number of entries added since Reset.
func (b *FrameBuilder) Count() int { return b.count }

// Size returns the frame's length in bytes so far.
func (b *FrameBuilder) Size() int { return len(b.buf) }

// Finish returns the encoded frame, valid until the next Add or Reset.
func (b *FrameBuilder) Finish() []byte {
	binary.BigEndian.PutUint32(b.buf[b.countAt:], uint32(b.count))
	return b.buf
}

// Frame iterates over an encoded live frame.
type Frame struct {
	Gateway string // points into the frame's bytes, as the strings of an entry do
	Count   int

	c    cursor
	left int
	err  error
}

// OpenFrame checks the head of data and returns it for iteration. The error is
// ErrDamagedFrame, wrapped with the reason.
func OpenFrame(data []byte) (*Frame, error) {
	if len(data) < 5 || string(data[:4]) != frameMagic {
		return nil, fmt.Errorf("%w: it does not start with %s", ErrDamagedFrame, frameMagic)
	}
	if data[4] != frameVersion {
		return nil, fmt.Errorf("%w: version %d is unknown", ErrDamagedFrame, data[4])
	}
	f := &Frame{c: cursor{rest: data[5:]}}
	f.Gateway = f.c.str()
	if f.c.bad || len(f.c.rest) < 4 {
		return nil, fmt.Errorf("%w: the head is truncated", ErrDamagedFrame)
	}
	count := binary.BigEndian.Uint32(f.c.rest)
	f.c.rest = f.c.rest[4:]
	if uint64(count) > uint64(len(f.c.rest)/frameEntryMin) {
		return nil, fmt.Errorf("%w: %d entries do not fit", ErrDamagedFrame, count)
	}
	f.Count, f.left = int(count), int(count)
	return f, nil
}

// Next returns the next entry, or false at the end or at a damaged entry; see Err.
func (f *Frame) Next() (FrameEntry, bool) {
	if f.left == 0 || f.err != nil {
		if f.err == nil && len(f.c.rest) > 0 {
			f.err = fmt.Errorf("%w: %d bytes after the last entry", ErrDamagedFrame, len(f.c.rest))
		}
		return FrameEntry{}, false
	}
	flags := f.c.byte()
	e := FrameEntry{
		Timestamp: f.c.varint(),
		Received:  f.c.varint(),
		Device:    f.c.str(),
		Payload:   f.c.bytes(),
		Backfill:  flags&flagBackfill != 0,
	}
	if f.c.bad {
		f.err = fmt.Errorf("%w: entry %d is unreadable", ErrDamagedFrame, f.Count-f.left)
		return FrameEntry{}, false
	}
	f.left--
	return e, true
}

// Err returns the error that ended the iteration, nil at the regular end.
func (f *Frame) Err() error { return f.err }
