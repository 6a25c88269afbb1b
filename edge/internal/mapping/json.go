package mapping

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"industrial-iot-monitor/internal/telemetry"
)

// maxOutput bounds the readings of a message, in bytes: they, one more and the message
// itself must fit in a pack.
const maxOutput = 256 << 10

// json maps a JSON text.
func (r *Result) json(payload []byte) {
	s := str(payload)
	switch {
	case strings.TrimSpace(s) == "":
		r.refuse(telemetry.ReasonEmpty, "", "the message is empty; mapping %s wants JSON", r.mapping.ID)
	case !utf8.ValidString(s):
		r.refuse(telemetry.ReasonInvalidUTF8, "", "the message is not UTF-8")
	case deep(s):
		r.refuse(telemetry.ReasonTooDeep, "", "more than %d objects and lists in each other", maxDepth)
	case !gjson.Valid(s):
		r.refuse(telemetry.ReasonInvalidJSON, "", "the message is not JSON, as mapping %s wants; see format: value", r.mapping.ID)
	default:
		r.root = gjson.Parse(s)
		r.enter(r.root)
		r.list(r.mapping.each)
	}
}

// deep reports whether s has more than maxDepth objects and lists in each other. Deep ones
// would take the parser, which is recursive, much memory.
func deep(s string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// list maps the entries of the lists, or the item itself behind the last of them.
func (r *Result) list(lists []each) {
	if len(lists) == 0 {
		r.one()
		return
	}
	e := lists[0]
	outer := r.item
	defer func() { r.enter(outer) }()
	in := e.path.in(&r.scratch)
	if !in.IsArray() && (e.key == "" || !in.IsObject()) {
		if in.Exists() {
			r.enter(in)
			r.list(lists[1:])
		}
		return
	}
	index, n := 0, len(r.names)
	in.ForEach(func(key, item gjson.Result) bool {
		if e.key != "" {
			name := key.Str
			if in.IsArray() {
				name = strconv.Itoa(index)
			}
			r.names = append(r.names[:n], named{e.key, name})
		}
		index++
		r.enter(item)
		r.list(lists[1:])
		return !r.full
	})
	r.names = r.names[:n]
}

// one maps the item to one reading.
func (r *Result) one() {
	m := r.mapping
	if !r.next() {
		return
	}
	at, known, problem := m.clock.read(first(m.clock.paths, &r.scratch))
	if problem != "" {
		r.refuse(telemetry.ReasonInvalidTimestamp, "timestamp", "mapping %s: %s", m.ID, problem)
		return
	}
	r.Timed = known && (r.Timed || r.items == 1)
	if !known {
		at = r.received.UnixMilli()
	}
	before := r.parts
	if !r.begin(&m.device, at) {
		return
	}
	if r.offline(first(m.presencePaths(), &r.scratch)) {
		r.finish()
		return
	}
	for i := range m.specs {
		r.fromPaths(&m.specs[i])
	}
	if len(r.reading.Sensors) == 0 {
		if r.parts == before && len(m.each) > 0 && !m.empty && !r.ignored {
			r.refuse(telemetry.ReasonInvalidMapping, "sensors", "mapping %s: a part of the message has none of its sensors", m.ID)
		}
		return
	}
	r.finish()
}

func (m *Mapping) presencePaths() []path {
	if m.online == nil {
		return nil
	}
	return m.online.paths
}

// fromPaths adds the sensors of a spec.
func (r *Result) fromPaths(x *spec) {
	if x.all {
		r.members(x)
		return
	}
	v := first(x.paths, &r.scratch)
	if x.constant != nil {
		v = *x.constant
	}
	if v.form == absent {
		return
	}
	name := r.nameOf(x)
	unit := x.unitOf(name)
	if u := first(x.unitPath, &r.scratch); u.form == text {
		unit = u.text
	}
	r.sensor(x, name, v, unit)
}

// unitOf returns the unit of the spec's sensor of that name.
func (x *spec) unitOf(name string) string {
	if u, ok := x.units[name]; ok {
		return u
	}
	return x.unit
}

// nameOf returns the sensor's name.
func (r *Result) nameOf(x *spec) string {
	if x.fixed != "" {
		return x.fixed
	}
	return sensorName(x.name.text(&r.scratch))
}

// sensor converts a value and adds it under that name.
func (r *Result) sensor(x *spec, name string, v value, unit string) {
	s := telemetry.Sensor{Name: name, Unit: unit}
	ok, problem := x.apply(v, &s)
	switch {
	case problem != "":
		r.wrong(name, problem)
	case ok && s.Kind != telemetry.Number:
		s.Unit = ""
		r.add(s)
	case ok:
		r.add(s)
	}
}

// members adds every number, boolean and short text of an object.
func (r *Result) members(x *spec) {
	for _, p := range x.paths {
		p.in(&r.scratch).ForEach(func(key, item gjson.Result) bool {
			v := fromJSON(item)
			if key.Type != gjson.String || x.except[key.Str] || v.form == absent || v.form == other ||
				v.form == text && len(v.text) > telemetry.MaxSensorTextBytes {
				return true
			}
			name := sensorName(key.Str)
			if r.reading.Sensors.Find(name) == nil || !r.mapping.names(name) {
				r.sensor(x, name, v, x.unitOf(name))
			}
			return true
		})
	}
}

// names reports whether a spec with that name is in the mapping: it comes before members
// of that name.
func (m *Mapping) names(name string) bool {
	for i := range m.specs {
		if m.specs[i].fixed == name {
			return true
		}
	}
	return false
}
