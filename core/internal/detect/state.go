package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stateVersion is the version of a state's encoding. A state of another version is not read: its
// device learns from the start.
const stateVersion = 3

// maxSensors bounds the streams of a device. Further sensors are not judged.
const maxSensors = 64

var errState = errors.New("a detector's state is malformed")

// Encode returns d as bytes that Decode reads: version, plant time, names, streams, and how they move
// together.
func (d *Device) Encode() ([]byte, error) {
	out := append(make([]byte, 0, 64+len(d.streams)*streamBytes), stateVersion, byte(len(d.names)), byte(len(d.joint.Sensors)))
	out = binary.LittleEndian.AppendUint64(out, uint64(d.seen))
	for _, n := range d.names {
		out = append(append(out, byte(len(n))), n...)
	}
	var err error
	for _, part := range d.parts() {
		if out, err = binary.Append(out, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("encoding a detector's state: %w", err)
		}
	}
	return out, nil
}

// parts returns all that is encoded with a fixed size once the numbers of streams are known.
func (d *Device) parts() []any {
	j := &d.joint
	return []any{d.streams, j.Sensors, j.Cov, d.pairs, &jointHead{j.N, j.Begin, j.At, j.State}}
}

// jointHead is a joint without what has a size of its own.
type jointHead struct {
	N, Begin, At int64
	State        jointState
}

var streamBytes = binary.Size(stream{})

// Decode returns the device that Encode was called on.
func Decode(data []byte) (Device, error) {
	const head = 11
	if len(data) < head {
		return Device{}, errState
	}
	if data[0] != stateVersion {
		return Device{}, fmt.Errorf("a detector's state has version %d, want %d", data[0], stateVersion)
	}
	n, joined := int(data[1]), int(data[2])
	if n > maxSensors || joined > min(n, maxJoint) {
		return Device{}, errState
	}
	d := Device{seen: int64(binary.LittleEndian.Uint64(data[3:])), names: make([]string, n), streams: make([]stream, n)}
	data = data[head:]
	for i := range d.names {
		if len(data) == 0 || len(data) < 1+int(data[0]) {
			return Device{}, errState
		}
		d.names[i], data = string(data[1:1+int(data[0])]), data[1+int(data[0]):]
	}
	d.joint.grow(joined)
	d.pairs.grow(n)
	return d, d.decodeParts(data)
}

func (d *Device) decodeParts(data []byte) error {
	parts := d.parts()
	h, _ := parts[len(parts)-1].(*jointHead)
	for _, part := range parts {
		n, err := binary.Decode(data, binary.LittleEndian, part)
		if err != nil {
			return fmt.Errorf("%w: %w", errState, err)
		}
		data = data[n:]
	}
	if len(data) > 0 {
		return errState
	}
	d.joint.N, d.joint.Begin, d.joint.At, d.joint.State = h.N, h.Begin, h.At, h.State
	return nil
}

// Seen returns the plant time in ms of the newest reading.
func (d *Device) Seen() int64 { return d.seen }
