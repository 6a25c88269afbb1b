package resend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"time"

	"industrial-iot-monitor/internal/durable"
)

// Keep is how long a message is remembered at least.
const Keep = 10 * time.Minute

// Era is a moment and the newest pack stored by then: a message at Seq or before is older.
type Era struct {
	At  time.Time
	Seq uint64
}

// A snapshot of the memory, big endian:
//
//	"IOTR" version:u8=2 seq:u64 eras:u32 { age:u64 ms, seq:u64 } { sender:u64 count:u8 { word:u64 high:u16 } } 0:u64 crc32c:u32
//
// It has every message of the packs up to seq that is still remembered. Ages are those at the
// time of the snapshot, and go on from there when it is read: the clock may have been set in
// between.
const (
	snapshotMagic   = "IOTR"
	snapshotVersion = 2
)

// ErrDamaged is returned for a snapshot that is not whole.
var ErrDamaged = errors.New("damaged snapshot")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin starts a snapshot of the packs up to seq. The chunks follow, see AppendChunk.
func Begin(dst []byte, seq uint64, now time.Time, eras []Era) []byte {
	dst = append(dst, snapshotMagic...)
	dst = append(dst, snapshotVersion)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(eras)))
	for _, e := range eras {
		dst = binary.BigEndian.AppendUint64(dst, uint64(max(now.Sub(e.At), 0).Milliseconds()))
		dst = binary.BigEndian.AppendUint64(dst, e.Seq)
	}
	return dst
}

// AppendChunk appends the records of one chunk and reports whether there is a further one.
// Between two calls messages may be put and removed: those of packs after the snapshot's are
// ignored when it is read, and put again from the stream.
func (m *Memory) AppendChunk(dst []byte, chunk int) (_ []byte, more bool) {
	if chunk >= len(m.chunks) {
		return dst, false
	}
	for i := range m.chunks[chunk] {
		r := &m.chunks[chunk][i]
		if r.sender == 0 {
			continue
		}
		dst = binary.BigEndian.AppendUint64(dst, r.sender)
		count := len(dst)
		dst = append(dst, 0)
		for k := range Ring { // oldest first
			p := (int(r.next) + k) % Ring
			if r.words[p] != 0 {
				dst[count]++
				dst = binary.BigEndian.AppendUint64(dst, r.words[p])
				dst = binary.BigEndian.AppendUint16(dst, r.high[p])
			}
		}
	}
	return dst, chunk+1 < len(m.chunks)
}

// End completes a snapshot.
func End(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, 0)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

// Read returns the memory of a snapshot, the sequence up to which it has the packs, and its
// eras. last is the newest sequence in the stream: what was put under a later one is left
// out, since that pack was lost.
func Read(data []byte, last uint64) (*Memory, uint64, []Era, error) {
	const head, tail = 4 + 1 + 8 + 4, 8 + 4
	n := len(data) - 4
	if len(data) < head+tail || string(data[:4]) != snapshotMagic || data[4] != snapshotVersion ||
		crc32.Checksum(data[:n], castagnoli) != binary.BigEndian.Uint32(data[n:]) {
		return nil, 0, nil, fmt.Errorf("%w: %d bytes", ErrDamaged, len(data))
	}
	seq, count := binary.BigEndian.Uint64(data[5:]), int(binary.BigEndian.Uint32(data[13:]))
	if seq > math.MaxUint64-ahead {
		return nil, 0, nil, fmt.Errorf("%w: no stream has %d packs", ErrDamaged, seq)
	}
	rest := data[head:n]
	if count > len(rest)/16 {
		return nil, 0, nil, fmt.Errorf("%w: %d eras do not fit", ErrDamaged, count)
	}
	now := time.Now()
	eras := make([]Era, count)
	for i := range eras {
		age := time.Duration(binary.BigEndian.Uint64(rest)) * time.Millisecond
		eras[i] = Era{now.Add(-age), binary.BigEndian.Uint64(rest[8:])}
		rest = rest[16:]
	}
	m := New()
	if !m.read(rest, seq, last) {
		return nil, 0, nil, fmt.Errorf("%w: a record is cut short or has an empty place", ErrDamaged)
	}
	return m, min(seq, last), eras, nil
}

// read puts the messages of the records in rest.
func (m *Memory) read(rest []byte, seq, last uint64) bool {
	for len(rest) >= 8 {
		sender := binary.BigEndian.Uint64(rest)
		if rest = rest[8:]; sender == 0 {
			return len(rest) == 0
		}
		if len(rest) == 0 || len(rest) < 1+10*int(rest[0]) {
			return false
		}
		count := int(rest[0])
		rest = rest[1:]
		for range count {
			word, high := binary.BigEndian.Uint64(rest), binary.BigEndian.Uint16(rest[8:])
			rest = rest[10:]
			if word&hashMask == 0 {
				return false
			}
			// Packs after the snapshot are at most one stored and one open.
			at := Restore(uint32(high)<<8|uint32(uint8(word)), seq+ahead)
			if at <= min(seq, last) {
				m.Put(Message{sender, word & hashMask}, at)
			}
		}
	}
	return false
}

// ahead is more packs than are stored while a snapshot is taken.
const ahead = seqMask / 2

// Write replaces the file with a snapshot, which survives a power cut.
func Write(name string, snapshot []byte) error {
	if err := durable.Replace(name, snapshot, 0o600); err != nil {
		return fmt.Errorf("writing the snapshot of resends: %w", err)
	}
	return nil
}

// Load reads the snapshot in a file. Without a file it returns an empty memory of no packs.
func Load(name string, last uint64) (*Memory, uint64, []Era, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return New(), 0, nil, nil
	}
	if err != nil {
		return New(), 0, nil, fmt.Errorf("reading the snapshot of resends: %w", err)
	}
	m, seq, eras, err := Read(data, last)
	if err != nil {
		return New(), 0, nil, err
	}
	return m, seq, eras, nil
}
