package dashboard

import (
	"strconv"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// Names of topics sensor/<name> that are fields of device_info, unless a device has a sensor
// of that name.
const (
	nameBattery = "battery"
	nameSignal  = "signal_strength"
)

// valueKind is what a device has of a sensor.
type valueKind uint8

const (
	absent valueKind = iota
	number
	boolean
	text
	unknownUnit // a number whose unit is not known
)

// value is a device's value of one sensor.
type value struct {
	kind   valueKind
	number float64 // of a number; of a boolean 0 or 1
	text   string  // of a text; of a number of unknown unit that unit
}

// columnEntry is a value as a column keeps it; texts are kept aside.
type columnEntry struct {
	kind   valueKind
	number float64
}

// column has one sensor, or one fact, of every device.
type column struct {
	name    string
	entries []columnEntry  // by the device's index; nil: no device has it
	texts   map[int]string // of the entries that have one
	held    int            // entries that are not absent
	fresh   bool           // it is being filled: its changes go out as a snapshot
	changed []int
}

// columns are the sensors that clients follow. Those that no device has are not looked for
// in each reading.
type columns struct {
	all   map[string]*column
	found []*column // with entries
	fresh bool      // some column is
}

// openColumns makes a column for each sensor that is followed and drops the others.
func (p *Publisher) openColumns() {
	wanted := make(map[string]bool)
	for _, t := range p.followed() {
		if t.kind == kindSensor {
			wanted[t.arg] = true
		}
	}
	c := &p.columns
	if c.all == nil {
		c.all = make(map[string]*column)
	}
	for name := range c.all {
		if !wanted[name] {
			delete(c.all, name)
		}
	}
	for name := range wanted {
		if c.all[name] == nil {
			c.all[name], c.fresh = &column{name: name, fresh: true}, true
		}
	}
	c.found = c.found[:0]
	for _, x := range c.all {
		x.changed = x.changed[:0]
		if x.held > 0 {
			c.found = append(c.found, x)
		} else {
			x.entries = nil
		}
	}
}

// close drops all columns.
func (c *columns) close() { *c = columns{} }

// filled notes that all devices were looked at.
func (c *columns) filled() {
	c.fresh = false
	for _, x := range c.all {
		x.fresh = false
	}
}

// lookInside brings the columns up to date with a device's newest reading. It is called
// within a View.
func (p *Publisher) lookInside(d *state.Device) {
	c := &p.cells[d.Index]
	if !d.HasReading() {
		c.seq = 0
		for _, x := range p.columns.found {
			x.set(d.Index, value{})
		}
		return
	}
	if c.seq == d.Seq() && !p.columns.fresh {
		return
	}
	c.seq = d.Seq()
	if !d.Values(&p.reading) {
		return // accepted by a newer core: keep the old values
	}
	p.columns.look(d.Index, &p.reading)
}

func (c *columns) look(index int, r *telemetry.Reading) {
	if len(c.found) < len(c.all) {
		c.search(r)
	}
	for _, x := range c.found {
		x.set(index, valueOf(r, x.name))
	}
}

// search looks for columns that no device had so far.
func (c *columns) search(r *telemetry.Reading) {
	for i := range r.Sensors {
		c.find(r.Sensors[i].Name)
	}
	c.find(nameBattery)
	c.find(nameSignal)
}

func (c *columns) find(name string) {
	x := c.all[name]
	if x == nil || x.entries != nil {
		return
	}
	x.entries = []columnEntry{}
	c.found = append(c.found, x)
}

// valueOf returns a reading's value of a sensor.
func valueOf(r *telemetry.Reading, name string) value {
	x := r.Sensors.Find(name)
	switch {
	case x == nil:
		return infoOf(r, name)
	case x.Kind == telemetry.Text:
		return value{kind: text, text: x.Text}
	case x.Kind == telemetry.Bool:
		return value{kind: boolean, number: x.Number}
	case !x.Comparable():
		return value{kind: unknownUnit, number: x.Number, text: x.Unit}
	}
	return value{kind: number, number: x.Number}
}

func infoOf(r *telemetry.Reading, name string) value {
	v := telemetry.Optional{}
	switch name {
	case nameBattery:
		v = r.Info.Battery
	case nameSignal:
		v = r.Info.SignalStrength
	}
	if !v.Present {
		return value{}
	}
	return value{kind: number, number: v.Value}
}

// set replaces a device's value and notes the change, if it is one.
func (x *column) set(index int, v value) {
	if index >= len(x.entries) {
		if v.kind == absent {
			return
		}
		x.entries = append(x.entries, make([]columnEntry, index+1-len(x.entries))...)
	}
	e := &x.entries[index]
	if e.kind == v.kind && e.number == v.number && (v.text == "" || x.texts[index] == v.text) {
		return
	}
	if e.kind == absent {
		x.held++
	}
	if v.kind == absent {
		x.held--
	}
	*e = columnEntry{v.kind, v.number}
	x.keepText(index, v.text)
	if !x.fresh {
		x.changed = append(x.changed, index)
	}
}

// keepText keeps a copy: a reading's strings are parts of its message.
func (x *column) keepText(index int, s string) {
	switch {
	case s == "":
		delete(x.texts, index)
		return
	case x.texts == nil:
		x.texts = make(map[int]string)
	}
	x.texts[index] = string([]byte(s))
}

// appendNumber writes whole numbers as such: a time in ms would be 1.7…e+12 otherwise.
func appendNumber(dst []byte, v float64) []byte {
	if n := int64(v); float64(n) == v && n > -1e15 && n < 1e15 {
		return strconv.AppendInt(dst, n, 10)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

// appendTo appends [index,value], and for a value of unknown unit [index,value,"unit"].
func (x *column) appendTo(dst []byte, index int) []byte {
	e := x.entries[index]
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, ',')
	switch e.kind {
	case absent:
		dst = append(dst, "null"...)
	case boolean:
		dst = strconv.AppendBool(dst, e.number != 0)
	case text:
		dst = appendText(dst, x.texts[index])
	case number:
		dst = appendNumber(dst, e.number)
	case unknownUnit:
		dst = strconv.AppendFloat(dst, e.number, 'g', -1, 64)
		dst = append(dst, ',')
		dst = appendText(dst, x.texts[index])
	}
	return append(dst, ']')
}
