package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// A block file of nats-server (2.9 to 2.15, see filestore.go; neither encrypted nor
// compressed) is a sequence of records, little endian:
//
//	length:u32 seq:u64 time:i64 subject-length:u16 subject message hash:8
//
// length covers the whole record; if its highest bit is set, a header length (u32) and a
// header precede the message. The hash is HighwayHash-64, keyed by the SHA-256 of
// "<stream>-<number of the block>", over seq, time, subject, header and message.
// TestServerReadsAndWritesThisForm checks this with the server in use.
const (
	headLen = 4 + 8 + 8 + 2
	hashLen = 8
	minLen  = headLen + hashLen
	maxLen  = 32 << 20 // the server treats a longer record as damage

	headerBit    = 1 << 31 // of the length
	erasedBit    = 1 << 63 // of the sequence: a removed message
	tombstoneBit = 1 << 62 // of the sequence: records the removal of a message elsewhere
)

// codec reads and writes the records of one block. It is for one goroutine.
type codec struct {
	h       *hasher
	subject []byte
}

func newCodec(stream, subject string, number uint32) *codec {
	return &codec{h: newHasher(fmt.Sprintf("%s-%d", stream, number)), subject: []byte(subject)}
}

// hasher computes the hashes in the server's files, keyed by a name.
type hasher struct {
	h   hash.Hash
	out [hashLen]byte
}

func newHasher(name string) *hasher {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // only for a key of other than 32 bytes
	}
	return &hasher{h: h}
}

// sum returns the hash of all parts together, valid until the next call.
func (h *hasher) sum(parts ...[]byte) []byte {
	h.h.Reset()
	for _, p := range parts {
		_, _ = h.h.Write(p) // a hash never fails
	}
	return h.h.Sum(h.out[:0])
}

// record is one record of a block. Slices point into the block.
type record struct {
	raw       []byte
	seq       uint64
	tombstone bool
	message   []byte // nil where the message was removed
}

// read returns the record at the start of buf, if it is intact.
func (c *codec) read(buf []byte) (record, bool) {
	n, hasHeader, ok := length(buf)
	if !ok {
		return record{}, false
	}
	raw := buf[:n:n]
	subjectLen := int(binary.LittleEndian.Uint16(raw[20:]))
	body := raw[headLen : n-hashLen]
	hashed := body[subjectLen:]
	var headerLen uint32
	if hasHeader {
		headerLen = binary.LittleEndian.Uint32(hashed)
		hashed = hashed[4:]
	}
	if !bytes.Equal(c.h.sum(raw[4:20], body[:subjectLen], hashed), raw[n-hashLen:]) || uint64(headerLen) > uint64(len(hashed)) {
		return record{}, false
	}
	seq := binary.LittleEndian.Uint64(raw[4:])
	r := record{raw: raw, seq: seq &^ (erasedBit | tombstoneBit), tombstone: seq&tombstoneBit != 0}
	if r.tombstone || seq&erasedBit != 0 {
		return r, true
	}
	// The hash does not cover the boundaries of subject, header and message.
	if !bytes.Equal(body[:subjectLen], c.subject) || (hasHeader && !bytes.HasSuffix(hashed[:headerLen], []byte("\r\n\r\n"))) {
		return record{}, false
	}
	r.message = hashed[headerLen:]
	return r, true
}

// length returns a record's length from its first bytes, if it is plausible.
func length(buf []byte) (n int, hasHeader, ok bool) {
	if len(buf) < minLen {
		return 0, false, false
	}
	l := binary.LittleEndian.Uint32(buf)
	hasHeader = l&headerBit != 0
	n = int(l &^ headerBit)
	least := minLen + int(binary.LittleEndian.Uint16(buf[20:]))
	if hasHeader {
		least += 4
	}
	return n, hasHeader, n >= least && n <= len(buf) && n <= maxLen
}

// appendMessage appends the record of a message without a header.
func (c *codec) appendMessage(dst []byte, seq uint64, time int64, message []byte) []byte {
	return c.append(dst, seq, time, c.subject, message)
}

// appendTombstone appends a record of the removal of message seq.
func (c *codec) appendTombstone(dst []byte, seq uint64, time int64) []byte {
	return c.append(dst, seq|tombstoneBit, time, nil, nil)
}

func (c *codec) append(dst []byte, seq uint64, time int64, subject, message []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(minLen+len(subject)+len(message)))
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(time))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(subject)))
	dst = append(append(dst, subject...), message...)
	return append(dst, c.h.sum(dst[at+4:at+20], subject, message)...)
}

// next returns the offset of the first intact record of a pack at or after from, len(buf)
// if there is none. It searches for the subject in the record.
func (c *codec) next(buf []byte, from int) int {
	for at := from + headLen; at < len(buf); at++ {
		i := bytes.Index(buf[at:], c.subject)
		if i < 0 {
			break
		}
		at += i
		if _, ok := c.read(buf[at-headLen:]); ok {
			return at - headLen
		}
	}
	return len(buf)
}
