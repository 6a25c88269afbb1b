package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"industrial-iot-monitor/internal/wire"
)

// version of the encoding. Unknown versions are refused, because guessing a position loses
// or doubles readings. Version 1 had no ledger: it is accepted, and the ledger starts with
// the next pack.
const version = 2

// ErrUnreadable is returned for bytes that are not a checkpoint of a known version.
var ErrUnreadable = errors.New("unreadable checkpoint")

// written is the JSON form of a checkpoint. Epochs are 16 hex digits, as everywhere.
type written struct {
	Version int               `json:"v"`
	Gateway string            `json:"gateway"`
	Seq     uint64            `json:"seq"`
	Epoch   string            `json:"epoch"`
	Counter uint64            `json:"counter"`
	At      int64             `json:"at"`
	Missing uint64            `json:"missing,omitempty"`
	Again   bool              `json:"again,omitempty"`
	Seen    []writtenProgress `json:"seen,omitempty"`
	Epochs  []writtenLedger   `json:"accounts,omitempty"`
	Folded  *writtenCounts    `json:"folded,omitempty"`
}

type writtenProgress struct {
	Epoch   string `json:"epoch"`
	Counter uint64 `json:"counter"`
}

type writtenLedger struct {
	Epoch    string `json:"epoch"`
	Counter  uint64 `json:"counter"`
	Readings uint64 `json:"readings"` // of Through
	Rejected uint64 `json:"rejected,omitempty"`
	writtenCounts
}

type writtenCounts struct {
	Committed    uint64 `json:"committed"`
	Refused      uint64 `json:"refused,omitempty"`
	Damaged      uint64 `json:"damaged,omitempty"`
	DamagedPacks uint64 `json:"damaged_packs,omitempty"`
	Late         uint64 `json:"late,omitempty"`
	Duplicates   uint64 `json:"duplicates,omitempty"`
}

// Encode returns c as JSON.
func (c Checkpoint) Encode() ([]byte, error) {
	w := written{
		Version: version, Gateway: c.Gateway, Seq: c.Seq, Epoch: Hex(c.Epoch), Counter: c.Counter,
		At: c.At, Missing: c.Missing, Again: c.Again,
	}
	for _, s := range c.Seen {
		w.Seen = append(w.Seen, writtenProgress{Epoch: Hex(s.Epoch), Counter: s.Counter})
	}
	for _, a := range c.Ledger.Epochs {
		w.Epochs = append(w.Epochs, writtenLedger{
			Epoch: Hex(a.Epoch), Counter: a.Counter, Readings: a.Through.Readings, Rejected: a.Through.Refused,
			writtenCounts: writtenCounts(a.Counts),
		})
	}
	if c.Ledger.Folded != (Counts{}) {
		folded := writtenCounts(c.Ledger.Folded)
		w.Folded = &folded
	}
	return json.Marshal(w)
}

// Decode parses a checkpoint of this version or version 1. Its error wraps ErrUnreadable
// and gives the reason.
func Decode(data []byte) (Checkpoint, error) {
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if w.Version < 1 || w.Version > version {
		return Checkpoint{}, fmt.Errorf("%w: version %d is unknown", ErrUnreadable, w.Version)
	}
	epoch, err := ParseHex(w.Epoch)
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{
		Gateway: w.Gateway, Seq: w.Seq, Epoch: epoch, Counter: w.Counter, At: w.At, Missing: w.Missing, Again: w.Again,
	}
	if len(w.Seen) > maxSeen {
		return Checkpoint{}, fmt.Errorf("%w: %d former epochs", ErrUnreadable, len(w.Seen))
	}
	for _, s := range w.Seen {
		epoch, err := ParseHex(s.Epoch)
		if err != nil {
			return Checkpoint{}, err
		}
		c.Seen = append(c.Seen, HighWater{Epoch: epoch, Counter: s.Counter})
	}
	if w.Version > 1 {
		c.Ledger, err = w.ledger()
	}
	return c, err
}

// ledger returns the decoded ledger.
func (w *written) ledger() (b Ledger, err error) {
	if len(w.Epochs) > maxLedgerEpochs {
		return Ledger{}, fmt.Errorf("%w: %d epochs in the ledger", ErrUnreadable, len(w.Epochs))
	}
	for _, a := range w.Epochs {
		epoch, err := ParseHex(a.Epoch)
		if err != nil {
			return Ledger{}, err
		}
		b.Epochs = append(b.Epochs, EpochLedger{
			Epoch: epoch, Counter: a.Counter, Through: wire.PackTotals{Readings: a.Readings, Refused: a.Rejected},
			Counts: Counts(a.writtenCounts),
		})
	}
	if w.Folded != nil {
		b.Folded = Counts(*w.Folded)
	}
	return b, nil
}

// Hex returns an epoch as 16 hex digits.
func Hex(epoch uint64) string { return fmt.Sprintf("%016x", epoch) }

// ParseHex is the reverse of Hex. Its error wraps ErrUnreadable.
func ParseHex(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("%w: epoch %q is not 16 hex digits", ErrUnreadable, s)
	}
	return v, nil
}
