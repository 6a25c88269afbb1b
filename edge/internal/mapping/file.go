package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/yamldoc"
)

// Fields of the parts of a file.
var (
	mappingFields   = []string{"id", "topic", "format", "device", "location", "timestamp", "device_info", "each", "presence", "sensors", "empty"}
	topicFields     = []string{"filter", "location"}
	locationFields  = []string{"building", "floor", "room"}
	clockFields     = []string{"path", "format", "zone"}
	infoFields      = []string{"model", "firmware", "battery", "signal_strength"}
	eachFields      = []string{"path", "key"}
	presenceFields  = []string{"path", "map"}
	sensorFields    = []string{"name", "path", "value", "unit", "unit_path", "kind", "scale", "offset", "map", "units"}
	allFields       = []string{"all", "except", "units"}
	clockFormats    = []string{"ms", "s", "us", "ns", "rfc3339"}
	formatNames     = []string{string(JSON), string(Value), string(Sparkplug), string(Ignore)}
	kindWords       = []string{"number", "bool", "text"}
	sparkplugNames  = []string{"group", "node", "device"}
	valueFields     = []string{"id", "topic", "format", "device", "location", "presence", "sensors", "empty", "device_info"}
	sparkplugFields = []string{"id", "topic", "format", "device", "node", "location", "sensors", "empty", "device_info"}
)

// Load reads a mappings file. building is the location of mappings that name none, "" when
// the gateway has none either. An empty file has no mappings. The error is a *yamldoc.Error.
func Load(data []byte, building string) (*Set, error) {
	set := &Set{topics: newNode(), subjects: newNode(), building: building}
	if data == nil {
		return set, nil
	}
	format := yamldoc.Format{MaxBytes: MaxFileBytes, List: "mappings", MaxItems: MaxMappings}
	err := format.Load(data, func(p *yamldoc.Reader, _ *yamldoc.Map, items []ast.Node) {
		lines := map[string]int{}
		for i, n := range items {
			r := &reader{Reader: p, set: set, field: fmt.Sprintf("mappings[%d]", i)}
			m := r.mapping(n)
			if m == nil {
				continue
			}
			if first, twice := lines[m.ID]; twice {
				p.Wrong(n, r.field+".id", "%q is the id of the mapping in line %d too; want another", m.ID, first)
			}
			lines[m.ID] = n.GetToken().Position.Line
			set.Mappings = append(set.Mappings, m)
		}
	})
	if err != nil {
		return nil, err
	}
	for rank := range set.routes {
		r := &set.routes[rank]
		set.topics.add(&r.filter, rank)
		set.subjects.add(&set.tokens[rank], rank)
	}
	return set, nil
}

// reader reads one mapping.
type reader struct {
	*yamldoc.Reader
	set     *Set
	field   string
	filters []filter // of this mapping
	keys    []string // of its each
	json    bool     // paths have a meaning
}

func (r *reader) mapping(n ast.Node) *Mapping {
	m, ok := r.Map(n, r.field)
	if !ok {
		return nil
	}
	out := &Mapping{
		ID:     r.Text(m, "id", true, "a name of letters, digits, _ or -"),
		format: Format(r.Choice(m, "format", string(JSON), formatNames...)),
		empty:  r.Choice(m, "empty", "refuse", "refuse", "ignore") == "ignore",
	}
	if out.ID != "" && !telemetry.ValidDeviceID(out.ID) {
		r.Wrong(m.Node, m.Path("id"), "%q: want 1 to 64 letters, digits, _ or -", out.ID)
	}
	r.json = out.format == JSON
	switch out.format {
	case Ignore:
		r.Only(m, "id", "topic", "format")
	case Sparkplug:
		r.Only(m, sparkplugFields...)
		r.keys = sparkplugNames
	case Value:
		r.Only(m, valueFields...)
	default:
		r.Only(m, mappingFields...)
	}
	first := len(r.set.routes)
	r.topics(m, out)
	if out.format == Ignore {
		return out
	}
	r.each(m, out)
	r.body(m, out)
	if b, constant := out.place.building.constant(); constant && b == "" && r.set.building == "" && r.defaultless(first) {
		r.Wrong(m.Node, m.Path("location.building"), "missing; want a building here, or in EDGE_BUILDING")
	}
	return out
}

// defaultless reports whether a route from first on has no building either.
func (r *reader) defaultless(first int) bool {
	return slices.ContainsFunc(r.set.routes[first:], func(x route) bool {
		return x.defaults == nil || len(x.defaults.building.parts) == 0
	})
}

// body reads what the formats have in common.
func (r *reader) body(m *yamldoc.Map, out *Mapping) {
	device := map[bool]string{true: "{node}_{device}"}[out.format == Sparkplug]
	out.device = r.template(m, "device", device)
	if len(out.device.parts) == 0 {
		r.Wrong(m.Node, m.Path("device"), `missing; want a device id, like "shelly-{id}" or "{.devEUI}"`)
	}
	if out.format == Sparkplug {
		out.node = r.template(m, "node", "{node}")
	}
	out.place = r.location(m)
	r.clock(m, out)
	r.info(m, out)
	r.presence(m, out)
	r.sensors(m, out)
}

// topics reads the filters, each a text or a text with defaults.
func (r *reader) topics(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("topic")
	if !ok {
		r.Wrong(m.Node, m.Path("topic"), "missing; want a topic filter or a list of them")
		return
	}
	nodes := []ast.Node{n}
	if list, isList := n.(*ast.SequenceNode); isList {
		nodes = list.Values
	}
	if len(nodes) == 0 || len(nodes) > MaxTopics {
		r.Wrong(n, m.Path("topic"), "%d topics; want 1 to %d", len(nodes), MaxTopics)
		return
	}
	var places []*place
	for _, n := range nodes {
		text, isText := yamldoc.Text(n)
		var defaults *place
		if !isText {
			t, ok := r.Map(n, m.Path("topic"))
			if !ok {
				continue
			}
			r.Only(t, topicFields...)
			text = r.Text(t, "filter", true, "a topic filter")
			r.filters = nil // its own captures alone
			r.filter(n, m, text, out)
			p := r.location(t)
			defaults = &p
		} else {
			r.filter(n, m, text, out)
		}
		places = append(places, defaults)
	}
	r.filters = nil
	routes := r.set.routes[len(r.set.routes)-min(len(places), len(r.set.routes)):]
	for i := range routes {
		routes[i].defaults = places[i]
		r.filters = append(r.filters, routes[i].filter)
	}
}

// filter adds a route to the set.
func (r *reader) filter(n ast.Node, m *yamldoc.Map, text string, out *Mapping) {
	topic, err := parseFilter(text, "/")
	if err == nil && out.format == Sparkplug && !strings.HasPrefix(text, "spBv1.0/") {
		err = fmt.Errorf("%q: want spBv1.0/#, or spBv1.0/<group>/#", text)
	}
	tokens, _ := parseFilter(text, "/.")
	if err != nil {
		r.Wrong(n, m.Path("topic"), "%s", err)
	}
	r.filters = append(r.filters, topic)
	r.set.routes = append(r.set.routes, route{filter: topic, mapping: out})
	r.set.tokens = append(r.set.tokens, tokens)
}

// template reads a text with captures and paths and checks that they exist.
func (r *reader) template(m *yamldoc.Map, key, otherwise string) template {
	n, ok := m.Get(key)
	if !ok {
		t, _ := parseTemplate(otherwise)
		return t
	}
	text, isText := yamldoc.Text(n)
	if i, isInt := yamldoc.Integer(n); isInt {
		text, isText = fmt.Sprint(i), true
	}
	if !isText || text == "" {
		r.Wrong(n, m.Path(key), "%s: want a text", yamldoc.Show(n))
		return template{}
	}
	t, err := parseTemplate(text)
	if err != nil {
		r.Wrong(n, m.Path(key), "%s", err)
		return t
	}
	paths := t.uses(func(name string) {
		for _, f := range r.filters {
			if !f.captures(name) && !slices.Contains(r.keys, name) {
				r.Wrong(n, m.Path(key), "{%s} is not in the topic %s", name, f.text)
			}
		}
	})
	if paths && !r.json {
		r.Wrong(n, m.Path(key), "only a mapping of format json has paths")
	}
	return t
}

// paths reads a path or a list of them.
func (r *reader) paths(m *yamldoc.Map, key string) []path {
	var out []path
	for _, s := range yamldoc.Many(r.Reader, m, key, yamldoc.Word, "a path like sensors.0.value") {
		out = append(out, parsePath(s))
	}
	return out
}

func (r *reader) location(m *yamldoc.Map) place {
	n, ok := m.Get("location")
	if !ok {
		return place{}
	}
	l, ok := r.Map(n, m.Path("location"))
	if !ok {
		return place{}
	}
	r.Only(l, locationFields...)
	return place{
		building: r.template(l, "building", ""), floor: r.template(l, "floor", ""), room: r.template(l, "room", ""),
	}
}

func (r *reader) clock(m *yamldoc.Map, out *Mapping) {
	n, ok := m.Get("timestamp")
	if !ok {
		return
	}
	c, ok := r.Map(n, m.Path("timestamp"))
	if !ok {
		return
	}
	r.Only(c, clockFields...)
	out.clock.paths = r.paths(c, "path")
	if len(out.clock.paths) == 0 {
		r.Wrong(c.Node, c.Path("path"), "missing; want the path of the time")
	}
	out.clock.unit = clockUnits[r.Choice(c, "format", "ms", clockFormats...)]
	zone := r.Text(c, "zone", false, "a zone like Asia/Shanghai")
	if zone == "" {
		return
	}
	var err error
	if out.clock.zone, err = time.LoadLocation(zone); err != nil || out.clock.unit != 0 {
		at, _ := c.Get("zone")
		r.Wrong(at, c.Path("zone"), "%q: want a zone like Asia/Shanghai, of a time in format rfc3339", zone)
	}
}
