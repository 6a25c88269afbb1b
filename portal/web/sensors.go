package web

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/census"
)

// sensor is a sensor by its name in readings. Without a kind in the catalogue it has its name
// for all names, no range, and the unit that most devices send.
type sensor struct {
	Name     string        `json:"name"`
	Kind     string        `json:"kind"` // in the catalogue; empty: none
	Value    sensors.Value `json:"value"`
	Unit     string        `json:"unit"` // of all its values in the API, those of unknown unit apart
	Zh       string        `json:"zh"`
	En       string        `json:"en"`
	Min      *float64      `json:"min"` // of plausible values; null: open
	Max      *float64      `json:"max"`
	Decimals int           `json:"decimals"` // to be shown
	// Devices counts the devices whose newest reading has it, UnitUnknown those of them that
	// send it in a unit which is not known.
	Devices     int     `json:"devices"`
	UnitUnknown int     `json:"unit_unknown"`
	Limits      []limit `json:"limits"` // of the rules in force; empty without any, or before core has answered
}

// limit is a threshold of a rule on the sensor of that name, in its unit.
type limit struct {
	Operator string             `json:"operator"`
	Value    float64            `json:"value"`
	Severity telemetry.Severity `json:"severity"`
	Rule     string             `json:"rule"`
	// Everywhere means that the rule is for every device, not for some alone.
	Everywhere bool `json:"everywhere"`
}

// listSensors returns the catalogue of sensors and what occurs in the plant.
func (p *Portal) listSensors(c *fiber.Ctx) error {
	r := parser{get: func(name string) string { return c.Query(name) }}
	occurring := r.flag("occurring")
	if r.err != nil {
		return r.err
	}
	items := p.sensorsHere()
	if occurring == nil || !*occurring {
		items = p.withCatalogue(items)
	}
	if occurring != nil && !*occurring {
		items = slices.DeleteFunc(items, func(s sensor) bool { return s.Devices > 0 })
	}
	return c.JSON(list[sensor]{Total: len(items), Count: len(items), Time: p.model.Now(), Items: items})
}

// sensorsHere returns the sensors that devices have.
func (p *Portal) sensorsHere() []sensor {
	found, catalogue := p.census.Sensors(), p.catalogue.Catalogue()
	out := make([]sensor, 0, len(found))
	for _, f := range found {
		s := p.sensorOf(f.Name, catalogue.KindOf(f.Name))
		s.Devices, s.UnitUnknown = f.Devices, f.UnitUnknown
		if s.Kind == "" {
			s.Unit = f.Unit
		}
		s.Value = valueNames[f.Kind]
		out = append(out, s)
	}
	return out
}

var valueNames = [...]sensors.Value{telemetry.Number: sensors.Number, telemetry.Bool: sensors.Boolean, telemetry.Text: sensors.Text}

// withCatalogue adds the kinds of the catalogue that no sensor is named after.
func (p *Portal) withCatalogue(items []sensor) []sensor {
	named := make(map[string]bool, len(items))
	for i := range items {
		named[items[i].Name] = true
	}
	for _, k := range p.catalogue.Catalogue().Kinds() {
		if !named[k.Name] {
			items = append(items, p.sensorOf(k.Name, k))
		}
	}
	slices.SortFunc(items, func(a, b sensor) int { return census.Compare(a.Name, b.Name) })
	return items
}

func (p *Portal) sensorOf(name string, k *sensors.Kind) sensor {
	s := sensor{Name: name, Value: sensors.Number, Zh: name, En: name, Decimals: 2, Limits: p.limits.of(name)}
	if k == nil {
		return s
	}
	s.Kind, s.Value, s.Unit, s.Zh, s.En, s.Decimals = k.Name, k.Value, k.Unit, k.Zh, k.En, k.Decimals
	s.Min, s.Max = finite(k.Min), finite(k.Max)
	return s
}

func finite(v float64) *float64 {
	if math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// inventory is the data of the dashboard's topic sensors. Its time is that of the last change.
type inventory struct {
	mu   sync.Mutex
	last list[sensor]
	text []byte
}

func (v *inventory) get(p *Portal) any {
	items := p.sensorsHere()
	text, err := json.Marshal(items)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil || v.last.Items == nil || string(text) != string(v.text) {
		v.text = text
		v.last = list[sensor]{Total: len(items), Count: len(items), Time: p.model.Now(), Items: items}
	}
	return v.last
}

// sortBySensor is the prefix of sort orders by a sensor's value.
const sortBySensor = "sensors."

// sortedSensor returns the sensor of a sort order, "" if it is by something else.
func sortedSensor(order string) string {
	name, ok := strings.CutPrefix(strings.TrimPrefix(order, "-"), sortBySensor)
	if !ok {
		return ""
	}
	return name
}
