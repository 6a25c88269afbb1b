// Package sensors is the catalogue of sensors: which kind a sensor is from its name, the
// canonical unit of a kind, its names, plausible range and decimals, and the conversion of
// units. It also has the expected interval of device models. A sensor that is not in the catalogue
// is as good as any other; its unit is what its device says.
//
// The catalogue is built in (default.yaml) and extended by a file. It does no I/O: the
// caller reads the file. Everything here is safe for concurrent use, and nothing blocks.
package sensors

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

//go:embed default.yaml
var defaultFile []byte

// Catalogue has the kinds of sensors. It is immutable but for a cache of names.
type Catalogue struct {
	kinds  []*Kind // in order of the files
	models []Model
	byName map[string]*Kind // kinds and matches without *
	globs  []glob           // the most specific first

	names cache
}

// Model describes a model of device.
type Model struct {
	Model    string        // * is any text
	Interval time.Duration // expected between readings
}

// MarshalJSON implements json.Marshaler; an interval is in seconds.
func (m Model) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Model    string  `json:"model"`
		Interval float64 `json:"interval_s"`
	}{m.Model, m.Interval.Seconds()})
}

// MarshalJSON implements json.Marshaler: {"sensors": [Kind…], "models": [Model…]}.
func (c *Catalogue) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kinds  []*Kind `json:"sensors"`
		Models []Model `json:"models"`
	}{c.kinds, append([]Model{}, c.models...)})
}

var builtIn = sync.OnceValue(func() *Catalogue {
	c, err := extend(nil, defaultFile)
	if err != nil {
		panic(fmt.Sprintf("default.yaml: %v", err)) // a test loads it
	}
	return c
})

// Default returns the built-in catalogue.
func Default() *Catalogue { return builtIn() }

// Load returns the built-in catalogue extended by a file. An entry for a kind that is
// built in replaces the fields it has. The error is a *yamldoc.Error.
func Load(data []byte) (*Catalogue, error) { return extend(Default(), data) }

// Kinds returns all kinds, the built-in ones first.
func (c *Catalogue) Kinds() []*Kind { return c.kinds }

// Models returns all models, the built-in ones first.
func (c *Catalogue) Models() []Model { return c.models }

// Kind returns the kind of that name; nil when there is none.
func (c *Catalogue) Kind(name string) *Kind {
	if k := c.byName[name]; k != nil && k.Name == name {
		return k
	}
	return nil
}

// IntervalOf returns the interval between readings that is expected of a model. Of several
// entries that match the last one counts.
func (c *Catalogue) IntervalOf(model string) (time.Duration, bool) {
	for i := len(c.models) - 1; i >= 0; i-- {
		if m := &c.models[i]; m.Interval > 0 && matches(m.Model, model) {
			return m.Interval, true
		}
	}
	return 0, false
}

// Convert returns the value of the sensor called name in the canonical unit of its kind.
// known is false if the kind has no such unit. A sensor of no kind is not converted, and
// known.
func (c *Catalogue) Convert(name, unit string, v float64) (canonical float64, known bool) {
	k := c.KindOf(name)
	if k == nil {
		return v, true
	}
	return k.Convert(unit, v)
}

// Canonical returns a setting for the sensor called name, such as a limit, in the
// canonical unit of its kind. difference says that it is a distance of two values (a
// deadband, a rate), to which the unit's zero point does not apply. An empty unit is the
// canonical one. The error names the units that are known. A sensor of no kind has no
// unit that a setting could be converted to, so any unit is an error.
func (c *Catalogue) Canonical(name, unit string, v float64, difference bool) (float64, error) {
	if unit == "" {
		return v, nil
	}
	k := c.KindOf(name)
	if k == nil {
		return 0, fmt.Errorf("%s is not in the catalogue of sensors, so %q cannot be converted; want no unit", name, clip(unit))
	}
	convert := k.Convert
	if difference {
		convert = k.Difference
	}
	canonical, known := convert(unit, v)
	if !known {
		return 0, fmt.Errorf("%q: want a unit of %s: %s", clip(unit), k.Name, strings.Join(k.Units(), ", "))
	}
	return canonical, nil
}

// clip bounds a text in a message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
