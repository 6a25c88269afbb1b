package sensors

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"industrial-iot-monitor/internal/yamldoc"
)

// Bounds of a file.
const (
	MaxBytes   = 1 << 20
	MaxKinds   = 1000
	maxModels  = 1000
	maxMatches = 50
	// maxNameBytes bounds a name for people, and a unit.
	maxNameBytes = 64
	// Bounds of a model's interval.
	minInterval = time.Second
	maxInterval = 7 * 24 * time.Hour
)

var (
	kindForm  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	matchForm = regexp.MustCompile(`^[a-z*][a-z0-9_*]{0,31}$`)
)

const (
	wantKind  = "a name of lower-case letters, digits and _, at most 32, a letter first"
	wantMatch = "the name of a sensor, in which * matches any text, or a list of them"
)

var (
	kindFields  = []string{"kind", "unit", "quantity", "value", "zh", "en", "min", "max", "decimals", "match", "molar_mass", "disabled"}
	modelFields = []string{"model", "interval"}
)

// contract are the kinds that every reading and the settings of core know by name. They
// stay what they are, in any unit of their quantity.
var contract = []string{"temperature", "humidity", "pressure", "current", "switch_status"}

// extend returns base with the entries of a file.
func extend(base *Catalogue, data []byte) (*Catalogue, error) {
	c := &Catalogue{}
	if base != nil {
		c.kinds, c.models = slices.Clone(base.kinds), slices.Clone(base.models)
	}
	format := yamldoc.Format{MaxBytes: MaxBytes, List: "sensors", MaxItems: MaxKinds, Others: []string{"models"}}
	err := format.Load(data, func(p *yamldoc.Reader, top *yamldoc.Map, items []ast.Node) {
		f := &file{Reader: p, c: c, extends: base != nil, lines: map[string]int{}}
		for i, n := range items {
			f.kind(n, index("sensors", i))
		}
		f.models(top)
	})
	if err != nil {
		return nil, err
	}
	c.compile()
	return c, nil
}

// compile prepares the look-up of names. Of two kinds with one name or match the later
// entry has it, and a kind's own name comes before any match.
func (c *Catalogue) compile() {
	c.byName = make(map[string]*Kind)
	for _, k := range c.kinds {
		for _, m := range k.Match {
			if strings.Contains(m, "*") {
				c.globs = append(c.globs, glob{m, k})
			} else {
				c.byName[m] = k
			}
		}
	}
	for _, k := range c.kinds {
		c.byName[k.Name] = k
	}
	slices.Reverse(c.globs)
	slices.SortStableFunc(c.globs, func(a, b glob) int { return cmp.Compare(literals(b.pattern), literals(a.pattern)) })
}

// file reads the entries of a file into a catalogue.
type file struct {
	*yamldoc.Reader
	c *Catalogue
	// extends says that it extends the built-in catalogue.
	extends bool
	lines   map[string]int // of the kinds in this file
}

func (f *file) kind(n ast.Node, field string) {
	m, ok := f.Map(n, field)
	if !ok {
		return
	}
	f.Only(m, kindFields...)
	name := f.Text(m, "kind", true, wantKind)
	at, _ := m.Get("kind")
	switch {
	case name == "":
		return
	case !kindForm.MatchString(name):
		f.Wrong(at, m.Path("kind"), "%s: want %s", yamldoc.Show(at), wantKind)
		return
	case f.lines[name] > 0:
		f.Wrong(at, m.Path("kind"), "%q is the kind in line %d too; want one entry a kind", name, f.lines[name])
		return
	}
	f.lines[name] = at.GetToken().Position.Line
	i := slices.IndexFunc(f.c.kinds, func(k *Kind) bool { return k.Name == name })
	fixed := f.extends && slices.Contains(contract, name)
	if f.Boolean(m, "disabled") {
		if off, _ := m.Get("disabled"); fixed {
			f.Wrong(off, m.Path("disabled"), "true: %s is one of the sensors that are always known; want the entry left out", name)
			return
		}
		if i >= 0 {
			f.c.kinds = slices.Delete(f.c.kinds, i, i+1)
		}
		return
	}
	k := &Kind{Name: name, Value: Number, Zh: name, En: name, Min: math.Inf(-1), Max: math.Inf(1), Decimals: 2}
	if i >= 0 {
		was := *f.c.kinds[i]
		k = &was
	}
	f.fields(m, k)
	if fixed {
		f.keep(m, f.c.kinds[i], k)
	}
	if i >= 0 {
		f.c.kinds[i] = k
	} else {
		f.c.kinds = append(f.c.kinds, k)
	}
}

// keep reports what an entry must not change of a sensor that settings outside of the file
// refer to.
func (f *file) keep(m *yamldoc.Map, was, k *Kind) {
	if at, _ := m.Get("value"); k.Value != was.Value {
		f.Wrong(at, m.Path("value"), "%s: %s is always a %s", k.Value, k.Name, was.Value)
	}
	if at, _ := m.Get("unit"); k.Quantity != was.Quantity || k.MolarMass != was.MolarMass {
		f.Wrong(at, m.Path("unit"), "%q: want a unit of %s: %s", clip(k.Unit), was.Name, strings.Join(was.Units(), ", "))
	}
}

// fields reads the fields that an entry has into k.
func (f *file) fields(m *yamldoc.Map, k *Kind) {
	k.Value = Value(f.Choice(m, "value", string(k.Value), string(Number), string(Boolean), string(Text)))
	if k.Value != Number {
		k.Decimals = 0
	}
	f.name(m, "zh", &k.Zh)
	f.name(m, "en", &k.En)
	f.number(m, "min", &k.Min)
	f.number(m, "max", &k.Max)
	if at, ok := m.Get("max"); ok && k.Min >= k.Max {
		f.Wrong(at, m.Path("max"), "%v: want more than min, %v", k.Max, k.Min)
	} else if at, ok := m.Get("min"); ok && k.Min >= k.Max {
		f.Wrong(at, m.Path("min"), "%v: want less than max, %v", k.Min, k.Max)
	}
	if at, ok := m.Get("decimals"); ok {
		v, isInt := yamldoc.Integer(at)
		if k.Decimals = v; !isInt || v < 0 || v > 9 {
			f.Wrong(at, m.Path("decimals"), "%s: want a whole number from 0 to 9", yamldoc.Show(at))
		}
	}
	if at, ok := m.Get("molar_mass"); ok {
		v, isNumber := yamldoc.Float(at)
		if k.MolarMass = v; !isNumber || v <= 0 || v > 1000 {
			f.Wrong(at, m.Path("molar_mass"), "%s: want the mass of a mole of the gas in g, more than 0, up to 1000", yamldoc.Show(at))
		}
	}
	f.matches(m, k)
	f.unit(m, k)
}

func (f *file) name(m *yamldoc.Map, key string, to *string) {
	if _, ok := m.Get(key); !ok {
		return
	}
	*to = f.Text(m, key, false, "a name")
	f.printable(m, key, *to)
}

// printable reports a text that is too long or has control characters.
func (f *file) printable(m *yamldoc.Map, key, text string) bool {
	at, _ := m.Get(key)
	switch {
	case len(text) > maxNameBytes:
		f.Wrong(at, m.Path(key), "%d bytes; want at most %d", len(text), maxNameBytes)
		return false
	case strings.ContainsFunc(text, unicode.IsControl):
		f.Wrong(at, m.Path(key), "%s: want no control characters", yamldoc.Show(at))
		return false
	}
	return true
}

func (f *file) number(m *yamldoc.Map, key string, to *float64) {
	if _, ok := m.Get(key); ok {
		*to = f.Number(m, key, false)
	}
}

func (f *file) matches(m *yamldoc.Map, k *Kind) {
	at, ok := m.Get("match")
	if !ok {
		return
	}
	k.Match = yamldoc.Many(f.Reader, m, "match", func(n ast.Node) (string, bool) {
		s, ok := yamldoc.Word(n)
		return s, ok && matchForm.MatchString(s) && strings.Trim(s, "*") != ""
	}, wantMatch)
	if len(k.Match) > maxMatches {
		f.Wrong(at, m.Path("match"), "%d names; want at most %d", len(k.Match), maxMatches)
	}
}

// unit reads unit and quantity, and prepares the conversions.
func (f *file) unit(m *yamldoc.Map, k *Kind) {
	at, changed := m.Get("unit")
	if changed {
		k.Unit, k.Quantity = f.Text(m, "unit", false, "a unit"), ""
		if !f.printable(m, "unit", k.Unit) {
			return
		}
	}
	if q, ok := m.Get("quantity"); ok {
		k.Quantity = f.Choice(m, "quantity", "", quantityNames()...)
		at = q
	} else if changed && k.MolarMass == 0 {
		k.Quantity = f.quantityOf(at, m, k.Unit)
	}
	k.resolve()
	if q := k.quantity(); q != nil && k.spellings == nil {
		f.Wrong(at, m.Path("unit"), "%q: want a unit of %s: %s", clip(k.Unit), q.name, strings.Join(k.Units(), ", "))
	}
}

// quantityOf returns the quantity that a unit belongs to; "" for a unit that is not in the
// table, which is not converted.
func (f *file) quantityOf(at ast.Node, m *yamldoc.Map, unit string) string {
	var names []string
	for i := range quantities {
		if _, ok := quantities[i].spellings().find(unit); ok {
			names = append(names, quantities[i].name)
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	// A unit of several quantities is that of the first which has it as its base unit.
	for _, name := range names {
		if quantityNamed(name).units[0].symbol == unit {
			return name
		}
	}
	if len(names) > 1 {
		f.Wrong(at, m.Path("unit"), "%q is a unit of %s; want the field quantity to say which", unit, strings.Join(names, " and of "))
	}
	return ""
}

func quantityNames() []string {
	names := make([]string, len(quantities))
	for i := range quantities {
		names[i] = quantities[i].name
	}
	return names
}

func (f *file) models(top *yamldoc.Map) {
	n, ok := top.Get("models")
	if !ok {
		return
	}
	items, ok := f.Sequence(n, "models")
	if !ok {
		return
	}
	if len(items) > maxModels {
		f.Wrong(n, "models", "%d models; want at most %d", len(items), maxModels)
		return
	}
	for i, n := range items {
		m, ok := f.Map(n, index("models", i))
		if !ok {
			continue
		}
		f.Only(m, modelFields...)
		model := Model{
			Model:    f.Text(m, "model", true, "a model, in which * matches any text"),
			Interval: f.Duration(m, "interval", true),
		}
		if at, ok := m.Get("interval"); ok && model.Interval != 0 && (model.Interval < minInterval || model.Interval > maxInterval) {
			f.Wrong(at, m.Path("interval"), "%s: want %s to %s", model.Interval, minInterval, maxInterval)
		}
		f.c.models = append(f.c.models, model)
	}
}

// index returns the path of an item of a list.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }
