package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// The values of an entry are its reading decoded, so that a portal parses no JSON.
//
//	values = floor:varint building:str room:str model:str firmware:str has:u8 { number:f64 } flaws:u8 { path:str } sensors:u8 { sensor }
//	sensor = ref:uvarint [kind:u8 name:str unit:str] ( number:f64 | bool:u8 | text:str )
//
// Bits 0 to 2 of has say which of battery, signal strength and interval follow. A frame
// collects the sensors of its readings in a table: ref is an index in it, and the next
// index adds the sensor that follows. Bit 2 of kind is StatusUnitUnknown, bits 0 and 1 are
// the telemetry.ValueKind.
const (
	hasBattery = 1 << iota
	hasSignal
	hasInterval

	kindMask    = 3
	unitUnknown = 4
)

// frameSensor is a sensor in the table of a frame.
type frameSensor struct {
	name, unit string
	kind       byte
}

func (x *frameSensor) is(s *telemetry.Sensor, kind byte) bool {
	return x.kind == kind && x.name == s.Name && x.unit == s.Unit
}

// builderTable is the table of a frame that is being built.
type builderTable struct {
	all   []frameSensor
	after []int // by sensor, and first: which one came next in the last reading
	first int
}

// searched bounds the sensors that are compared with a new one: beyond it a sensor may be in
// the table twice.
const searched = 128

func (t *builderTable) reset() {
	clear(t.all) // their strings are parts of readings
	t.all, t.after, t.first = t.all[:0], t.after[:0], 0
}

func (t *builderTable) appendValues(dst []byte, r *telemetry.Reading) []byte {
	dst = binary.AppendVarint(dst, int64(r.Location.Floor))
	dst = appendBytes(dst, r.Location.Building)
	dst = appendBytes(dst, r.Location.Room)
	dst = appendBytes(dst, r.Info.Model)
	dst = appendBytes(dst, r.Info.Firmware)
	dst = appendNumbers(dst, &r.Info)
	dst = append(dst, byte(len(r.Flaws)))
	for _, path := range r.Flaws {
		dst = appendBytes(dst, path)
	}
	dst = append(dst, byte(len(r.Sensors)))
	next := &t.first
	for i := range r.Sensors {
		dst = t.appendSensor(dst, &r.Sensors[i], next)
		next = &t.after[*next]
	}
	return dst
}

func appendNumbers(dst []byte, info *telemetry.DeviceInfo) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if info.Battery.Present {
		dst[at] |= hasBattery
		dst = appendFloat64(dst, info.Battery.Value)
	}
	if info.SignalStrength.Present {
		dst[at] |= hasSignal
		dst = appendFloat64(dst, info.SignalStrength.Value)
	}
	if info.IntervalS != 0 {
		dst[at] |= hasInterval
		dst = appendFloat64(dst, info.IntervalS)
	}
	return dst
}

// appendSensor appends a sensor. next is where it probably is in the table, and is set to where
// it is.
func (t *builderTable) appendSensor(dst []byte, s *telemetry.Sensor, next *int) []byte {
	kind := byte(s.Kind)
	if s.Status == telemetry.StatusUnitUnknown {
		kind |= unitUnknown
	}
	ref := t.find(s, kind, *next)
	*next = ref
	dst = binary.AppendUvarint(dst, uint64(ref))
	if ref == len(t.all) {
		t.all, t.after = append(t.all, frameSensor{s.Name, s.Unit, kind}), append(t.after, ref+1)
		dst = append(dst, kind)
		dst = appendBytes(dst, s.Name)
		dst = appendBytes(dst, s.Unit)
	}
	switch s.Kind {
	case telemetry.Bool:
		return append(dst, byte(s.Number))
	case telemetry.Text:
		return appendBytes(dst, s.Text)
	default:
		return appendFloat64(dst, s.Number)
	}
}

// find returns the index of a sensor, that behind the last one if it is new.
func (t *builderTable) find(s *telemetry.Sensor, kind byte, hint int) int {
	if hint < len(t.all) && t.all[hint].is(s, kind) {
		return hint
	}
	for i := range t.all[:min(len(t.all), searched)] {
		if t.all[i].is(s, kind) {
			return i
		}
	}
	return len(t.all)
}

func appendFloat64(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
}

// values reads the values of an entry into r, and checks them: anyone who reaches the hub can
// publish a frame.
func (f *Frame) values(r *telemetry.Reading) {
	c := &f.c
	floor := c.varint()
	r.Location = telemetry.Location{Floor: int(floor), Building: c.text(telemetry.MaxBuildingBytes), Room: c.text(MaxReadingBytes)}
	r.Info.Model, r.Info.Firmware = c.text(MaxReadingBytes), c.text(MaxReadingBytes)
	has := c.byte()
	if has&hasBattery != 0 {
		r.Info.Battery = telemetry.Some(c.float64())
	}
	if has&hasSignal != 0 {
		r.Info.SignalStrength = telemetry.Some(c.float64())
	}
	if has&hasInterval != 0 {
		r.Info.IntervalS = c.float64()
	}
	flaws := c.byte()
	for range flaws {
		r.Flaws = append(r.Flaws, c.text(MaxReadingBytes))
	}
	n := c.byte()
	if floor < math.MinInt32 || floor > math.MaxInt32 || flaws > telemetry.MaxFlaws || n > telemetry.MaxSensors {
		c.fail()
		return
	}
	for range n {
		r.Sensors = append(r.Sensors, telemetry.Sensor{})
		f.sensor(&r.Sensors[len(r.Sensors)-1])
	}
}

func (f *Frame) sensor(s *telemetry.Sensor) {
	x := f.sensorAt(f.c.uvarint())
	if x == nil {
		f.c.fail()
		return
	}
	s.Name, s.Unit, s.Kind = x.name, x.unit, telemetry.ValueKind(x.kind&kindMask)
	if x.kind&unitUnknown != 0 {
		s.Status = telemetry.StatusUnitUnknown
	}
	switch s.Kind {
	case telemetry.Number:
		s.Number = f.c.float64()
	case telemetry.Bool:
		s.Number = float64(f.c.byte() & 1)
	default:
		s.Text = f.c.text(telemetry.MaxSensorTextBytes)
	}
}

// sensorAt returns the sensor at an index of the table, which is read first if it is the next
// one; nil if there is none.
func (f *Frame) sensorAt(ref uint64) *frameSensor {
	switch {
	case ref < uint64(len(f.table)):
		return &f.table[ref]
	case ref > uint64(len(f.table)):
		return nil
	}
	x := frameSensor{kind: f.c.byte() & (kindMask | unitUnknown), name: f.c.str(), unit: f.c.text(MaxReadingBytes)}
	if x.kind&kindMask > byte(telemetry.Text) || !telemetry.ValidSensorName(x.name) {
		return nil
	}
	f.table = append(f.table, x)
	return &f.table[ref]
}

// text reads a string of at most limit bytes of UTF-8.
func (c *cursor) text(limit int) string {
	s := c.str()
	if len(s) > limit || !utf8.ValidString(s) {
		c.fail()
		return ""
	}
	return s
}

// float64 reads a number that is finite.
func (c *cursor) float64() float64 {
	v := math.Float64frombits(c.uint64())
	if math.IsNaN(v) || math.IsInf(v, 0) {
		c.fail()
		return 0
	}
	return v
}
