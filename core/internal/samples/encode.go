package samples

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/klauspost/compress/zstd"

	"industrial-iot-monitor/internal/telemetry"
)

// An encoded block is, under zstd with its checksum: the number of readings; the first time and the differences of
// the differences of the others; and for each column its length in bytes and its values. All
// integers are varints, signed ones zigzag. The fields are not in it: the caller keeps them once
// for all blocks that have the same.

// Encodings of a column's values.
const (
	decimal    = iota // integers: differences of values times a power of ten
	binary64          // the bits of each value XOR those of the one before, byte by byte of all values
	dictionary        // of texts: the distinct ones, then a number for each value
)

// maxDecimals is the largest number of decimals that values are written with as integers.
const maxDecimals = 9

var powers = func() (p [maxDecimals + 1]float64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// Encoder encodes blocks. It is for one goroutine.
type Encoder struct {
	z    *zstd.Encoder
	raw  []byte
	ints []int64
	col  []byte
}

// window is the memory of the compression. Blocks are mostly smaller.
const window = 128 << 10

// NewEncoder returns an encoder.
func NewEncoder() (*Encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("making a zstd encoder: %w", err)
	}
	return &Encoder{z: z}, nil
}

// Append appends the encoding of b, which must be sorted and not empty, to dst.
func (e *Encoder) Append(dst []byte, b *Block) []byte {
	e.raw = e.raw[:0]
	e.raw = binary.AppendUvarint(e.raw, uint64(len(b.Times)))
	e.raw = appendTimes(e.raw, b.Times)
	for i := range b.Columns {
		e.col = e.column(e.col[:0], &b.Columns[i])
		e.raw = binary.AppendUvarint(e.raw, uint64(len(e.col)))
		e.raw = append(e.raw, e.col...)
	}
	return e.z.EncodeAll(e.raw, dst)
}

func appendTimes(dst []byte, times []int64) []byte {
	var last, step int64
	for _, t := range times {
		d := t - last
		dst = binary.AppendVarint(dst, d-step)
		last, step = t, d
	}
	return dst
}

// column appends which readings have a value, and the values.
func (e *Encoder) column(dst []byte, c *Column) []byte {
	if c.Kind == telemetry.Text {
		dst = appendRuns(dst, len(c.Texts), func(i int) bool { return c.Texts[i] != "" })
		return appendTexts(dst, c.Texts)
	}
	dst = appendRuns(dst, len(c.Numbers), func(i int) bool { return !math.IsNaN(c.Numbers[i]) })
	if d, ok := e.integers(c.Numbers); ok {
		dst = append(dst, decimal, byte(d))
		var last int64
		for _, v := range e.ints {
			dst = binary.AppendVarint(dst, v-last)
			last = v
		}
		return dst
	}
	return appendBits(append(dst, binary64), c.Numbers)
}

// appendRuns appends how many values in a row are there, how many are not, and so on; 0 alone
// says that all are.
func appendRuns(dst []byte, n int, has func(int) bool) []byte {
	first := 0
	for first < n && has(first) {
		first++
	}
	if first == n {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	want := true
	for i := 0; i < n; want = !want {
		from := i
		for i < n && has(i) == want {
			i++
		}
		dst = binary.AppendUvarint(dst, uint64(i-from))
	}
	return dst
}

// integers sets e.ints to the values times a power of ten, with the smallest exponent with which
// all of them are got back exactly, if there is one.
func (e *Encoder) integers(values []float64) (decimals int, ok bool) {
	const exact = 1 << 53
	e.ints = e.ints[:0]
	for i := 0; i < len(values); i++ {
		v := values[i]
		if math.IsNaN(v) {
			continue
		}
		scaled := math.RoundToEven(v * powers[decimals])
		if scaled/powers[decimals] == v && math.Abs(scaled) < exact && (v != 0 || !math.Signbit(v)) {
			e.ints = append(e.ints, int64(scaled))
			continue
		}
		if decimals == maxDecimals || math.Abs(scaled) >= exact || v == 0 {
			return 0, false
		}
		decimals++
		e.ints, i = e.ints[:0], -1
	}
	return decimals, true
}

// appendBits appends the bytes of all values plane by plane: neighbours differ in the low ones.
func appendBits(dst []byte, values []float64) []byte {
	for shift := 56; shift >= 0; shift -= 8 {
		var last uint64
		for _, v := range values {
			if !math.IsNaN(v) {
				b := math.Float64bits(v)
				dst = append(dst, byte((b^last)>>shift))
				last = b
			}
		}
	}
	return dst
}

func appendTexts(dst []byte, values []string) []byte {
	index := make(map[string]uint64)
	var distinct []string
	for _, v := range values {
		if _, known := index[v]; !known && v != "" {
			index[v] = uint64(len(distinct))
			distinct = append(distinct, v)
		}
	}
	dst = binary.AppendUvarint(append(dst, dictionary), uint64(len(distinct)))
	for _, v := range distinct {
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	for _, v := range values {
		if v != "" {
			dst = binary.AppendUvarint(dst, index[v])
		}
	}
	return dst
}

// ErrDamaged is returned for bytes that are no block.
var ErrDamaged = errors.New("damaged block")

// maxRaw bounds the size of a block without compression.
const maxRaw = 64 << 20

// Decoder decodes blocks. It is for one goroutine.
type Decoder struct {
	z   *zstd.Decoder
	raw []byte
}

// NewDecoder returns a decoder.
func NewDecoder() (*Decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRaw))
	if err != nil {
		return nil, fmt.Errorf("making a zstd decoder: %w", err)
	}
	return &Decoder{z: z}, nil
}

// Decode sets b to the readings in data, which has the given fields. Columns of fields for which
// want returns false are left out; a nil want means all. It returns ErrDamaged for other bytes.
func (d *Decoder) Decode(data []byte, fields []Field, want func(Field) bool, b *Block) error {
	b.Times, b.Columns, b.ordered = b.Times[:0], b.Columns[:0], true
	raw, err := d.z.DecodeAll(data, d.raw[:0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	d.raw = raw
	r := reader{b: raw}
	n := r.uvarint()
	if n == 0 || n > uint64(len(raw)) {
		return ErrDamaged
	}
	b.Times = r.times(b.Times, int(n))
	for _, f := range fields {
		part := reader{b: r.take(r.uvarint())}
		if want != nil && !want(f) {
			continue
		}
		c := b.next()
		c.Field = f
		part.column(c, int(n))
		r.bad = r.bad || part.bad || len(part.b) > 0
	}
	if r.bad || len(r.b) > 0 {
		return ErrDamaged
	}
	return nil
}

// reader takes values off its bytes. After bad is set it returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most are short
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) byte() byte {
	if part := r.take(1); len(part) == 1 {
		return part[0]
	}
	return 0
}

func (r *reader) times(dst []int64, n int) []int64 {
	var last, step int64
	for range n {
		step += r.varint()
		last += step
		dst = append(dst, last)
	}
	return dst
}

// runs returns which of n readings have a value, nil if all have, and how many.
func (r *reader) runs(n int) (has []uint64, count int) {
	if r.byte() == 0 {
		return nil, n
	}
	has = make([]uint64, (n+63)/64)
	for i, there := 0, true; i < n; there = !there {
		length := r.uvarint()
		if r.bad || length > uint64(n-i) || length == 0 && i > 0 {
			r.bad = true
			return nil, 0
		}
		for range length {
			if there {
				has[i/64] |= 1 << (i % 64)
			}
			i++
		}
	}
	for _, w := range has {
		count += bits.OnesCount64(w)
	}
	return has, count
}

func (r *reader) column(c *Column, n int) {
	has, count := r.runs(n)
	if r.bad {
		return
	}
	there := func(i int) bool { return has == nil || has[i/64]&(1<<(i%64)) != 0 }
	switch kind := r.byte(); {
	case kind == decimal && c.Kind != telemetry.Text:
		r.decimals(c, n, there)
	case kind == binary64 && c.Kind != telemetry.Text:
		r.bits(c, n, count, there)
	case kind == dictionary && c.Kind == telemetry.Text:
		r.texts(c, n, there)
	default:
		r.bad = true
	}
}

func (r *reader) decimals(c *Column, n int, there func(int) bool) {
	d := r.byte()
	if d > maxDecimals {
		r.bad = true
		return
	}
	scale := powers[d]
	var last int64
	for i := range n {
		if !there(i) {
			c.Numbers = append(c.Numbers, math.NaN())
			continue
		}
		last += r.varint()
		c.Numbers = append(c.Numbers, float64(last)/scale)
	}
}

func (r *reader) bits(c *Column, n, count int, there func(int) bool) {
	planes := r.take(8 * uint64(count))
	if r.bad {
		return
	}
	var last uint64
	k := 0
	for i := range n {
		if !there(i) {
			c.Numbers = append(c.Numbers, math.NaN())
			continue
		}
		var v uint64
		for plane := range 8 {
			v = v<<8 | uint64(planes[plane*count+k])
		}
		k++
		last ^= v
		c.Numbers = append(c.Numbers, math.Float64frombits(last))
	}
}

func (r *reader) texts(c *Column, n int, there func(int) bool) {
	distinct := make([]string, 0, 4)
	for range r.uvarint() {
		if distinct = append(distinct, string(r.take(r.uvarint()))); r.bad {
			return
		}
	}
	for i := range n {
		if !there(i) {
			c.Texts = append(c.Texts, "")
			continue
		}
		k := r.uvarint()
		if k >= uint64(len(distinct)) {
			r.bad = true
			return
		}
		c.Texts = append(c.Texts, distinct[k])
	}
}
