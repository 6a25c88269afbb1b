package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"industrial-iot-monitor/internal/telemetry"
)

// A pack is one JetStream message of a gateway: a few milliseconds of readings,
// together with the messages refused in that time (they become dead letters).
//
//	"IOTP" version=3 epoch:u64 counter:u64 readings:u64 refused:u64 base:i64 count:u32 { entry } crc32c:u32   (big endian)
//	entry = flags:u8 received-base:varint device:str payload:bytes
//	        [ reason:str field:str message:str ]   flag 1, refused
//	        [ sender:u64 id:u64 ]                  flag 2, the id of its message
//	        [ mapping:str ]                        flag 4, mapped from another format
//	                                               flag 8, of the same message as the entry before
//	str, bytes = uvarint length, then that many bytes
//	varint, uvarint as in encoding/binary; the varint is signed because a gateway's clock may be set back
//
// The checksum is CRC-32C (Castagnoli) over all bytes before it. readings and refused
// are the totals of PackTotals. Version 2 has flag 1 alone. A pack without other flags is
// written as version 2, which an older bridge reads too.
const (
	packMagic    = "IOTP"
	packVersion  = 3
	packPlain    = 2 // the version of a pack with no flag but flagRefused
	packHeadLen  = 4 + 1 + 8 + 8 + 8 + 8 + 8 + 4
	packTailLen  = 4
	packEntryMin = 4 // kind, received and two empty strings: one byte each

	packTotalsAt = 4 + 1 + 8 + 8
	packBaseAt   = packTotalsAt + 8 + 8
	packCountAt  = packBaseAt + 8

	packVersionAt = 4

	flagRefused = 1
	flagID      = 2
	flagMapping = 4
	flagPart    = 8
	flagsPlain  = flagRefused
	flagsKnown  = flagRefused | flagID | flagMapping | flagPart
)

// ErrDamagedPack is returned for bytes that are not a whole, undamaged pack.
var ErrDamagedPack = errors.New("damaged pack")

// ErrNewerPack is returned for a whole pack of a version that this program does not know. It must be kept: a newer
// program reads it. Every version begins with magic and version and ends with the checksum.
var ErrNewerPack = errors.New("pack of a newer version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// PackHeader identifies a pack. Epoch is drawn at random at every start of the
// gateway and Counter counts its packs from 1, so the pair identifies one pack for ever,
// even where a stream sequence was used twice.
type PackHeader struct {
	Epoch   uint64
	Counter uint64
	Before  PackTotals
	Base    int64 // ms since 1970, receive time of the first entry
	Count   int
}

// PackTotals counts the messages in packs of one epoch. In a pack's header it counts those
// of the packs before it, which gives the number of readings in missing packs.
type PackTotals struct {
	Readings uint64 `json:"readings"`
	Refused  uint64 `json:"refused"`
}

// PackEntry is one message in a pack. Slices and strings of a decoded entry, those
// of its Refusal included, point into the pack's bytes: they are valid as long as
// those are neither changed nor reused, and keep them in memory.
type PackEntry struct {
	Device   string
	Received int64 // ms since 1970
	Payload  []byte
	Refusal  *telemetry.Refusal // nil for an accepted reading

	// Sender and ID recognise a resend of the message, where its payload alone does not: see
	// the package ingest of the gateway. Both are 0 if it does.
	Sender, ID uint64
	Mapping    string // name of the mapping that made the payload, empty for a device's own
	Part       bool   // of the same message as the entry before: a batch
}

func (e *PackEntry) flags() byte {
	flags := byte(0)
	if e.Refusal != nil {
		flags |= flagRefused
	}
	if e.ID != 0 || e.Sender != 0 {
		flags |= flagID
	}
	if e.Mapping != "" {
		flags |= flagMapping
	}
	if e.Part {
		flags |= flagPart
	}
	return flags
}

// PackBuilder collects entries into a pack. The zero value is ready after Reset. Its
// buffer is reused from pack to pack. It is not safe for concurrent use.
type PackBuilder struct {
	buf     []byte
	before  PackTotals
	base    int64
	count   int
	refused int
	flags   byte // of all entries
}

// Reset empties the builder for the pack named by epoch and counter.
func (b *PackBuilder) Reset(epoch, counter uint64) {
	b.before, b.base, b.count, b.refused, b.flags = PackTotals{}, 0, 0, 0, 0
	b.buf = append(b.buf[:0], packMagic...)
	b.buf = append(b.buf, packVersion)
	b.buf = binary.BigEndian.AppendUint64(b.buf, epoch)
	b.buf = binary.BigEndian.AppendUint64(b.buf, counter)
	b.buf = append(b.buf, make([]byte, packHeadLen-packTotalsAt)...) // filled in by Finish
}

// Add appends e. The payload is copied.
func (b *PackBuilder) Add(e PackEntry) {
	if b.count == 0 {
		b.base = e.Received
	}
	b.count++
	flags := e.flags()
	b.flags |= flags
	buf := append(b.buf, flags)
	buf = binary.AppendVarint(buf, e.Received-b.base)
	buf = appendBytes(buf, e.Device)
	buf = appendBytes(buf, e.Payload)
	if flags != 0 {
		buf = b.appendFlagged(buf, &e)
	}
	b.buf = buf
}

func (b *PackBuilder) appendFlagged(buf []byte, e *PackEntry) []byte {
	if e.Refusal != nil {
		b.refused++
		buf = appendBytes(buf, e.Refusal.Reason)
		buf = appendBytes(buf, e.Refusal.Field)
		buf = appendBytes(buf, e.Refusal.Message)
	}
	if e.ID != 0 || e.Sender != 0 {
		buf = binary.BigEndian.AppendUint64(buf, e.Sender)
		buf = binary.BigEndian.AppendUint64(buf, e.ID)
	}
	if e.Mapping != "" {
		buf = appendBytes(buf, e.Mapping)
	}
	return buf
}

// Count returns the number of entries added since Reset.
func (b *PackBuilder) Count() int { return b.count }

// Follow sets the totals of the packs before this one in its epoch; Reset clears them.
func (b *PackBuilder) Follow(before PackTotals) { b.before = before }

// Totals returns the totals of this epoch's packs, this one included.
func (b *PackBuilder) Totals() PackTotals {
	return PackTotals{
		Readings: b.before.Readings + uint64(b.count-b.refused),
		Refused:  b.before.Refused + uint64(b.refused),
	}
}

// Size returns the length in bytes that Finish would return now.
func (b *PackBuilder) Size() int { return len(b.buf) + packTailLen }

// Finish returns the encoded pack. It is valid until the next Add or Reset, and
// changes nothing: more entries may be added and Finish called again.
func (b *PackBuilder) Finish() []byte {
	b.buf[packVersionAt] = packVersion
	if b.flags&^flagsPlain == 0 {
		b.buf[packVersionAt] = packPlain
	}
	binary.BigEndian.PutUint64(b.buf[packTotalsAt:], b.before.Readings)
	binary.BigEndian.PutUint64(b.buf[packTotalsAt+8:], b.before.Refused)
	binary.BigEndian.PutUint64(b.buf[packBaseAt:], uint64(b.base))
	binary.BigEndian.PutUint32(b.buf[packCountAt:], uint32(b.count))
	n := len(b.buf)
	out := binary.BigEndian.AppendUint32(b.buf, crc32.Checksum(b.buf, castagnoli))
	b.buf = out[:n]
	return out
}

// Pack iterates over an encoded pack.
type Pack struct {
	Header PackHeader

	body  []byte // the entries
	known byte   // flags of this version
	c     cursor
	left  int
	err   error
}

// OpenPack checks the length and checksum of data and returns it for iteration. The
// error is ErrDamagedPack or ErrNewerPack, wrapped with the reason.
func OpenPack(data []byte) (*Pack, error) {
	if len(data) < packHeadLen+packTailLen {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrDamagedPack, len(data))
	}
	if string(data[:4]) != packMagic {
		return nil, fmt.Errorf("%w: it does not start with %s", ErrDamagedPack, packMagic)
	}
	known, version := flagsOf(data[packVersionAt]), data[packVersionAt]
	end := len(data) - packTailLen
	sound := crc32.Checksum(data[:end], castagnoli) == binary.BigEndian.Uint32(data[end:])
	switch {
	case known == 0 && sound && version > packVersion:
		return nil, fmt.Errorf("%w: it has version %d, this program reads up to %d: upgrade it", ErrNewerPack, version, packVersion)
	case known == 0:
		return nil, fmt.Errorf("%w: version %d is unknown", ErrDamagedPack, version)
	case !sound:
		return nil, fmt.Errorf("%w: checksum mismatch", ErrDamagedPack)
	}
	count := binary.BigEndian.Uint32(data[packCountAt:])
	if uint64(count) > uint64((end-packHeadLen)/packEntryMin) {
		return nil, fmt.Errorf("%w: %d entries do not fit", ErrDamagedPack, count)
	}
	p := &Pack{
		Header: PackHeader{
			Epoch:   binary.BigEndian.Uint64(data[5:]),
			Counter: binary.BigEndian.Uint64(data[13:]),
			Before: PackTotals{
				Readings: binary.BigEndian.Uint64(data[packTotalsAt:]),
				Refused:  binary.BigEndian.Uint64(data[packTotalsAt+8:]),
			},
			Base:  int64(binary.BigEndian.Uint64(data[packBaseAt:])),
			Count: int(count),
		},
		body: data[packHeadLen:end:end], known: known,
	}
	p.Rewind()
	return p, nil
}

// flagsOf returns the flags that entries of a version may have, 0 for an unknown version.
func flagsOf(version byte) byte {
	switch version {
	case packPlain:
		return flagsPlain
	case packVersion:
		return flagsKnown
	}
	return 0
}

// Rewind makes Next start again at the first entry.
func (p *Pack) Rewind() { p.c, p.left, p.err = cursor{rest: p.body}, p.Header.Count, nil }

// Next returns the next entry, or false at the end or at the first entry that cannot
// be decoded; see Err.
func (p *Pack) Next() (PackEntry, bool) {
	if p.left == 0 || p.err != nil {
		if p.err == nil && len(p.c.rest) > 0 {
			p.err = fmt.Errorf("%w: %d bytes after the last entry", ErrDamagedPack, len(p.c.rest))
		}
		return PackEntry{}, false
	}
	e := PackEntry{}
	if !p.c.entry(&e, p.Header.Base, p.known) {
		p.err = fmt.Errorf("%w: entry %d is unreadable", ErrDamagedPack, p.Header.Count-p.left)
		return PackEntry{}, false
	}
	p.left--
	return e, true
}

// entry reads one entry, whose flags must be among the known ones.
func (c *cursor) entry(e *PackEntry, base int64, known byte) bool {
	flags := c.byte()
	e.Received, e.Device, e.Payload = base+c.varint(), c.str(), c.bytes()
	if flags != 0 {
		if flags&flagRefused != 0 {
			e.Refusal = &telemetry.Refusal{Reason: telemetry.Reason(c.str()), Field: c.str(), Message: c.str()}
		}
		if flags&flagID != 0 {
			e.Sender, e.ID = c.uint64(), c.uint64()
		}
		if flags&flagMapping != 0 {
			e.Mapping = c.str()
		}
		e.Part = flags&flagPart != 0
	}
	return !c.bad && flags&^known == 0
}

// Err returns the error that ended the iteration, nil at the regular end.
func (p *Pack) Err() error { return p.err }
