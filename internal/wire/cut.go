package wire

import (
	"bytes"
	"encoding/binary"
)

// FindPack locates the first whole, undamaged pack in data: data[start:end]. It recognises
// packs by their own form alone, whatever surrounds them, and is for recovering packs from
// damaged files.
func FindPack(data []byte) (start, end int, ok bool) {
	for start = 0; ; start += len(packMagic) {
		i := bytes.Index(data[start:], []byte(packMagic))
		if i < 0 {
			return 0, 0, false
		}
		start += i
		if n := packLength(data[start:]); n > 0 {
			if _, err := OpenPack(data[start : start+n]); err == nil {
				return start, start + n, true
			}
		}
	}
}

// packLength returns the length of the pack at the start of data, by walking over its
// entries; 0 when there is none.
func packLength(data []byte) int {
	if len(data) < packHeadLen+packTailLen {
		return 0
	}
	known := flagsOf(data[packVersionAt])
	if known == 0 {
		return 0
	}
	c := cursor{rest: data[packHeadLen:]}
	for range binary.BigEndian.Uint32(data[packCountAt:]) {
		if !c.entry(&PackEntry{}, 0, known) {
			return 0
		}
	}
	if len(c.rest) < packTailLen {
		return 0
	}
	return len(data) - len(c.rest) + packTailLen
}

// TotalsAfter returns the totals of an epoch's packs up to and including the given one,
// and its header.
func TotalsAfter(pack []byte) (PackTotals, PackHeader, error) {
	p, err := OpenPack(pack)
	if err != nil {
		return PackTotals{}, PackHeader{}, err
	}
	sum := p.Header.Before
	for e, ok := p.Next(); ok; e, ok = p.Next() {
		if e.Refusal != nil {
			sum.Refused++
		} else {
			sum.Readings++
		}
	}
	return sum, p.Header, p.Err()
}
