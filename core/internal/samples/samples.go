// Package samples holds the readings of one device column by column, as history keeps them, and
// their encoding: about half a byte a value for ordinary sensors (docs/adr/0025). It is not for
// a live reading, which telemetry has row by row. It does no I/O and nothing in it blocks.
package samples

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// Field is one sensor of a device. The same name with another unit or type is another field:
// their values cannot share a course.
type Field struct {
	Name string
	Unit string
	Kind telemetry.ValueKind
}

// Column has the values of one field, one for each time of its block.
type Column struct {
	Field
	Numbers []float64 // of a Number, and 1 or 0 of a Bool; NaN: the reading has none
	Texts   []string  // of a Text; empty: the reading has none
}

// Block is the readings of one device over some time. The zero value is an empty block.
type Block struct {
	Times   []int64 // ms since 1970; ascending, each once, after Sort
	Columns []Column
	ordered bool // Times are
}

// Len returns the number of readings.
func (b *Block) Len() int { return len(b.Times) }

// Reset empties b and keeps its memory.
func (b *Block) Reset() {
	b.Times = b.Times[:0]
	for i := range b.Columns {
		c := &b.Columns[i]
		c.Numbers, c.Texts = c.Numbers[:0], c.Texts[:0]
	}
}

// Append adds a reading. It keeps no string of sensors.
func (b *Block) Append(at int64, sensors telemetry.Sensors) {
	n := len(b.Times)
	b.ordered = n == 0 || b.ordered && at > b.Times[n-1]
	b.Times = append(b.Times, at)
	for i := range sensors {
		x := &sensors[i]
		c := b.column(Field{x.Name, x.Unit, x.Kind}, i)
		c.pad(n)
		if c.Kind == telemetry.Text {
			c.Texts = append(c.Texts, c.kept(x.Text))
		} else {
			c.Numbers = append(c.Numbers, x.Number)
		}
	}
	for i := range b.Columns {
		b.Columns[i].pad(n + 1)
	}
}

// kept returns a copy of text; a text mostly follows itself.
func (c *Column) kept(text string) string {
	if n := len(c.Texts); n > 0 && c.Texts[n-1] == text {
		return c.Texts[n-1]
	}
	return strings.Clone(text)
}

// column returns the column of a field, which is probably the one at hint.
func (b *Block) column(f Field, hint int) *Column {
	if hint < len(b.Columns) && b.Columns[hint].Field == f {
		return &b.Columns[hint]
	}
	for i := range b.Columns {
		if b.Columns[i].Field == f {
			return &b.Columns[i]
		}
	}
	f.Name, f.Unit = strings.Clone(f.Name), strings.Clone(f.Unit)
	b.Columns = append(b.Columns, Column{Field: f})
	return &b.Columns[len(b.Columns)-1]
}

// next appends an empty column, with the memory of one that was there before.
func (b *Block) next() *Column {
	if n := len(b.Columns); n < cap(b.Columns) {
		b.Columns = b.Columns[:n+1]
	} else {
		b.Columns = append(b.Columns, Column{})
	}
	c := &b.Columns[len(b.Columns)-1]
	c.Numbers, c.Texts = c.Numbers[:0], c.Texts[:0]
	return c
}

// pad appends absent values until there are n.
func (c *Column) pad(n int) {
	if c.Kind == telemetry.Text {
		for len(c.Texts) < n {
			c.Texts = append(c.Texts, "")
		}
		return
	}
	for len(c.Numbers) < n {
		c.Numbers = append(c.Numbers, math.NaN())
	}
}

// Merge appends the readings of o, whose values it shares.
func (b *Block) Merge(o *Block) {
	n := len(b.Times)
	b.ordered = b.ordered && o.ordered && (n == 0 || len(o.Times) == 0 || o.Times[0] > b.Times[n-1]) || n == 0 && o.ordered
	b.Times = append(b.Times, o.Times...)
	for i := range o.Columns {
		from := &o.Columns[i]
		c := b.column(from.Field, i)
		c.pad(n)
		c.Numbers, c.Texts = append(c.Numbers, from.Numbers...), append(c.Texts, from.Texts...)
	}
	for i := range b.Columns {
		b.Columns[i].pad(len(b.Times))
	}
}

// Sort orders the readings by time. Of several with one time the first one stays: a device sends
// a time once, and what is equal is a repetition. It returns how many went.
func (b *Block) Sort() int {
	if b.ordered || len(b.Times) < 2 {
		b.ordered = true
		return 0
	}
	order := make([]int, len(b.Times))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int { return cmp.Compare(b.Times[i], b.Times[k]) })
	order = slices.CompactFunc(order, func(i, k int) bool { return b.Times[i] == b.Times[k] })
	gone := len(b.Times) - len(order)
	b.Times = pick(b.Times, order)
	for i := range b.Columns {
		c := &b.Columns[i]
		if c.Kind == telemetry.Text {
			c.Texts = pick(c.Texts, order)
		} else {
			c.Numbers = pick(c.Numbers, order)
		}
	}
	b.ordered = true
	return gone
}

// Fields returns the fields of the columns, in their order.
func (b *Block) Fields() []Field {
	out := make([]Field, len(b.Columns))
	for i := range b.Columns {
		out[i] = b.Columns[i].Field
	}
	return out
}

// Pick returns b with those columns only that want wants; a nil want means all. It shares the values
// of b.
func (b *Block) Pick(want func(Field) bool) Block {
	if want == nil {
		return *b
	}
	part := Block{Times: b.Times, ordered: b.ordered}
	for i := range b.Columns {
		if want(b.Columns[i].Field) {
			part.Columns = append(part.Columns, b.Columns[i])
		}
	}
	return part
}

// Slice returns the readings from index i up to but without k. It shares the values of b.
func (b *Block) Slice(i, k int) Block {
	part := Block{Times: b.Times[i:k:k], Columns: make([]Column, len(b.Columns)), ordered: b.ordered}
	for j := range b.Columns {
		c := &b.Columns[j]
		part.Columns[j].Field = c.Field
		if c.Kind == telemetry.Text {
			part.Columns[j].Texts = c.Texts[i:k:k]
		} else {
			part.Columns[j].Numbers = c.Numbers[i:k:k]
		}
	}
	return part
}

// Between returns the readings of a sorted block from one time to another, both inclusive. It
// shares the values of b.
func (b *Block) Between(from, to int64) Block {
	i, _ := slices.BinarySearch(b.Times, from)
	k, _ := slices.BinarySearch(b.Times, to+1)
	return b.Slice(i, max(i, k))
}

func pick[T any](from []T, order []int) []T {
	out := make([]T, len(order))
	for i, k := range order {
		out[i] = from[k]
	}
	return out
}

// Newest returns one column of each name, of numbers and switches: of several units or types the one of
// the newest value counts.
func Newest(columns []Column) (out []*Column) {
	last := func(c *Column) int {
		i := len(c.Numbers) - 1
		for i >= 0 && math.IsNaN(c.Numbers[i]) {
			i--
		}
		return i
	}
	for i := range columns {
		c := &columns[i]
		k := slices.IndexFunc(out, func(o *Column) bool { return o.Name == c.Name })
		switch {
		case k < 0:
			out = append(out, c)
		case last(c) > last(out[k]):
			out[k] = c
		}
	}
	return out
}

// UsualInterval returns the usual time between two readings at ascending times: the median of the newest
// 256, 0 while there are fewer than two.
func UsualInterval(times []int64) int64 {
	const enough = 256
	times = times[max(0, len(times)-enough):]
	if len(times) < 2 {
		return 0
	}
	gaps := make([]int64, len(times)-1)
	for i := range gaps {
		gaps[i] = times[i+1] - times[i]
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}
