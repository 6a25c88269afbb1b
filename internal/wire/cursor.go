package wire

import (
	"encoding/binary"
	"unsafe"
)

// cursor reads the fields of a pack or a frame from front to back. A read past the
// end sets bad and yields zero values, so a caller checks once per entry.
type cursor struct {
	rest []byte
	bad  bool
}

// byte reads one byte.
func (c *cursor) byte() byte {
	if len(c.rest) == 0 {
		c.bad = true
		return 0
	}
	v := c.rest[0]
	c.rest = c.rest[1:]
	return v
}

// varint reads a zigzag variable-length integer.
func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// uvarint reads a variable-length unsigned integer.
func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// uint64 reads eight bytes, big endian.
func (c *cursor) uint64() uint64 {
	if len(c.rest) < 8 {
		c.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(c.rest)
	c.rest = c.rest[8:]
	return v
}

// bytes reads a length and that many bytes. The result aliases the input.
func (c *cursor) bytes() []byte {
	n := c.uvarint()
	if n > uint64(len(c.rest)) {
		c.fail()
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

// str reads like bytes. The string aliases the input: it is valid as long as the
// input is neither changed nor reused.
func (c *cursor) str() string {
	b := c.bytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// fail marks the input as bad and skips the rest of it.
func (c *cursor) fail() { c.bad, c.rest = true, nil }

// appendBytes appends b with its length before it, as cursor.bytes reads it.
func appendBytes[T ~string | ~[]byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
