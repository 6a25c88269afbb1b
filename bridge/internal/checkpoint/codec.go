package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// version of the written form. A reader refuses versions it does not know, because
// guessing a position loses or doubles readings.
const version = 1

// ErrUnreadable says that bytes are not a checkpoint this program understands.
var ErrUnreadable = errors.New("unreadable checkpoint")

// written is a checkpoint as JSON. Epochs are 16 hex digits, as everywhere.
type written struct {
	Version int               `json:"v"`
	Gateway string            `json:"gateway"`
	Seq     uint64            `json:"seq"`
	Epoch   string            `json:"epoch"`
	Counter uint64            `json:"counter"`
	At      int64             `json:"at"`
	Missing uint64            `json:"missing,omitempty"`
	Seen    []writtenProgress `json:"seen,omitempty"`
}

type writtenProgress struct {
	Epoch   string `json:"epoch"`
	Counter uint64 `json:"counter"`
}

// Encode returns c as JSON.
func (c Checkpoint) Encode() ([]byte, error) {
	w := written{
		Version: version, Gateway: c.Gateway, Seq: c.Seq, Epoch: Hex(c.Epoch), Counter: c.Counter,
		At: c.At, Missing: c.Missing,
	}
	for _, s := range c.Seen {
		w.Seen = append(w.Seen, writtenProgress{Epoch: Hex(s.Epoch), Counter: s.Counter})
	}
	return json.Marshal(w)
}

// Decode parses what Encode wrote. The error is ErrUnreadable, wrapped with what was
// wrong.
func Decode(data []byte) (Checkpoint, error) {
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if w.Version != version {
		return Checkpoint{}, fmt.Errorf("%w: version %d is unknown", ErrUnreadable, w.Version)
	}
	epoch, err := parseHex(w.Epoch)
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{Gateway: w.Gateway, Seq: w.Seq, Epoch: epoch, Counter: w.Counter, At: w.At, Missing: w.Missing}
	if len(w.Seen) > maxSeen {
		return Checkpoint{}, fmt.Errorf("%w: %d former epochs", ErrUnreadable, len(w.Seen))
	}
	for _, s := range w.Seen {
		epoch, err := parseHex(s.Epoch)
		if err != nil {
			return Checkpoint{}, err
		}
		c.Seen = append(c.Seen, Progress{Epoch: epoch, Counter: s.Counter})
	}
	return c, nil
}

// Hex returns an epoch in its written form, 16 hex digits.
func Hex(epoch uint64) string { return fmt.Sprintf("%016x", epoch) }

func parseHex(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("%w: epoch %q is not 16 hex digits", ErrUnreadable, s)
	}
	return v, nil
}
