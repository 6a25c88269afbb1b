package wire

import (
	"math"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Limits of a reading as JSON text.
const (
	MaxReadingBytes = 64 << 10
	MaxDepth        = 32 // objects and arrays inside each other; the reading itself is the first
)

// DecodeReading parses raw into r and, when l is not nil, fills l. An error is always
// a *telemetry.Refusal; r and l are then undefined. Strings in r do not alias raw.
// They are parts of one copy of it, so a caller that keeps one for long clones it.
//
// The slices of r and l are reused, so a kept reading must be a Clone.
//
// Any JSON text is accepted, with keys in any order. Unknown fields are skipped. Of the
// fields of the contract, device_id, timestamp, location.building, sensors and the value
// of each sensor are required. The others may be absent or null, and so may a whole
// sensor: a null sensor is an absent one. An optional field of a wrong type, and a
// malformed sensor beyond those of the contract, are ignored and listed in r.Flaws.
// Keys are matched exactly, not regardless of case as
// encoding/json does. No object may hold a key twice, however it is escaped, unknown
// objects included: readers of JSON disagree on which value counts (RFC 8259, section
// 4). A whole number may be written with a fraction or an exponent (1640995200000.0,
// 1.6409952e12). A number of a known field must be finite as a float64 (1e999 is not);
// elsewhere only its form matters.
//
// The refusal is about the first of these that fails: emptiness, size, UTF-8, depth
// and JSON syntax, a field's type, bounds or repetition (the first in the text), an
// unknown field's repetition, a required field. ReasonInvalidJSON means that the text
// is not JSON, and nothing else does.
func DecodeReading(raw []byte, r *telemetry.Reading, l *Layout) error {
	*r = telemetry.Reading{Sensors: r.Sensors[:0], Flaws: r.Flaws[:0]}
	if refusal := checkText(raw); refusal != nil {
		return refusal
	}
	d := decoder{scanner: scanner{raw: raw, s: string(raw)}, r: r}
	if l != nil {
		d.located, d.layout.sensors = true, l.sensors[:0]
	}
	d.space()
	d.reading()
	d.end()
	if d.err != nil {
		return d.err
	}
	d.checkUnknown()
	d.require()
	if l != nil {
		*l = d.layout
	}
	if d.refusal != nil {
		return d.refusal
	}
	return nil
}

// checkText returns the refusal of a text that is refused without parsing.
func checkText(raw []byte) *telemetry.Refusal {
	switch {
	case len(raw) > MaxReadingBytes:
		return refuse(telemetry.ReasonTooLarge, "", "%d bytes; want at most %d", len(raw), MaxReadingBytes)
	case isBlank(raw):
		return refuse(telemetry.ReasonEmpty, "", "the message is empty; want a reading as JSON")
	case !utf8.Valid(raw):
		at := invalidUTF8At(raw)
		return refuse(telemetry.ReasonInvalidUTF8, "", "byte %d: 0x%02x is not UTF-8", at, raw[at])
	}
	return nil
}

// decoder reads one reading. Besides the scanner's error, which is about the text, it
// keeps the first refusal of a field. The former takes precedence.
type decoder struct {
	scanner
	r       *telemetry.Reading
	layout  Layout
	located bool   // the layout is wanted
	seen    keySet // fields of the reading itself
	unknown members
	refusal *telemetry.Refusal
}

const (
	keyDevice keySet = 1 << iota
	keyTimestamp
	keyLocation
	keySensors
	keyInfo
	keyPresence
)

func (d *decoder) reading() {
	if !d.object("", true) {
		return
	}
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "device_id":
			d.once(&d.seen, keyDevice, "device_id", "")
			d.deviceID()
		case "timestamp":
			d.once(&d.seen, keyTimestamp, "timestamp", "")
			d.timestamp()
		case "location":
			d.once(&d.seen, keyLocation, "location", "")
			d.location()
		case "sensors":
			d.once(&d.seen, keySensors, "sensors", "")
			d.sensors()
		case "device_info":
			d.once(&d.seen, keyInfo, "device_info", "")
			d.deviceInfo()
		case "presence":
			d.once(&d.seen, keyPresence, "presence", "")
			d.presence()
		default:
			d.skipMember("", key)
		}
	}
}

// require refuses a reading that lacks a required field, if nothing else is wrong.
func (d *decoder) require() {
	switch {
	case d.refusal != nil:
	case d.seen&keyDevice == 0:
		d.refuse("device_id", "", "missing; want a string")
	case d.seen&keyTimestamp == 0:
		d.refuse("timestamp", "", "missing; want milliseconds since 1970")
	case d.seen&keyLocation == 0:
		d.refuse("location", "", "missing; want an object")
	case d.r.Location.Building == "":
		d.refuse("location", "building", "missing; want a string that is not empty")
	case d.seen&keySensors == 0:
		d.refuse("sensors", "", "missing; want an object")
	}
}

func (d *decoder) deviceID() {
	id, ok := d.text("device_id", "", true)
	if !ok {
		return
	}
	if !telemetry.ValidDeviceID(id) {
		d.refuse("device_id", "", "want 1 to 64 of A-Z a-z 0-9 _ -, got %s", quote(id))
		return
	}
	d.r.DeviceID = id
}

func (d *decoder) timestamp() {
	var n number
	if !d.num("timestamp", "", true, &n) {
		return
	}
	ms, whole := n.integer()
	switch {
	case !whole:
		d.keep(refuse(telemetry.ReasonInvalidTimestamp, "timestamp",
			"want whole milliseconds since 1970, got %s", clip(n.lit)))
	case !telemetry.ValidDeviceTimestamp(ms):
		d.keep(telemetry.RefuseTimestamp(ms))
	default:
		d.r.Timestamp = ms
	}
}

// presence reads the optional field by which a device, or a will on its behalf, says that
// it is offline from now on.
func (d *decoder) presence() {
	switch s, ok := d.text("presence", "", false); {
	case !ok || s == string(telemetry.PresenceOnline):
	case s == string(telemetry.PresenceOffline):
		d.r.Offline = true
	default:
		d.flaw("presence", "")
	}
}

func (d *decoder) location() {
	loc := &d.r.Location
	if !d.object("location", true) {
		return
	}
	var seen keySet
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "building":
			d.once(&seen, 1, "location", "building")
			loc.Building = d.building()
		case "floor":
			d.once(&seen, 2, "location", "floor")
			loc.Floor = d.floor()
		case "room":
			d.once(&seen, 4, "location", "room")
			loc.Room, _ = d.text("location", "room", false)
		default:
			d.skipMember("location", key)
		}
	}
}

func (d *decoder) building() string {
	name, ok := d.text("location", "building", true)
	switch {
	case !ok:
	case name == "":
		d.refuse("location", "building", "want a string that is not empty")
	case len(name) > telemetry.MaxBuildingBytes:
		d.refuse("location", "building", "%d bytes; want at most %d", len(name), telemetry.MaxBuildingBytes)
	}
	return name
}

func (d *decoder) floor() int {
	var n number
	if !d.num("location", "floor", false, &n) {
		return 0
	}
	v, whole := n.integer()
	if !whole || v < math.MinInt32 || v > math.MaxInt32 {
		d.flaw("location", "floor")
		return 0
	}
	return int(v)
}

func (d *decoder) deviceInfo() {
	info := &d.r.Info
	if !d.object("device_info", false) {
		return
	}
	var seen keySet
	for more := d.openObject(); more; more = d.nextMember() {
		switch key := d.key(); key {
		case "model":
			d.once(&seen, 1, "device_info", "model")
			info.Model, _ = d.text("device_info", "model", false)
		case "firmware":
			d.once(&seen, 2, "device_info", "firmware")
			info.Firmware, _ = d.text("device_info", "firmware", false)
		case "battery":
			d.once(&seen, 4, "device_info", "battery")
			info.Battery.Value, info.Battery.Present = d.float("device_info", "battery", false)
		case "signal_strength":
			d.once(&seen, 8, "device_info", "signal_strength")
			info.SignalStrength.Value, info.SignalStrength.Present = d.float("device_info", "signal_strength", false)
		case "interval_s":
			d.once(&seen, 16, "device_info", "interval_s")
			info.IntervalS = d.interval()
		default:
			d.skipMember("device_info", key)
		}
	}
}

// interval reads how often the device sends, 0 for none.
func (d *decoder) interval() float64 {
	v, ok := d.float("device_info", "interval_s", false)
	if ok && (v <= 0 || v > telemetry.MaxIntervalS) {
		d.flaw("device_info", "interval_s")
		return 0
	}
	return v
}
