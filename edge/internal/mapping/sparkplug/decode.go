// Package sparkplug decodes payloads of Eclipse Sparkplug B 3.0 and keeps the metrics that
// edge nodes and their devices have announced, so that data with aliases has names. It
// knows neither readings nor MQTT. Nothing here blocks.
//
// The payload is protocol buffers (specification, section 6.4). Data sets, templates,
// arrays and files are skipped: they are no values of a sensor.
package sparkplug

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// MaxMetrics is the most metrics of a payload.
const MaxMetrics = 5000

// DataType is the type of a metric (section 6.4.16). The types that are not listed have no
// scalar value.
type DataType uint32

// Data types with a scalar value.
const (
	Int8 DataType = iota + 1
	Int16
	Int32
	Int64
	UInt8
	UInt16
	UInt32
	UInt64
	Float
	Double
	Boolean
	String
	DateTime
	Text
	UUID
)

// Form is the form of a metric's value.
type Form uint8

// Forms.
const (
	None   Form = iota // null, or not scalar
	Number             // Num
	Bool               // On
	Words              // Str
)

// Payload is a decoded payload. Its strings alias the bytes it was decoded from.
type Payload struct {
	Timestamp uint64 // ms since 1970; 0 when absent
	Seq       uint64
	HasSeq    bool
	Metrics   []Metric
}

// Metric is one metric. Of data, Decode fills in what the payload has and Nodes.Apply the
// rest.
type Metric struct {
	Name      string
	Alias     uint64
	HasAlias  bool
	Timestamp uint64 // ms since 1970; 0 when absent
	Type      DataType
	Historic  bool
	Unit      string // property engUnit
	Bad       bool   // property Quality says that the value is not good

	Form Form
	Num  float64
	On   bool
	Str  string

	field int    // of the value
	raw   uint64 // its bits
}

// Present is Past of a metric that is not historic.
const Present uint64 = math.MaxUint64

// Past returns the time of a historic metric in ms since 1970, Present for any other.
func (m *Metric) Past() uint64 {
	if m.Historic && m.Timestamp != 0 {
		return m.Timestamp
	}
	return Present
}

// ErrPayload is wrapped by every error of Decode.
var ErrPayload = errors.New("not a Sparkplug B payload")

func broken(what string) error { return fmt.Errorf("%w: %s", ErrPayload, what) }

// Decode decodes data into p, whose memory it reuses.
func Decode(data []byte, p *Payload) error {
	*p = Payload{Metrics: p.Metrics[:0]}
	return fields(data, func(f field) error {
		switch f.num {
		case 1:
			p.Timestamp = f.bits
		case 2:
			if f.bytes == nil {
				return broken("a metric is not a message")
			}
			if len(p.Metrics) == MaxMetrics {
				return broken(fmt.Sprintf("more than %d metrics", MaxMetrics))
			}
			p.Metrics = append(p.Metrics, Metric{})
			return p.Metrics[len(p.Metrics)-1].decode(f.bytes)
		case 3:
			p.Seq, p.HasSeq = f.bits, true
		}
		return nil
	})
}

// field is one field of a message: bits of a number, or bytes.
type field struct {
	num   int
	bits  uint64
	bytes []byte // not nil for a length-delimited field
}

// fields calls f for every field of a message.
func fields(b []byte, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return broken("a field's tag is cut short")
		}
		b = b[n:]
		x := field{num: int(num)}
		switch typ {
		case protowire.VarintType:
			x.bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			x.bits = uint64(v)
		case protowire.Fixed64Type:
			x.bits, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(b)
			if x.bytes == nil {
				x.bytes = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return broken(fmt.Sprintf("field %d is cut short", num))
		}
		b = b[n:]
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

func (m *Metric) decode(b []byte) error {
	null := false
	err := fields(b, func(f field) error {
		switch f.num {
		case 1:
			m.Name = str(f.bytes)
		case 2:
			m.Alias, m.HasAlias = f.bits, true
		case 3:
			m.Timestamp = f.bits
		case 4:
			m.Type = DataType(f.bits)
		case 5:
			m.Historic = f.bits != 0
		case 7:
			null = f.bits != 0
		case 9:
			return m.properties(f.bytes)
		case 10, 11, 12, 13, 14:
			m.field, m.raw = f.num, f.bits
		case 15:
			m.field, m.Str = f.num, str(f.bytes)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !utf8.ValidString(m.Name) || !utf8.ValidString(m.Str) || !utf8.ValidString(m.Unit) {
		return broken("a text is not UTF-8")
	}
	if null {
		m.field = 0
	}
	m.value()
	return nil
}

// value sets the value by the type, or by the field if the type is not known yet.
func (m *Metric) value() {
	m.Form, m.Num, m.On = None, 0, false
	switch m.field {
	case 10:
		m.integer(m.raw & math.MaxUint32)
	case 11:
		m.integer(m.raw)
	case 12:
		m.number(single(math.Float32frombits(uint32(m.raw))))
	case 13:
		m.number(math.Float64frombits(m.raw))
	case 14:
		m.Form, m.On = Bool, m.raw != 0
	case 15:
		m.Form = Words
	}
}

func (m *Metric) number(v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		m.Form, m.Num = Number, v
	}
}

// integer sets a number from the bits of int_value or long_value, in which negative numbers
// are two's complements of 32 or 64 bits.
func (m *Metric) integer(bits uint64) {
	m.Form = Number
	switch m.Type {
	case Int8, Int16, Int32:
		m.Num = float64(int32(uint32(bits)))
	case Int64:
		m.Num = float64(int64(bits))
	case Boolean:
		m.Form, m.On = Bool, bits != 0
	default:
		m.Num = float64(bits)
	}
}

// single returns v as the number that its shortest decimal text stands for: 21.7 and not
// 21.700000762939453.
func single(v float32) float64 {
	var b [32]byte
	f, err := strconv.ParseFloat(str(strconv.AppendFloat(b[:0], float64(v), 'g', -1, 32)), 64)
	if err != nil {
		return float64(v)
	}
	return f
}

// good is the value of property Quality for a good value (section 6.4.14).
const good = 192

// properties reads engUnit and Quality from a property set: keys and values in the same
// order.
func (m *Metric) properties(b []byte) error {
	unit, quality, key, at := -1, -1, 0, 0
	err := fields(b, func(f field) error {
		if f.num == 1 {
			switch str(f.bytes) {
			case "engUnit":
				unit = key
			case "Quality":
				quality = key
			}
			key++
		}
		return nil
	})
	if err != nil || unit < 0 && quality < 0 {
		return err
	}
	return fields(b, func(f field) error {
		if f.num != 2 {
			return nil
		}
		at++
		return fields(f.bytes, func(f field) error {
			switch {
			case f.num == 8 && at-1 == unit:
				m.Unit = str(f.bytes)
			case (f.num == 3 || f.num == 4) && at-1 == quality:
				m.Bad = f.bits != good
			}
			return nil
		})
	})
}

func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
