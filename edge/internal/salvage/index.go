package salvage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/nats-io/nats-server/v2/server/avl"
)

// index is the server's index.db, written at its stop and now and then before. If it fits
// the last block, the server trusts it and reads no block at the start, otherwise all.
type index struct {
	lastSeq  uint64
	lastTime int64 // ns since 1970
	blocks   []indexed
	last     uint32        // number of the last block
	sum      [hashLen]byte // hash at the end of the last block
}

// indexed is one block in an index.
type indexed struct {
	number     uint32
	bytes      uint64 // of its messages that were not removed
	first      uint64 // sequence of the first one
	empty      bool   // all were removed
	lastInFile uint64
}

const indexMagic = 11

var errIndex = errors.New("index is damaged")

// readIndex decodes index.db, which ends with its hash, keyed by the stream's name.
//
//	magic version messages bytes first-seq first-time:v last-seq last-time:v
//	subjects { length name total first-block last-block }
//	blocks { number bytes first-seq first-time:v last-seq last-time:v removed ttls(version 2) schedules(3) [removed sequences] }
//	last-block hash:8 hash-of-all:8        numbers are uvarints, :v varints
func readIndex(stream string, data []byte) (index, error) {
	end := len(data) - hashLen
	if end < 24 || !bytes.Equal(newHasher(stream).sum(data[:end]), data[end:]) {
		return index{}, errIndex
	}
	version := data[1]
	if data[0] != indexMagic || version < 1 || version > 4 {
		return index{}, errIndex
	}
	r := &reader{rest: data[2:end]}
	r.skip(4)
	x := index{lastSeq: r.number(), lastTime: unzigzag(r.number())}
	for n := r.number(); n > 0 && !r.bad; n-- {
		r.bytes(r.number())
		total := r.number()
		r.skip(1)
		if total > 1 || version >= 4 {
			r.skip(1)
		}
	}
	for n := r.number(); n > 0 && !r.bad; n-- {
		x.blocks = append(x.blocks, r.block(version))
	}
	x.last = uint32(r.number())
	copy(x.sum[:], r.bytes(hashLen))
	if r.bad || len(r.rest) != 0 {
		return index{}, errIndex
	}
	return x, nil
}

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// reader decodes numbers in sequence. Past the end it sets bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) skip(n int) {
	for range n {
		r.number()
	}
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) block(version byte) indexed {
	b := indexed{number: uint32(r.number()), bytes: r.number(), first: r.number()}
	r.skip(1)
	b.lastInFile = r.number()
	r.skip(1)
	removed := r.number()
	r.skip(min(int(version), 3) - 1) // ttls, schedules
	if removed > 0 && !r.bad {
		_, n, err := avl.Decode(r.rest)
		if err != nil || n < 0 {
			r.bad = true
			return b
		}
		r.bytes(uint64(n))
	}
	b.empty = b.lastInFile+1-b.first <= removed
	return b
}

// covers reports whether the server will trust x: it fits the existing block files
// (numbers, in order) and the end of the last one.
func (x *index) covers(files []uint32, lastSum []byte) bool {
	if len(files) == 0 || files[len(files)-1] != x.last || !bytes.Equal(x.sum[:], lastSum) {
		return false
	}
	for _, b := range x.blocks {
		if _, ok := slices.BinarySearch(files, b.number); !ok && !b.empty {
			return false
		}
	}
	return true
}
