// Package census counts which sensors the devices have: in how many newest readings each name
// is, as what type and in which unit. It looks when it is asked, at most every few seconds, so
// that readings cost nothing here. It does no I/O and blocks while it looks: a millisecond for
// a thousand devices, a few of these at a time under the model's lock.
package census

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	// MaxNames bounds the names that are counted; further ones are left out.
	MaxNames = 800
	// maxUnits bounds the units of one name that are counted separately.
	maxUnits = 20
	// every is how old, in ms, a count may be.
	every = 5_000
)

// Sensor is one name of sensors in the plant.
type Sensor struct {
	Name        string
	Kind        telemetry.ValueKind // of most devices
	Unit        string              // of most devices whose unit is known
	Devices     int
	UnitUnknown int // of these, those whose unit is not known
}

// Census counts the sensors of a model. It is safe for concurrent use.
type Census struct {
	model *state.Model

	mu    sync.Mutex
	at    int64 // ms; 0: never
	found []Sensor
}

// New returns a census of m.
func New(m *state.Model) *Census { return &Census{model: m} }

// tally counts one name.
type tally struct {
	devices, unknown int
	kinds            [telemetry.Text + 1]int
	units            map[string]int
}

// Sensors returns the sensors that devices have, those of the contract first, then by name. The
// list may be a few seconds old and must not be changed.
func (c *Census) Sensors() []Sensor {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.model.Now()
	if c.at != 0 && now-c.at < every && now >= c.at {
		return c.found
	}
	by := make(map[string]*tally)
	var r telemetry.Reading
	c.model.Each(func(d *state.Device) {
		if d.Values(&r) {
			count(by, r.Sensors)
		}
	})
	c.at, c.found = now, make([]Sensor, 0, len(by))
	for _, name := range slices.SortedFunc(maps.Keys(by), Compare) {
		t := by[name]
		kind := slices.Index(t.kinds[:], slices.Max(t.kinds[:]))
		c.found = append(c.found, Sensor{name, telemetry.ValueKind(kind), commonest(t.units), t.devices, t.unknown})
	}
	return c.found
}

func count(by map[string]*tally, sensors telemetry.Sensors) {
	for i := range sensors {
		x := &sensors[i]
		t := by[x.Name]
		if t == nil {
			if len(by) >= MaxNames {
				continue
			}
			t = &tally{units: make(map[string]int)}
			by[x.Name] = t
		}
		t.devices++
		t.kinds[x.Kind]++
		if x.Status == telemetry.StatusUnitUnknown {
			t.unknown++
			continue
		}
		if _, known := t.units[x.Unit]; known || len(t.units) < maxUnits {
			t.units[x.Unit]++
		}
	}
}

func commonest(units map[string]int) (unit string) {
	most := 0
	for u, n := range units {
		if n > most || n == most && u < unit {
			unit, most = u, n
		}
	}
	return unit
}

// contract are the sensors of the contract, in its order.
var contract = []string{telemetry.Temperature, telemetry.Humidity, telemetry.Pressure, telemetry.Current, telemetry.SwitchStatus}

// Contract returns the names of the contract's sensors, in its order.
func Contract() []string { return slices.Clone(contract) }

// Compare orders names of sensors: those of the contract first, in its order.
func Compare(a, b string) int {
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

func rank(name string) int {
	if i := slices.Index(contract, name); i >= 0 {
		return i
	}
	return len(contract)
}
