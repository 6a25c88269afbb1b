package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/state"
)

// A record is the newest reading of a device in Redis: what the script compares, then a live frame
// with that one entry.
//
//	time:f64 received:f64 offset:f64 backfill:u8 frame
//
// Numbers are big-endian; times and the offset are in ms, as those of wire.FrameEntry.
const recordHead = 3*8 + 1

// encoder encodes records. The zero value is ready.
type encoder struct {
	frame   wire.FrameBuilder
	reading telemetry.Reading
}

// append appends the record of a device, or nothing if it has no reading. It is called within a View.
func (e *encoder) append(dst []byte, d *state.Device) []byte {
	if !d.HasReading() {
		return dst
	}
	payload := d.Payload()
	if len(payload) == 0 || payload[0] != '{' {
		return dst // a forged frame brought it
	}
	entry := wire.FrameEntry{
		Device: d.ID, Timestamp: d.Timestamp(), Received: d.Received(), Backfill: d.Backfill(), ClockOffset: d.ClockOffset(), Payload: payload,
	}
	if d.Values(&e.reading) {
		e.reading.Flaws = d.Flaws()
		entry.Reading = &e.reading
	}
	late := byte(0)
	if entry.Backfill {
		late = 1
	}
	dst = appendFloat(appendFloat(appendFloat(dst, entry.Timestamp), entry.Received), entry.ClockOffset)
	dst = append(dst, late)
	e.frame.Reset(d.Gateway())
	e.frame.Add(entry)
	return append(dst, e.frame.Finish()...)
}

func appendFloat(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(float64(ms)))
}

var errRecord = errors.New("not a record of a device")

// opener opens records. The zero value is ready.
type opener struct {
	frame   wire.Frame
	reading telemetry.Reading // scratch
}

// open opens the frame of a record that is stored under id.
func (o *opener) open(id string, record []byte) error {
	f := &o.frame
	if len(record) <= recordHead {
		return fmt.Errorf("%w: %d bytes", errRecord, len(record))
	}
	if err := f.Open(record[recordHead:]); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if f.Count != 1 {
		return fmt.Errorf("%w: %d readings", errRecord, f.Count)
	}
	// An entry that says another device would be shown, and never be removed.
	if e, ok := f.NextInto(&o.reading); !ok || e.Device != id {
		return fmt.Errorf("%w: of another device", errRecord)
	}
	return f.Open(record[recordHead:])
}
