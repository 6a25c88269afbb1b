package wire

// Layout locates the parts of the raw JSON that a stage may rewrite. It is filled by
// DecodeReading and used by AppendChanged. Its slice is reused.
type Layout struct {
	sensors []sensorLayout // as Reading.Sensors
}

// sensorLayout locates the values of a sensor's fields. That of an absent unit is the zero
// span.
type sensorLayout struct{ value, unit, status span }

// span is a range of bytes of the raw JSON. That of an absent status is empty and at the
// end of another member's value, behind which the status can be inserted.
type span struct{ start, end int32 }

func (s span) insert() bool { return s.start == s.end }

// SensorChange is what to rewrite of one sensor.
type SensorChange struct {
	Sensor int    // index in Reading.Sensors
	Status string // empty: left alone
	// Unit, unless empty, replaces the unit that the device sent, and Value the number.
	Unit  string
	Value float64
}

// AppendChanged appends raw to dst with changes to its sensors, whose indexes must rise. A
// status that the device did not send is inserted. Every other byte of raw is kept. The
// result may thus be some bytes longer than MaxReadingBytes. The layout must be that of
// raw.
func AppendChanged(dst, raw []byte, l *Layout, changes []SensorChange) []byte {
	done := int32(0)
	for i := range changes {
		c := &changes[i]
		edits, n := l.sensors[c.Sensor].edits(c)
		for _, e := range edits[:n] {
			dst = append(dst, raw[done:e.start]...)
			switch {
			case e.field == fieldValue:
				dst = appendFloat(dst, c.Value)
			case e.field == fieldUnit:
				dst = appendString(dst, c.Unit)
			case e.insert():
				dst = appendString(append(dst, `,"status":`...), c.Status)
			default:
				dst = appendString(dst, c.Status)
			}
			done = e.end
		}
	}
	return append(dst, raw[done:]...)
}

// edit is one field to rewrite.
type edit struct {
	span
	field field
}

type field uint8

const (
	fieldValue field = iota
	fieldUnit
	fieldStatus
)

// edits returns the n edits that make the change, in the order of the text.
func (at *sensorLayout) edits(c *SensorChange) (list [3]edit, n int) {
	add := func(s span, f field) {
		i := n
		for ; i > 0 && list[i-1].start > s.start; i-- {
			list[i] = list[i-1]
		}
		list[i] = edit{s, f}
		n++
	}
	if c.Unit != "" && !at.unit.insert() {
		add(at.value, fieldValue)
		add(at.unit, fieldUnit)
	}
	if c.Status != "" {
		add(at.status, fieldStatus)
	}
	return list, n
}
