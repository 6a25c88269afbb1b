package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
)

// Fields of a rule, and those that each kind of condition adds.
var (
	ruleFields  = []string{"id", "type", "severity", "where", "on_delay", "off_delay", "disabled"}
	whereFields = []string{"building", "floor", "model", "device"}
	kindFields  = map[alarm.Kind][]string{
		alarm.High:       {"parameter", "limit", "deadband"},
		alarm.HighHigh:   {"parameter", "limit", "deadband"},
		alarm.Low:        {"parameter", "limit", "deadband"},
		alarm.LowLow:     {"parameter", "limit", "deadband"},
		alarm.Rate:       {"parameter", "limit", "deadband", "direction", "per", "window"},
		alarm.Stuck:      {"parameter", "for"},
		alarm.Deviation:  {"parameter", "limit", "deadband", "from", "sensors"},
		alarm.SwitchIs:   {"is"},
		alarm.BatteryLow: {"limit", "deadband"},
		alarm.SignalWeak: {"limit", "deadband"},
		alarm.Offline:    {},
	}
	kinds = []string{"high", "high_high", "low", "low_low", "rate", "stuck", "deviation", "switch", "battery_low", "signal_weak", "offline"}
)

// rule reads one rule and returns it with the node of its id.
func (p *reader) rule(n ast.Node, field string) (alarm.Rule, ast.Node) {
	m, ok := p.mapping(n, field)
	if !ok {
		return alarm.Rule{}, nil
	}
	before := len(p.problems)
	r := alarm.Rule{
		ID:       p.text(m, "id", true, "a name of letters, digits, _ or -"),
		Type:     p.text(m, "type", false, "a name of letters, digits, _ or -"),
		Severity: telemetry.Severity(p.choice(m, "severity", "medium", "critical", "high", "medium", "low")),
		Where:    p.where(m),
		OnDelay:  p.duration(m, "on_delay", false), OffDelay: p.duration(m, "off_delay", false),
		Disabled: p.boolean(m, "disabled"),
	}
	places := map[string]*mapping{"": m}
	judges := slices.ContainsFunc(m.keys, func(key string) bool { return key == "kind" || key == "all" || key == "any" })
	if r.Disabled && !judges { // to switch a rule off its id is enough
		p.only(m, ruleFields...)
		r.If.Kind = alarm.Offline
	} else {
		p.conditions(m, &r, places)
	}
	if len(p.problems) == before {
		p.bounds(&r, places)
	}
	id, ok := m.get("id")
	if !ok {
		return r, n
	}
	return r, id
}

// conditions reads the one condition of a rule, or the two under all or any.
func (p *reader) conditions(m *mapping, r *alarm.Rule, places map[string]*mapping) {
	var lists []string
	for _, key := range []string{"all", "any"} {
		if _, ok := m.get(key); ok {
			lists = append(lists, key)
		}
	}
	if len(lists) == 0 {
		places["if."] = m
		r.If = p.condition(m, ruleFields)
		if _, ok := m.get("off_delay"); ok && r.If.Kind == alarm.Offline {
			p.wrong(m.where["off_delay"], m.path("off_delay"), "a rule of kind offline has none; leave it out")
		}
		return
	}
	p.only(m, slices.Concat(ruleFields, []string{"all", "any"})...)
	key := lists[0]
	if len(lists) > 1 {
		p.wrong(m.where["any"], m.path("any"), "all is present too; want one of them")
		return
	}
	list, _ := m.get(key)
	items, ok := p.sequence(list, m.path(key))
	if !ok {
		return
	}
	if len(items) != 2 {
		p.wrong(list, m.path(key), "%d conditions; want two", len(items))
		return
	}
	r.Combine = alarm.And
	if key == "any" {
		r.Combine = alarm.Or
	}
	var conds [2]alarm.Condition
	for i, prefix := range []string{"if.", "other."} {
		c, ok := p.mapping(items[i], m.path(key)+[]string{"[0]", "[1]"}[i])
		if !ok {
			return
		}
		places[prefix] = c
		conds[i] = p.condition(c, nil)
	}
	r.If, r.Other = conds[0], &conds[1]
}

// condition reads the fields of a kind; others are fields that are allowed besides.
func (p *reader) condition(m *mapping, others []string) alarm.Condition {
	var c alarm.Condition
	n, ok := m.get("kind")
	name, isText := text(n)
	switch {
	case !ok:
		p.wrong(m.node, m.path("kind"), "missing; want %s", either(kinds))
		return c
	case !isText || !slices.Contains(kinds, name):
		p.wrong(n, m.path("kind"), "%s: want %s", show(n), either(kinds))
		return c
	}
	c.Kind = alarm.Kind(name)
	fields := kindFields[c.Kind]
	p.only(m, slices.Concat(others, []string{"kind"}, fields)...)
	has := func(f string) bool { return slices.Contains(fields, f) }
	if has("parameter") {
		s := p.parameter(m)
		c.Signal, _ = alarm.SignalOf(s)
	}
	if has("limit") {
		c.Limit, c.Deadband = p.number(m, "limit", true), p.number(m, "deadband", false)
	}
	switch c.Kind {
	case alarm.Rate:
		c.Direction = alarm.Direction(p.choice(m, "direction", "both", "up", "down", "both"))
		c.Per = map[string]time.Duration{"second": time.Second, "minute": time.Minute}[p.choice(m, "per", "minute", "second", "minute")]
		c.Window = p.duration(m, "window", false)
	case alarm.Stuck:
		c.For = p.duration(m, "for", true)
	case alarm.Deviation:
		c.Mean = p.choice(m, "from", "median", "median", "mean") == "mean"
		c.Sensors = p.count(m, "sensors")
	case alarm.SwitchIs:
		c.On = p.switchState(m)
	default:
	}
	return c
}

func (p *reader) parameter(m *mapping) string {
	if _, ok := m.get("parameter"); !ok {
		p.wrong(m.node, m.path("parameter"), "missing; want temperature, humidity, pressure or current")
		return ""
	}
	return p.choice(m, "parameter", "", "temperature", "humidity", "pressure", "current")
}

func (p *reader) count(m *mapping, key string) int {
	n, ok := m.get(key)
	if !ok {
		return 0
	}
	v, isInt := integer(n)
	if !isInt || v < 1 {
		p.wrong(n, m.path(key), "%s: want a whole number of 1 or more", show(n))
	}
	return v
}

// switchState reads on or off, which some writers of YAML turn into true and false.
func (p *reader) switchState(m *mapping) bool {
	n, ok := m.get("is")
	if !ok {
		p.wrong(m.node, m.path("is"), "missing; want on or off")
		return false
	}
	if b, isBool := n.(*ast.BoolNode); isBool {
		return b.Value
	}
	return p.choice(m, "is", "off", "on", "off") == "on"
}

func (p *reader) where(m *mapping) alarm.Where {
	n, ok := m.get("where")
	if !ok {
		return alarm.Where{}
	}
	w, ok := p.mapping(n, m.path("where"))
	if !ok {
		return alarm.Where{}
	}
	p.only(w, whereFields...)
	return alarm.Where{
		Buildings: many(p, w, "building", word, "the name of a building, or a list of them"),
		Floors:    many(p, w, "floor", integer, "a whole number, or a list of them"),
		Models:    many(p, w, "model", word, "a model, in which * matches anything, or a list of them"),
		Devices:   many(p, w, "device", word, "a device id, in which * matches anything, or a list of them"),
	}
}

// bounds reports the values that are out of bounds, each at its position.
func (p *reader) bounds(r *alarm.Rule, places map[string]*mapping) {
	for _, c := range r.Check() {
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
		n := m.node
		if at, ok := m.get(key); ok {
			n = at
		}
		p.wrong(n, m.path(key), "%s", c.Message)
	}
}
