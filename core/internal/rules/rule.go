package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/yamldoc"
)

// Fields of a rule, and those that each kind of condition adds.
var (
	ruleFields  = []string{"id", "type", "severity", "where", "on_delay", "off_delay", "disabled"}
	whereFields = []string{"building", "floor", "model", "device"}
	kindFields  = map[alarm.Kind][]string{
		alarm.High:       {"parameter", "limit", "deadband", "unit"},
		alarm.HighHigh:   {"parameter", "limit", "deadband", "unit"},
		alarm.Low:        {"parameter", "limit", "deadband", "unit"},
		alarm.LowLow:     {"parameter", "limit", "deadband", "unit"},
		alarm.Rate:       {"parameter", "limit", "deadband", "unit", "direction", "per", "window"},
		alarm.Stuck:      {"parameter", "for"},
		alarm.Deviation:  {"parameter", "limit", "deadband", "unit", "from", "sensors"},
		alarm.SwitchIs:   {"parameter", "is"},
		alarm.BatteryLow: {"limit", "deadband"},
		alarm.SignalWeak: {"limit", "deadband"},
		alarm.Offline:    {},
		alarm.Anomaly:    {"parameter", "sensitivity", "enabled"},
	}
	kinds = []string{"high", "high_high", "low", "low_low", "rate", "stuck", "deviation", "switch", "battery_low", "signal_weak", "offline", "anomaly"}
)

// rule reads one rule and returns it with the node of its id.
func (p *reader) rule(n ast.Node, field string) (alarm.Rule, ast.Node) {
	m, ok := p.Map(n, field)
	if !ok {
		return alarm.Rule{}, nil
	}
	before := p.Problems()
	r := alarm.Rule{
		ID:       p.Text(m, "id", true, "a name of letters, digits, _ or -"),
		Type:     p.Text(m, "type", false, "a name of letters, digits, _ or -"),
		Severity: telemetry.Severity(p.Choice(m, "severity", "medium", "critical", "high", "medium", "low")),
		Where:    p.where(m),
		OnDelay:  p.Duration(m, "on_delay", false), OffDelay: p.Duration(m, "off_delay", false),
		Disabled: p.Boolean(m, "disabled"),
	}
	places := map[string]*yamldoc.Map{"": m}
	judges := slices.ContainsFunc(m.Keys, func(key string) bool { return key == "kind" || key == "all" || key == "any" })
	if r.Disabled && !judges { // to switch a rule off its id is enough
		p.Only(m, ruleFields...)
		r.If.Kind = alarm.Offline
	} else {
		p.conditions(m, &r, places)
	}
	if p.Problems() == before {
		p.bounds(&r, places)
	}
	id, ok := m.Get("id")
	if !ok {
		return r, n
	}
	return r, id
}

// conditions reads the one condition of a rule, or the two under all or any.
func (p *reader) conditions(m *yamldoc.Map, r *alarm.Rule, places map[string]*yamldoc.Map) {
	var lists []string
	for _, key := range []string{"all", "any"} {
		if _, ok := m.Get(key); ok {
			lists = append(lists, key)
		}
	}
	if len(lists) == 0 {
		places["if."] = m
		r.If = p.condition(m, ruleFields)
		if _, ok := m.Get("off_delay"); ok && r.If.Kind == alarm.Offline {
			p.Wrong(m.Key("off_delay"), m.Path("off_delay"), "a rule of kind offline has none; leave it out")
		}
		return
	}
	p.Only(m, slices.Concat(ruleFields, []string{"all", "any"})...)
	key := lists[0]
	if len(lists) > 1 {
		p.Wrong(m.Key("any"), m.Path("any"), "all is present too; want one of them")
		return
	}
	list, _ := m.Get(key)
	items, ok := p.Sequence(list, m.Path(key))
	if !ok {
		return
	}
	if len(items) != 2 {
		p.Wrong(list, m.Path(key), "%d conditions; want two", len(items))
		return
	}
	r.Combine = alarm.And
	if key == "any" {
		r.Combine = alarm.Or
	}
	var conds [2]alarm.Condition
	for i, prefix := range []string{"if.", "other."} {
		c, ok := p.Map(items[i], m.Path(key)+[]string{"[0]", "[1]"}[i])
		if !ok {
			return
		}
		places[prefix] = c
		conds[i] = p.condition(c, nil)
	}
	r.If, r.Other = conds[0], &conds[1]
}

// condition reads the fields of a kind; others are fields that are allowed besides.
func (p *reader) condition(m *yamldoc.Map, others []string) alarm.Condition {
	var c alarm.Condition
	n, ok := m.Get("kind")
	name, isText := yamldoc.Text(n)
	switch {
	case !ok:
		p.Wrong(m.Node, m.Path("kind"), "missing; want %s", yamldoc.Either(kinds))
		return c
	case !isText || !slices.Contains(kinds, name):
		p.Wrong(n, m.Path("kind"), "%s: want %s", yamldoc.Show(n), yamldoc.Either(kinds))
		return c
	}
	c.Kind = alarm.Kind(name)
	fields := kindFields[c.Kind]
	p.Only(m, slices.Concat(others, []string{"kind"}, fields)...)
	has := func(f string) bool { return slices.Contains(fields, f) }
	if has("parameter") {
		c.Parameter = p.parameter(m, &c)
	}
	if has("unit") {
		c.Unit = p.Text(m, "unit", false, "a unit")
	}
	if has("limit") {
		c.Limit, c.Deadband = p.Number(m, "limit", true), p.Number(m, "deadband", false)
	}
	switch c.Kind {
	case alarm.Rate:
		c.Direction = alarm.Direction(p.Choice(m, "direction", "both", "up", "down", "both"))
		c.Per = map[string]time.Duration{"second": time.Second, "minute": time.Minute}[p.Choice(m, "per", "minute", "second", "minute")]
		c.Window = p.Duration(m, "window", false)
	case alarm.Stuck:
		c.For = p.Duration(m, "for", true)
	case alarm.Deviation:
		c.Mean = p.Choice(m, "from", "median", "median", "mean") == "mean"
		c.Sensors = p.count(m, "sensors")
	case alarm.SwitchIs:
		c.On = p.switchState(m)
	case alarm.Anomaly:
		c.Sensitivity = alarm.Sensitivity(p.Choice(m, "sensitivity", "medium", "low", "medium", "high"))
		if _, ok := m.Get("enabled"); ok {
			c.Off = !p.Boolean(m, "enabled")
		}
	default:
	}
	return c
}

// parameter reads the name of a sensor.
func (p *reader) parameter(m *yamldoc.Map, c *alarm.Condition) string {
	name := p.Text(m, "parameter", c.Kind != alarm.SwitchIs && c.Kind != alarm.Anomaly, alarm.WantParameter)
	if c.Kind == alarm.Anomaly && name == alarm.AnySensor {
		return name
	}
	if n, ok := m.Get("parameter"); ok && name != "" && !telemetry.ValidSensorName(name) {
		p.Wrong(n, m.Path("parameter"), "%s: want %s", yamldoc.Show(n), alarm.WantParameter)
	}
	return name
}

func (p *reader) count(m *yamldoc.Map, key string) int {
	n, ok := m.Get(key)
	if !ok {
		return 0
	}
	v, isInt := yamldoc.Integer(n)
	if !isInt || v < 1 {
		p.Wrong(n, m.Path(key), "%s: want a whole number of 1 or more", yamldoc.Show(n))
	}
	return v
}

// switchState reads on or off, which some writers of YAML turn into true and false.
func (p *reader) switchState(m *yamldoc.Map) bool {
	n, ok := m.Get("is")
	if !ok {
		p.Wrong(m.Node, m.Path("is"), "missing; want on or off")
		return false
	}
	if b, isBool := n.(*ast.BoolNode); isBool {
		return b.Value
	}
	return p.Choice(m, "is", "off", "on", "off") == "on"
}

func (p *reader) where(m *yamldoc.Map) alarm.Where {
	n, ok := m.Get("where")
	if !ok {
		return alarm.Where{}
	}
	w, ok := p.Map(n, m.Path("where"))
	if !ok {
		return alarm.Where{}
	}
	p.Only(w, whereFields...)
	return alarm.Where{
		Buildings: yamldoc.Many(p.Reader, w, "building", yamldoc.Word, "the name of a building, or a list of them"),
		Floors:    yamldoc.Many(p.Reader, w, "floor", yamldoc.Integer, "a whole number, or a list of them"),
		Models:    yamldoc.Many(p.Reader, w, "model", yamldoc.Word, "a model, in which * matches anything, or a list of them"),
		Devices:   yamldoc.Many(p.Reader, w, "device", yamldoc.Word, "a device id, in which * matches anything, or a list of them"),
	}
}

// bounds reports the values that are out of bounds, each at its position.
func (p *reader) bounds(r *alarm.Rule, places map[string]*yamldoc.Map) {
	for _, c := range r.Check(p.catalogue) {
		prefix, key := "", c.Field
		for _, candidate := range []string{"if.", "other."} {
			if rest, ok := strings.CutPrefix(c.Field, candidate); ok {
				prefix, key = candidate, rest
			}
		}
		m := places[prefix]
		if m == nil {
			m = places[""]
		}
		n := m.Node
		if at, ok := m.Get(key); ok {
			n = at
		}
		p.Wrong(n, m.Path(key), "%s", c.Message)
	}
}
