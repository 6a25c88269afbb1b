package salvage

import (
	"industrial-iot-monitor/internal/wire"
)

// block is the content of one block file.
type block struct {
	pieces []piece
	// damaged is the number of bytes outside intact records and packs.
	damaged int
	// saved counts the packs that the server would have lost: those after the first
	// damage, where it truncates, and intact ones in damaged records.
	saved int
	// torn is true if the only damage is at the end and contains no intact pack.
	torn bool
}

// piece is a part of a block file: intact records, or one pack found in a damaged part.
type piece struct {
	records []byte
	packs   int    // in the records
	first   place  // of the first pack in the records
	last    place  // of the last one
	highest uint64 // sequence, tombstones and removed messages included

	pack []byte
}

// place is a pack and its sequence. The zero value is no pack.
type place struct {
	seq  uint64
	pack []byte
}

func (b *block) intact() bool { return b.damaged == 0 && b.saved == 0 }

// highest returns the highest sequence in the block's records.
func (b *block) highest() (seq uint64) {
	for _, p := range b.pieces {
		seq = max(seq, p.highest)
	}
	return seq
}

// examine splits a block file into pieces.
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

// records returns the intact records at the start of buf.
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

// damageEnd returns the end of the damage that starts at at: the next record by the
// damaged one's length, if there is one, else the next record found.
func (c *codec) damageEnd(buf []byte, at int) int {
	next := c.next(buf, at+1)
	if n, _, ok := length(buf[at:]); ok && at+n < next {
		if _, ok := c.read(buf[at+n:]); ok {
			return at + n // a tombstone, which next does not find
		}
	}
	return next
}

// carve returns the intact packs in a damaged part and their size in bytes.
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
