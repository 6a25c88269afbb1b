package detect

import (
	"encoding/json"
	"fmt"
)

// stateVersion is the version of a state's encoding. A state of another version is not read: its
// device learns from the start.
const stateVersion = 1

type encoded struct {
	Version int      `json:"v"`
	Seen    int64    `json:"seen"`
	Names   []string `json:"names"`
	Streams []stream `json:"streams"`
}

// Encode returns d as bytes that Decode reads.
func (d *Device) Encode() ([]byte, error) {
	return json.Marshal(encoded{stateVersion, d.seen, d.names, d.streams})
}

// Decode returns the device that Encode was called on.
func Decode(data []byte) (Device, error) {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return Device{}, fmt.Errorf("reading a detector's state: %w", err)
	}
	if e.Version != stateVersion || len(e.Names) != len(e.Streams) {
		return Device{}, fmt.Errorf("a detector's state has version %d with %d sensors and %d streams, want version %d", e.Version, len(e.Names), len(e.Streams), stateVersion)
	}
	return Device{names: e.Names, streams: e.Streams, seen: e.Seen}, nil
}

// Seen returns the plant time in ms of the newest reading.
func (d *Device) Seen() int64 { return d.seen }
