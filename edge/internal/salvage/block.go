package salvage

import (
	"industrial-iot-monitor/internal/wire"
)

// block is what was found in one block file.
type block struct {
	pieces []piece
	// damaged is the number of bytes that belong to no whole record or pack.
	damaged int
	// saved counts the packs that the server would not have kept: those behind the
	// first damage, where it cuts the file, and those whose record is broken around them.
	saved int
	// torn says that the only damage is at the end of the file and holds no whole pack.
	torn bool
}

// piece is a stretch of a block file: undamaged records, or one pack that was found in
// a damaged stretch.
type piece struct {
	records []byte
	packs   int    // among the records
	first   place  // of the first record that is a pack
	last    place  // of the last one
	highest uint64 // sequence, tombstones and removed messages included

	pack []byte
}

// place is a pack and its sequence. The zero value is no pack.
type place struct {
	seq  uint64
	pack []byte
}

func (b *block) whole() bool { return b.damaged == 0 && b.saved == 0 }

// highest returns the highest sequence in the block's records.
func (b *block) highest() (seq uint64) {
	for _, p := range b.pieces {
		seq = max(seq, p.highest)
	}
	return seq
}

// examine takes a block file apart.
func (c *codec) examine(buf []byte) block {
	var b block
	broken := false
	for at := 0; at < len(buf); {
		if p := c.records(buf[at:]); len(p.records) > 0 {
			if broken {
				b.saved += p.packs
				b.torn = false
			}
			b.pieces = append(b.pieces, p)
			at += len(p.records)
			continue
		}
		end := c.damageEnd(buf, at)
		found, bytes := carve(buf[at:end])
		b.pieces = append(b.pieces, found...)
		b.saved += len(found)
		b.damaged += end - at - bytes
		b.torn = !broken && len(found) == 0
		broken = true
		at = end
	}
	return b
}

// records returns the undamaged records that buf begins with.
func (c *codec) records(buf []byte) piece {
	var p piece
	n := 0
	for n < len(buf) {
		r, ok := c.read(buf[n:])
		if !ok {
			break
		}
		n += len(r.raw)
		p.highest = max(p.highest, r.seq)
		if r.message == nil {
			continue
		}
		p.packs++
		p.last = place{r.seq, r.message}
		if p.first.seq == 0 {
			p.first = p.last
		}
	}
	p.records = buf[:n]
	return p
}

// damageEnd returns where the damage that begins at at ends: at the next record as the
// broken one's length says it, if that leads to one, or else at the next that is found.
func (c *codec) damageEnd(buf []byte, at int) int {
	next := c.next(buf, at+1)
	if n, _, ok := length(buf[at:]); ok && at+n < next {
		if _, ok := c.read(buf[at+n:]); ok {
			return at + n // a tombstone, which next does not find
		}
	}
	return next
}

// carve returns the whole packs in a damaged stretch, and how many bytes they have.
func carve(buf []byte) (found []piece, bytes int) {
	for {
		start, end, ok := wire.FindPack(buf)
		if !ok {
			return found, bytes
		}
		found = append(found, piece{pack: buf[start:end]})
		bytes += end - start
		buf = buf[end:]
	}
}
