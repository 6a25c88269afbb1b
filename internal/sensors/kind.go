package sensors

import (
	"encoding/json"
	"math"
)

// Value says what a sensor sends.
type Value string

// Values of a kind of sensor.
const (
	Number  Value = "number"
	Boolean Value = "boolean"
	Text    Value = "text"
)

// Kind is a kind of sensor: what temperature is, whatever the sensors are called. It is
// immutable. The JSON form is that of the API.
type Kind struct {
	Name     string   `json:"kind"`
	Value    Value    `json:"value"`
	Unit     string   `json:"unit,omitempty"` // canonical; empty: none
	Quantity string   `json:"-"`              // whose units are converted; empty: of no unit
	Zh       string   `json:"zh"`
	En       string   `json:"en"`
	Min      float64  `json:"-"` // of plausible values, in Unit; -Inf without one; "min" in JSON
	Max      float64  `json:"-"` // +Inf without one; "max" in JSON
	Decimals int      `json:"decimals"`
	Match    []string `json:"match,omitempty"` // further names of its sensors; * is any text
	// MolarMass of a gas in g/mol, which converts between ppm and mg/m³; 0: not a gas.
	MolarMass float64 `json:"-"`

	spellings *spellings
	scales    []scale // into Unit, by index in the quantity
}

// MarshalJSON leaves out the ends of the range that are infinite.
func (k *Kind) MarshalJSON() ([]byte, error) {
	type plain Kind
	end := func(v float64) *float64 {
		if math.IsInf(v, 0) {
			return nil
		}
		return &v
	}
	return json.Marshal(struct {
		*plain
		Min *float64 `json:"min,omitempty"`
		Max *float64 `json:"max,omitempty"`
	}{(*plain)(k), end(k.Min), end(k.Max)})
}

// Plausible reports whether v, in the canonical unit, can be a measured value.
func (k *Kind) Plausible(v float64) bool { return v >= k.Min && v <= k.Max }

// Convert returns v, which is in a unit as a device writes it, in the canonical unit. known
// is false for a unit that is not of the kind's quantity; v is then returned as it is. No
// unit is the canonical one. A kind without a unit knows every unit.
func (k *Kind) Convert(unit string, v float64) (canonical float64, known bool) {
	if unit == k.Unit || unit == "" {
		return v, true
	}
	s, ok := k.scaleOf(unit)
	if !ok {
		return v, k.Unit == ""
	}
	return finite(s.value(v), v)
}

// Difference is Convert for the distance of two values, such as a deadband or a rate: the
// zero point of the unit does not count.
func (k *Kind) Difference(unit string, v float64) (canonical float64, known bool) {
	if unit == k.Unit || unit == "" {
		return v, true
	}
	s, ok := k.scaleOf(unit)
	if !ok {
		return v, k.Unit == ""
	}
	return finite(s.difference(v), v)
}

func (k *Kind) scaleOf(unit string) (scale, bool) {
	if k.spellings == nil {
		return scale{}, false
	}
	i, ok := k.spellings.find(unit)
	if !ok {
		return scale{}, false
	}
	return k.scales[i], true
}

// finite returns converted, or v and false where it is too large for a number.
func finite(converted, v float64) (float64, bool) {
	if math.IsInf(converted, 0) || math.IsNaN(converted) {
		return v, false
	}
	return converted, true
}

// Units returns the symbols of the units that are converted into the canonical one, which
// is among them.
func (k *Kind) Units() []string {
	q := k.quantity()
	if q == nil {
		return []string{k.Unit}
	}
	out := make([]string, len(q.units))
	for i, u := range q.units {
		out[i] = u.symbol
	}
	return out
}

func (k *Kind) quantity() *quantity {
	if k.MolarMass > 0 {
		return gas(k.MolarMass)
	}
	return quantityNamed(k.Quantity)
}

// resolve prepares the conversion into the canonical unit.
func (k *Kind) resolve() {
	q := k.quantity()
	if q == nil {
		return
	}
	k.spellings = q.spellings()
	i, ok := k.spellings.find(k.Unit)
	if !ok {
		k.spellings = nil
		return
	}
	k.scales = make([]scale, len(q.units))
	for j, u := range q.units {
		k.scales[j] = u.to(q.units[i])
	}
}
