package salvage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"industrial-iot-monitor/internal/wire"
)

// Mark is the position of the gateway's newest acknowledged pack and the totals of its
// epoch up to it. The gateway writes it to a file of its own after each pack, without a
// sync: it survives the end of the process, and after a power cut it may be older than
// the store, never newer.
type Mark struct {
	Epoch   uint64
	Counter uint64
	Seq     uint64
	Totals  wire.PackTotals
}

const (
	markMagic = "IOTM"
	markLen   = 4 + 5*8 + 4 // magic, the numbers big endian, CRC-32C
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns the mark's bytes.
func (m Mark) encode() [markLen]byte {
	var out [markLen]byte
	b := append(out[:0], markMagic...)
	for _, v := range []uint64{m.Epoch, m.Counter, m.Seq, m.Totals.Readings, m.Totals.Refused} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return out
}

func decodeMark(b []byte) (m Mark, ok bool) {
	if len(b) != markLen || string(b[:4]) != markMagic || crc32.Checksum(b[:markLen-4], castagnoli) != binary.BigEndian.Uint32(b[markLen-4:]) {
		return Mark{}, false
	}
	for i, p := range []*uint64{&m.Epoch, &m.Counter, &m.Seq, &m.Totals.Readings, &m.Totals.Refused} {
		*p = binary.BigEndian.Uint64(b[4+8*i:])
	}
	return m, true
}

// pack returns an empty pack with the counter and totals of the mark, from which a reader
// can compute the missing readings.
func (m Mark) pack() []byte {
	var b wire.PackBuilder
	b.Reset(m.Epoch, m.Counter)
	b.Follow(m.Totals)
	return b.Finish()
}

// ReadMark returns the mark in a file, false if there is no readable one.
func ReadMark(name string) (Mark, bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Mark{}, false
	}
	return decodeMark(b)
}

// Marker writes marks. It is for one goroutine.
type Marker struct{ f *os.File }

// OpenMarker opens a mark's file and keeps the mark in it.
func OpenMarker(name string) (*Marker, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("EDGE_DATA_DIR: opening the mark: %w", err)
	}
	return &Marker{f}, nil
}

// Write replaces the mark. It makes one system call.
func (m *Marker) Write(mark Mark) error {
	b := mark.encode()
	_, err := m.f.WriteAt(b[:], 0)
	return err
}

// Close closes the file. A second call does nothing.
func (m *Marker) Close() error {
	if err := m.f.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
