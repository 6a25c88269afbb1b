package wire

import (
	"bytes"
	"encoding/binary"
)

// FindPack returns where the first whole, undamaged pack in data lies: data[start:end].
// It knows packs by their own form alone, whatever surrounds them, and is for reading
// back what a damaged file still holds.
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

// packLength returns the length of the pack that data begins with, by walking over its
// entries; 0 when there is none.
func packLength(data []byte) int {
	if len(data) < packHeadLen+packTailLen || data[4] != packVersion {
		return 0
	}
	c := cursor{rest: data[packHeadLen:]}
	for range binary.BigEndian.Uint32(data[packCountAt:]) {
		kind := c.byte()
		c.varint()
		c.bytes()
		c.bytes()
		if kind == kindRefused {
			c.bytes()
			c.bytes()
			c.bytes()
		}
		if c.bad || kind > kindRefused {
			return 0
		}
	}
	if len(c.rest) < packTailLen {
		return 0
	}
	return len(data) - len(c.rest) + packTailLen
}

// TotalsAfter returns what the packs of an epoch hold up to and with the given one, and
// its header.
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
