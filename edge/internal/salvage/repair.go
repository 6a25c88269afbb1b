package salvage

import (
	"math"
	"time"

	"industrial-iot-monitor/internal/wire"
)

// repair returns a block file of the intact parts of b: its records unchanged, and packs
// found without a record in new records at their sequences. before is the last pack before
// the block, with seq 0 if unknown. dropped counts found packs for which no sequence is
// free between their neighbours.
func (c *codec) repair(b block, before place) (file []byte, dropped int) {
	last := before
	for i, p := range b.pieces {
		if p.pack == nil {
			file = append(file, p.records...)
			if p.last.seq != 0 {
				last = p.last
			}
			last.seq = max(last.seq, p.highest)
			continue
		}
		seq, ok := position(p.pack, last, following(b.pieces[i+1:]))
		if !ok {
			dropped++
			continue
		}
		last = place{seq, p.pack}
		file = c.appendMessage(file, seq, received(p.pack), p.pack)
	}
	return file, dropped
}

// following returns the first pack in pieces with a sequence, or the highest place if
// there is none.
func following(pieces []piece) place {
	for _, p := range pieces {
		if p.first.seq != 0 {
			return p.first
		}
	}
	return place{seq: math.MaxInt64}
}

// position returns the sequence of a pack found between two others. Within an epoch,
// sequences and counters rise together, so a neighbour of the same epoch determines it
// exactly; otherwise it is only known to be between them.
func position(pack []byte, before, after place) (seq uint64, ok bool) {
	h, ok := header(pack)
	if !ok {
		return 0, false
	}
	seq = before.seq + 1
	if b, ok := header(before.pack); ok && b.Epoch == h.Epoch {
		seq = before.seq + h.Counter - b.Counter
	} else if a, ok := header(after.pack); ok && a.Epoch == h.Epoch {
		seq = after.seq + h.Counter - a.Counter
	}
	return seq, seq > before.seq && seq < after.seq
}

func header(pack []byte) (wire.PackHeader, bool) {
	p, err := wire.OpenPack(pack)
	if err != nil {
		return wire.PackHeader{}, false
	}
	return p.Header, true
}

// received returns when the first message of a pack was received, in ns since 1970.
func received(pack []byte) int64 {
	h, _ := header(pack)
	const ms = int64(time.Millisecond)
	return max(0, min(h.Base, math.MaxInt64/ms)) * ms
}
