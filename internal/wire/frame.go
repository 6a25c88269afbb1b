package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"industrial-iot-monitor/internal/telemetry"
)

// A live frame is one message on live.<gateway>: readings as core processed them, in
// the order of each device.
//
//	"IOTF" version=3 gateway:str count:u32 { entry }
//	entry = flags:u8 timestamp:varint received:varint [offset:varint] device:str payload:bytes [values]
//
// Encodings are those of a pack. Flag bit 0 is Backfill, bit 1 says that offset is there,
// bit 2 that values are, see frame_values.go; the others are zero when written and ignored
// when read. Frames of version 2 have no values and are read too, so that a portal can be
// upgraded before core.
const (
	frameMagic    = "IOTF"
	frameVersion  = 3
	frameVersion2 = 2
	frameEntryMin = 5 // flags, two times and two empty strings: one byte each

	flagBackfill = 1
	flagOffset   = 2
	flagValues   = 4
)

// ErrDamagedFrame is returned for bytes that are not a whole live frame.
var ErrDamagedFrame = errors.New("damaged live frame")

// FrameEntry is one processed reading of a live frame. Payload is the reading's JSON
// with the status of each sensor set. The slices and strings of a decoded entry, those of its
// Reading included, point into the frame: they are valid as long as its bytes are neither
// changed nor reused, and keep them in memory.
type FrameEntry struct {
	Device    string
	Timestamp int64 // ms, plant time: when it was taken, by a right clock
	Received  int64 // ms, when the gateway received it
	Backfill  bool  // the reading is old: it waited in a gateway's buffer, or in its device
	// ClockOffset is how far the device's clock is ahead, in ms, negative behind; 0 within
	// the tolerance. The payload's own timestamp is off by it.
	ClockOffset int64
	Payload     []byte
	// Reading is the payload decoded; nil: the entry comes without values. A frame carries
	// location, device info, flaws and sensors, and of the sensors' statuses
	// StatusUnitUnknown alone. DeviceID is Device; all else is zero after decoding.
	Reading *telemetry.Reading
}

// FrameBuilder collects entries into a live frame. The zero value is ready after
// Reset. Its buffer is reused from frame to frame. It is not safe for concurrent use.
type FrameBuilder struct {
	buf     []byte
	countAt int
	count   int
	table   builderTable
}

// Reset empties the builder for a frame of gateway.
func (b *FrameBuilder) Reset(gateway string) {
	b.buf = append(b.buf[:0], frameMagic...)
	b.buf = append(b.buf, frameVersion)
	b.buf = appendBytes(b.buf, gateway)
	b.countAt, b.count = len(b.buf), 0
	b.buf = append(b.buf, 0, 0, 0, 0) // filled in by Finish
	b.table.reset()
}

// Add appends e. Payload and Reading are copied. Reading must be the payload decoded: screens
// use one or the other.
func (b *FrameBuilder) Add(e FrameEntry) {
	b.count++
	flags := byte(0)
	if e.Backfill {
		flags = flagBackfill
	}
	if e.ClockOffset != 0 {
		flags |= flagOffset
	}
	if e.Reading != nil {
		flags |= flagValues
	}
	buf := append(b.buf, flags)
	buf = binary.AppendVarint(buf, e.Timestamp)
	buf = binary.AppendVarint(buf, e.Received)
	if e.ClockOffset != 0 {
		buf = binary.AppendVarint(buf, e.ClockOffset)
	}
	buf = appendBytes(buf, e.Device)
	b.buf = appendBytes(buf, e.Payload)
	if e.Reading != nil {
		b.buf = b.table.appendValues(b.buf, e.Reading)
	}
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

// Frame iterates over an encoded live frame. The zero value is ready for Open, which may be
// called again for the next frame: nothing is allocated then.
type Frame struct {
	Gateway string // points into the frame's bytes, as the strings of an entry do
	Count   int

	known byte // flags of its version
	c     cursor
	left  int
	err   error
	table []frameSensor // as far as it was read
}

// OpenFrame checks the head of data and returns it for iteration, see Open.
func OpenFrame(data []byte) (*Frame, error) {
	f := new(Frame)
	if err := f.Open(data); err != nil {
		return nil, err
	}
	return f, nil
}

// Open checks the head of data and starts iterating over it. The error is ErrDamagedFrame,
// wrapped with the reason.
func (f *Frame) Open(data []byte) error {
	clear(f.table) // it points into the frame before
	*f = Frame{table: f.table[:0], known: flagBackfill | flagOffset | flagValues}
	if len(data) < 5 || string(data[:4]) != frameMagic {
		return fmt.Errorf("%w: it does not start with %s", ErrDamagedFrame, frameMagic)
	}
	switch data[4] {
	case frameVersion:
	case frameVersion2:
		f.known = flagBackfill | flagOffset
	default:
		return fmt.Errorf("%w: version %d is unknown; want 2 or 3", ErrDamagedFrame, data[4])
	}
	f.c.rest = data[5:]
	f.Gateway = f.c.str()
	if f.c.bad || len(f.c.rest) < 4 {
		return fmt.Errorf("%w: the head is truncated", ErrDamagedFrame)
	}
	count := binary.BigEndian.Uint32(f.c.rest)
	f.c.rest = f.c.rest[4:]
	if uint64(count) > uint64(len(f.c.rest)/frameEntryMin) {
		return fmt.Errorf("%w: %d entries do not fit", ErrDamagedFrame, count)
	}
	f.Count, f.left = int(count), int(count)
	return nil
}

// Next returns the next entry, or false at the end or at a damaged entry; see Err. An entry
// with values has a Reading of its own.
func (f *Frame) Next() (FrameEntry, bool) { return f.NextInto(nil) }

// NextInto is Next, but decodes the values into r, whose slices are reused. It is then the
// entry's Reading, if the entry has values.
func (f *Frame) NextInto(r *telemetry.Reading) (FrameEntry, bool) {
	if f.left == 0 || f.err != nil {
		if f.err == nil && len(f.c.rest) > 0 {
			f.err = fmt.Errorf("%w: %d bytes after the last entry", ErrDamagedFrame, len(f.c.rest))
		}
		return FrameEntry{}, false
	}
	flags := f.c.byte() & f.known
	e := FrameEntry{Backfill: flags&flagBackfill != 0, Timestamp: f.c.varint(), Received: f.c.varint()}
	if flags&flagOffset != 0 {
		e.ClockOffset = f.c.varint()
	}
	e.Device, e.Payload = f.c.str(), f.c.bytes()
	if flags&flagValues != 0 {
		if r == nil {
			r = new(telemetry.Reading)
		}
		e.Reading = r
		*r = telemetry.Reading{DeviceID: e.Device, Sensors: r.Sensors[:0], Flaws: r.Flaws[:0]}
		f.values(r)
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
