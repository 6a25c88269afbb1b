package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// stateVersion is the version of a state's encoding. A state of another version is not read: its
// device learns from the start.
const stateVersion = 1

// maxSensors bounds the streams of a device. Further sensors are not judged.
const maxSensors = 64

var errState = errors.New("a detector's state is malformed")

// Encode returns d as bytes that Decode reads: version, plant time, names, streams.
func (d *Device) Encode() ([]byte, error) {
	out := append(make([]byte, 0, 64+len(d.streams)*streamBytes), stateVersion, byte(len(d.names)))
	out = binary.LittleEndian.AppendUint64(out, uint64(d.seen))
	for _, n := range d.names {
		out = append(append(out, byte(len(n))), n...)
	}
	return binary.Append(out, binary.LittleEndian, d.streams)
}

var streamBytes = binary.Size(stream{})

// Decode returns the device that Encode was called on.
func Decode(data []byte) (Device, error) {
	const head = 10
	if len(data) < head {
		return Device{}, errState
	}
	if data[0] != stateVersion {
		return Device{}, fmt.Errorf("a detector's state has version %d, want %d", data[0], stateVersion)
	}
	n := int(data[1])
	d := Device{seen: int64(binary.LittleEndian.Uint64(data[2:])), names: make([]string, n), streams: make([]stream, n)}
	data = data[head:]
	for i := range d.names {
		if len(data) == 0 || len(data) < 1+int(data[0]) {
			return Device{}, errState
		}
		d.names[i], data = string(data[1:1+int(data[0])]), data[1+int(data[0]):]
	}
	if n > maxSensors || len(data) != n*streamBytes {
		return Device{}, errState
	}
	if _, err := binary.Decode(data, binary.LittleEndian, d.streams); err != nil {
		return Device{}, fmt.Errorf("reading a detector's state: %w", err)
	}
	return d, nil
}

// Seen returns the plant time in ms of the newest reading.
func (d *Device) Seen() int64 { return d.seen }
