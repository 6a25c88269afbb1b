package mapping

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"industrial-iot-monitor/edge/internal/mapping/sparkplug"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Reading is one reading of a mapped message.
type Reading struct {
	Device  string
	Payload []byte // the reading as JSON of the contract
}

// Result is what became of a message. It holds memory for the next one: Release it.
type Result struct {
	Mapping  string // its id
	Readings []Reading
	// Refusal is why the message, or a part of it, gave no reading; the original bytes are
	// a dead letter then, even if there are readings. nil without Readings means that the
	// mapping ignores the message.
	Refusal *telemetry.Refusal
	// Timed is whether the message has the times of its readings: the same message again
	// is then a resend, else it may be another reading of the same value.
	Timed bool

	scratch
	mapper *Mapper
}

// named is a capture and its text.
type named struct{ name, text string }

// scratch is the working memory of one message.
type scratch struct {
	set      *Set
	mapping  *Mapping
	defaults *place
	received time.Time

	levels     []string
	names      []named
	root, item gjson.Result
	members    []member // of item
	listed     bool     // members are those of item

	reading telemetry.Reading
	checked telemetry.Reading
	text    []byte
	buf     []byte
	ends    []int // of each reading in buf
	items   int   // parts of the message that were read
	parts   int   // refusals
	full    bool  // there are more parts than are read
	ignored bool  // the message is none that gives readings
	payload sparkplug.Payload
}

// capture returns the text of a capture, "" when there is none.
func (s *scratch) capture(name string) string {
	for _, x := range s.names {
		if x.name == name {
			return x.text
		}
	}
	return ""
}

// reset prepares r for a message.
func (r *Result) reset(set *Set, to *route, received time.Time) {
	r.Mapping, r.Readings, r.Refusal, r.Timed = to.mapping.ID, r.Readings[:0], nil, false
	r.set, r.mapping, r.defaults, r.received = set, to.mapping, to.defaults, received
	r.buf, r.ends, r.items, r.parts, r.full, r.ignored = r.buf[:0], r.ends[:0], 0, 0, false, false
	r.root = gjson.Result{}
	r.enter(gjson.Result{})
}

// refuse keeps the first refusal and counts the others.
func (r *Result) refuse(reason telemetry.Reason, field, format string, args ...any) {
	r.parts++
	if r.Refusal == nil {
		r.Refusal = &telemetry.Refusal{Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
	}
}

// enter makes item the part of the message that paths are in.
func (s *scratch) enter(item gjson.Result) { s.item, s.listed = item, false }

// begin starts a reading: device, location, time and description.
func (r *Result) begin(device *template, at int64) bool {
	m, x := r.mapping, &r.reading
	*x = telemetry.Reading{Sensors: x.Sensors[:0], Timestamp: at}
	name, complete := device.appendTo(r.text[:0], &r.scratch)
	id := appendDeviceID(name, name)[len(name):]
	r.text = name
	if !complete || len(id) == 0 {
		r.refuse(telemetry.ReasonInvalidDevice, "device", "mapping %s: a part of the device id is missing in the message or topic", m.ID)
		return false
	}
	x.DeviceID = string(id)
	x.Location.Building = r.placed(func(p *place) *template { return &p.building })
	if x.Location.Building == "" {
		x.Location.Building = r.set.building
	}
	x.Location.Room = r.placed(func(p *place) *template { return &p.room })
	if floor := r.placed(func(p *place) *template { return &p.floor }); floor != "" {
		v, ok := parseNumber(floor)
		if ok && v == math.Trunc(v) && math.Abs(v) <= math.MaxInt32 {
			x.Location.Floor = int(v)
		} else {
			r.refuse(telemetry.ReasonInvalidMapping, "location.floor", "mapping %s: want a whole number, got %.40q; the rest is stored", m.ID, floor)
		}
	}
	x.Info.Model, x.Info.Firmware = m.info.model.text(&r.scratch), m.info.firmware.text(&r.scratch)
	x.Info.Battery = r.optional(m.info.battery, "device_info.battery")
	x.Info.SignalStrength = r.optional(m.info.signal, "device_info.signal_strength")
	return true
}

// placed returns a part of the location: the mapping's, else that of the topic.
func (r *Result) placed(of func(*place) *template) string {
	if s := of(&r.mapping.place).text(&r.scratch); s != "" || r.defaults == nil {
		return s
	}
	return of(r.defaults).text(&r.scratch)
}

// optional returns a number of device_info.
func (r *Result) optional(paths []path, field string) telemetry.Optional {
	v := first(paths, &r.scratch)
	var s telemetry.Sensor
	ok, problem := (&conversion{kind: kindNumber}).apply(v, &s)
	if problem != "" {
		r.refuse(telemetry.ReasonInvalidMapping, field, "mapping %s: %s; the rest is stored", r.mapping.ID, problem)
	}
	return telemetry.Optional{Value: s.Number, Present: ok}
}

// offline reports whether v says that the device is offline, and marks the reading. That it
// is online shows in its next reading.
func (r *Result) offline(v value) bool {
	o := r.mapping.online
	if o == nil || v.form == absent {
		return false
	}
	var s telemetry.Sensor
	ok, problem := o.apply(v, &s)
	switch {
	case problem != "" && len(r.mapping.specs) == 0:
		r.refuse(telemetry.ReasonInvalidMapping, "presence", "mapping %s: %s", r.mapping.ID, problem)
	case ok && s.Number == 0:
		r.reading.Offline = true
		return true
	case ok:
		r.ignored = true
	}
	return false
}

// add appends a sensor to the reading.
func (r *Result) add(s telemetry.Sensor) {
	switch sensors := &r.reading.Sensors; {
	case sensors.Find(s.Name) != nil:
		r.wrong(s.Name, "two values have this name after its characters were replaced")
	case len(*sensors) == telemetry.MaxSensors:
		r.wrong(s.Name, fmt.Sprintf("more than %d sensors", telemetry.MaxSensors))
	default:
		*sensors = append(*sensors, s)
	}
}

// wrong refuses one sensor.
func (r *Result) wrong(sensor, problem string) {
	r.refuse(telemetry.ReasonInvalidMapping, "sensors."+sensor, "mapping %s: %s; the rest is stored", r.mapping.ID, problem)
}

// next reports whether one more reading may follow.
func (r *Result) next() bool {
	if r.items < MaxReadings && len(r.buf) <= maxOutput {
		r.items++
		return true
	}
	if !r.full {
		r.full = true
		r.refuse(telemetry.ReasonTooLarge, "", "mapping %s: more than %d readings, or %d bytes of them; those before are stored", r.mapping.ID, MaxReadings, maxOutput)
	}
	return false
}

// finish encodes the reading, if it is one of the contract.
func (r *Result) finish() {
	start := len(r.buf)
	r.buf = wire.AppendReading(r.buf, &r.reading)
	if err := wire.DecodeReading(r.buf[start:], &r.checked, nil); err != nil {
		r.buf = r.buf[:start]
		reason, field, message := telemetry.ReasonInvalidMapping, "", err.Error()
		if x, ok := err.(*telemetry.Refusal); ok { //nolint:errorlint // DecodeReading returns no other
			reason, field, message = x.Reason, x.Field, x.Message
		}
		r.refuse(reason, field, "mapping %s: %s", r.mapping.ID, message)
		return
	}
	r.ends = append(r.ends, len(r.buf))
	r.Readings = append(r.Readings, Reading{Device: r.checked.DeviceID})
}

// done sets the payloads, now that they do not move any more.
func (r *Result) done() {
	start := 0
	for i, end := range r.ends {
		r.Readings[i].Payload = r.buf[start:end:end]
		start = end
	}
	switch {
	case r.Refusal != nil && r.parts > 1:
		r.Refusal.Message += " (and " + strconv.Itoa(r.parts-1) + " more)"
	case r.Refusal == nil && len(r.Readings) == 0 && !r.mapping.empty && !r.ignored && r.mapping.format != Ignore:
		r.refuse(telemetry.ReasonInvalidMapping, "sensors", "mapping %s: the message has none of its sensors", r.mapping.ID)
	}
}
