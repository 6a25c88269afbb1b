package mapping

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/yamldoc"
)

func (r *reader) info(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("device_info")
	if !ok {
		return
	}
	i, ok := r.Map(n, m.Path("device_info"))
	if !ok {
		return
	}
	if r.json {
		r.Only(i, infoFields...)
	} else {
		r.Only(i, "model", "firmware")
	}
	out.info = info{
		model: r.template(i, "model", ""), firmware: r.template(i, "firmware", ""),
		battery: r.paths(i, "battery"), signal: r.paths(i, "signal_strength"),
	}
}

// each reads one list or lists in lists.
func (r *reader) each(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("each")
	if !ok {
		return
	}
	nodes := []ast.Node{n}
	if list, isList := n.(*ast.SequenceNode); isList {
		nodes = list.Values
	}
	if len(nodes) == 0 || len(nodes) > maxEach {
		r.Wrong(n, m.Path("each"), "%d lists; want 1 to %d", len(nodes), maxEach)
		return
	}
	for i, n := range nodes {
		if s, isText := yamldoc.Word(n); isText {
			out.each = append(out.each, each{path: parsePath(s)})
			continue
		}
		e, ok := r.Map(n, fmt.Sprintf("%s[%d]", m.Path("each"), i))
		if !ok {
			continue
		}
		r.Only(e, eachFields...)
		x := each{path: parsePath(r.Text(e, "path", true, "the path of a list")), key: r.Text(e, "key", false, "a name")}
		if x.key != "" {
			taken := slices.Contains(r.keys, x.key) || slices.ContainsFunc(r.filters, func(f filter) bool { return f.captures(x.key) })
			if !validCapture(x.key) || taken {
				at, _ := e.Get("key")
				r.Wrong(at, e.Path("key"), "%q: want a name of a-z, 0-9 and _ that no other capture has", x.key)
			}
			r.keys = append(r.keys, x.key)
		}
		out.each = append(out.each, x)
	}
}

func (r *reader) presence(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("presence")
	if !ok {
		return
	}
	p, ok := r.Map(n, m.Path("presence"))
	if !ok {
		return
	}
	r.Only(p, presenceFields...)
	out.online = &presence{paths: r.paths(p, "path")}
	out.online.kind, out.online.values = kindBool, r.values(p)
	if r.json == (len(out.online.paths) == 0) {
		r.Wrong(p.Node, p.Path("path"), "want a path in format json, and none in format value")
	}
	if _, ok := p.Get("map"); !ok {
		r.Wrong(p.Node, p.Path("map"), "missing; want the texts that mean online (true) and offline (false)")
	}
}

func (r *reader) sensors(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("sensors")
	if !ok {
		switch {
		case out.format == Sparkplug:
			out.specs = []spec{{all: true}}
			out.index()
		case out.online == nil:
			r.Wrong(m.Node, m.Path("sensors"), "missing; want a list of sensors")
		}
		return
	}
	items, ok := r.Sequence(n, m.Path("sensors"))
	if !ok {
		return
	}
	if len(items) == 0 || len(items) > MaxSpecs || out.format == Value && len(items) > 1 {
		most := map[bool]int{true: 1, false: MaxSpecs}[out.format == Value]
		r.Wrong(n, m.Path("sensors"), "%d sensors; want 1 to %d", len(items), most)
		return
	}
	names := map[string]bool{}
	for i, n := range items {
		s, ok := r.Map(n, fmt.Sprintf("%s[%d]", m.Path("sensors"), i))
		if !ok {
			continue
		}
		x := r.sensor(s, out)
		if x.fixed != "" && names[x.fixed] {
			r.Wrong(n, s.Path("name"), "%q is the name of another sensor too; want several paths of one, or another name", x.fixed)
		}
		names[x.fixed] = true
		out.specs = append(out.specs, x)
	}
	out.index()
}

// index puts the specs for many sensors behind the others, which come first where both
// have a name, and finds those of metrics.
func (m *Mapping) index() {
	slices.SortStableFunc(m.specs, func(a, b spec) int {
		switch {
		case a.all == b.all:
			return 0
		case b.all:
			return -1
		default:
			return 1
		}
	})
	m.byMetric = map[string]*spec{}
	for i := range m.specs {
		x := &m.specs[i]
		if x.all {
			m.others = x
			continue
		}
		for _, p := range x.paths {
			m.byMetric[p.text] = x
		}
	}
}

func (r *reader) sensor(m *yamldoc.Map, out *Mapping) spec {
	if _, ok := m.Get("all"); ok && out.format != Value {
		return r.allOf(m)
	}
	r.Only(m, sensorFields...)
	x := spec{
		name: r.template(m, "name", ""), paths: r.paths(m, "path"), unit: r.Text(m, "unit", false, "a unit"), unitPath: r.paths(m, "unit_path"),
		conversion: conversion{
			kind:  kindNames[r.Choice(m, "kind", "", kindWords...)],
			scale: r.Number(m, "scale", false), offset: r.Number(m, "offset", false), values: r.values(m),
		},
	}
	fixed, constant := x.name.constant()
	switch n, _ := m.Get("name"); {
	case len(x.name.parts) == 0:
		r.Wrong(m.Node, m.Path("name"), "missing; want a sensor's name")
	case constant && !telemetry.ValidSensorName(fixed):
		r.Wrong(n, m.Path("name"), "%q: want a-z, 0-9 and _, a letter first, at most %d", fixed, telemetry.MaxSensorNameBytes)
	case constant:
		x.fixed = fixed
	}
	x.constant, x.units = r.constant(m), r.units(m)
	if n, ok := m.Get("scale"); ok && x.scale == 0 {
		r.Wrong(n, m.Path("scale"), "0 makes every value the same; want another number")
	}
	sources := len(x.paths)
	switch {
	case out.format == Value && (sources > 0 || x.constant != nil || len(x.unitPath) > 0):
		r.Wrong(m.Node, m.Path("path"), "the payload is the value; leave path, value and unit_path out")
	case out.format == Value:
	case (sources > 0) == (x.constant != nil):
		r.Wrong(m.Node, m.Path("path"), "want either path or value")
	case len(x.unitPath) > 0 && !r.json:
		r.Wrong(m.Node, m.Path("unit_path"), "only a mapping of format json has paths")
	}
	return x
}

// allOf reads a spec that stands for many sensors.
func (r *reader) allOf(m *yamldoc.Map) spec {
	r.Only(m, allFields...)
	x := spec{all: true, except: map[string]bool{}}
	if s := r.Text(m, "all", true, "the path of an object, or * for every metric"); s != "" {
		x.paths = []path{parsePath(s)}
	}
	for _, s := range yamldoc.Many(r.Reader, m, "except", yamldoc.Word, "the name of a member") {
		x.except[s] = true
	}
	x.units = r.units(m)
	return x
}

// units reads the units of sensors by their names.
func (r *reader) units(m *yamldoc.Map) map[string]string {
	n, ok := m.Get("units")
	if !ok {
		return nil
	}
	u, ok := r.Map(n, m.Path("units"))
	if !ok {
		return nil
	}
	out := map[string]string{}
	for _, name := range u.Keys {
		out[name] = r.Text(u, name, true, "a unit")
	}
	return out
}

// constant reads the field value.
func (r *reader) constant(m *yamldoc.Map) *value {
	n, ok := m.Get("value")
	if !ok {
		return nil
	}
	v, ok := scalar(n)
	if !ok || v.form == absent {
		r.Wrong(n, m.Path("value"), "%s: want a number, true, false or a text", yamldoc.Show(n))
	}
	return &v
}

// values reads the field map: texts of messages and what they stand for.
func (r *reader) values(m *yamldoc.Map) map[string]value {
	n, ok := m.Get("map")
	if !ok {
		return nil
	}
	texts, ok := r.Map(n, m.Path("map"))
	if !ok {
		return nil
	}
	out := make(map[string]value, len(texts.Keys))
	for _, key := range texts.Keys {
		n, _ := texts.Get(key)
		v, ok := scalar(n)
		if !ok {
			r.Wrong(n, texts.Path(key), "%s: want a number, true, false, a text, or null for no value", yamldoc.Show(n))
		}
		out[key] = v
	}
	return out
}

// scalar returns the value of a node; null is an absent one.
func scalar(n ast.Node) (value, bool) {
	switch n := n.(type) {
	case *ast.BoolNode:
		return value{form: boolean, on: n.Value, text: fmt.Sprint(n.Value)}, true
	case *ast.NullNode:
		return value{}, true
	}
	if f, ok := yamldoc.Float(n); ok {
		return value{form: number, num: f, text: n.String()}, true
	}
	s, ok := yamldoc.Text(n)
	return value{form: text, text: s}, ok
}
