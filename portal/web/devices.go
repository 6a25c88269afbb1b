package web

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// device is a device in the API. Reading is its newest reading with the statuses set by core and
// values in canonical units, null if none is known.
type device struct {
	DeviceID string `json:"device_id"`
	// Name, Description and Tags are what operators wrote about it, Revision counts their changes.
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Revision    int64    `json:"revision"`
	// Maintenance is left out while the device is not under maintenance, and so is MaintenanceUntil, its end in
	// ms since 1970.
	Maintenance      *telemetry.Maintenance `json:"maintenance,omitempty"`
	MaintenanceUntil int64                  `json:"maintenance_until,omitempty"`
	Location         telemetry.Location     `json:"location"`
	Info             telemetry.DeviceInfo   `json:"device_info"`
	Gateway          string                 `json:"gateway"`
	Presence         telemetry.Presence     `json:"presence"`
	Since            int64                  `json:"since,omitempty"`       // ms, when presence last changed
	IntervalMS       int64                  `json:"interval_ms,omitempty"` // learned sending interval
	LastSeen         int64                  `json:"last_seen,omitempty"`   // ms, plant time of the newest known reading
	// ClockOffsetMS is how far its clock is ahead, negative behind; left out while it is right. The
	// timestamp in Reading is off by it.
	ClockOffsetMS int64              `json:"clock_offset_ms,omitempty"`
	AgeMS         *int64             `json:"age_ms"`                 // of that reading; null without one
	Backfill      bool               `json:"backfill,omitempty"`     // the reading was in a gateway's buffer for a while
	ActiveAlerts  int                `json:"active_alerts"`          // alarms that need attention
	Severity      telemetry.Severity `json:"severity,omitempty"`     // the worst of them
	ReadingTime   int64              `json:"reading_time,omitempty"` // ms, when Reading was taken, by a right clock
	Flaws         []string           `json:"flaws,omitempty"`        // fields of Reading that were ignored, the first 8
	Reading       json.RawMessage    `json:"reading"`
}

// deviceAnswer is one device; its age refers to Time, in ms.
type deviceAnswer struct {
	Time int64 `json:"time"`
	device

	Trace *traceJSON `json:"trace,omitempty"` // with trace=1
}

// row has the fields of a device that filters and sort orders need.
type row struct {
	d        *state.Device
	building string
	presence telemetry.Presence
	seen     int64
	active   int
	rank     int
	value    float64 // of the sensor that rows are sorted by, NaN: none
}

// deviceFilter selects devices.
type deviceFilter struct {
	building, gateway, presence, model string
	floor                              string // decimal
	state                              string // a presence, or stateFault
	words                              []word
	tag, room                          string
	conditions                         []string // all of which it is in
	sensor                             string   // that it has
	min, max                           *float64 // of that sensor's value; nil: any
}

// stateFault is the state of a device with an alarm that needs attention.
const stateFault = "fault"

func readDeviceFilter(c *fiber.Ctx) (deviceFilter, error) {
	f := deviceFilter{
		building: c.Query("building"), gateway: c.Query("gateway"), model: c.Query("model"), floor: c.Query("floor"),
		words: readWords(c.Query("q")), tag: c.Query("tag"), room: c.Query("room"),
	}
	if err := f.readSensor(c); err != nil {
		return f, err
	}
	if _, err := strconv.Atoi(f.floor); f.floor != "" && err != nil {
		return f, badParameter("floor", "a whole number")
	}
	conditions := parser{get: func(name string) string { return c.Query(name) }}
	if f.conditions = conditions.words("condition", conditionWords); conditions.err != nil {
		return f, conditions.err
	}
	var err error
	if f.presence, err = oneOf(c, "presence", "online", "offline", "unknown"); err != nil {
		return f, err
	}
	f.state, err = oneOf(c, "state", "online", "offline", "unknown", stateFault)
	return f, err
}

func (f *deviceFilter) readSensor(c *fiber.Ctx) error {
	text, given := queryText(c, "sensor")
	if given && !telemetry.ValidSensorName(text) {
		return badParameter("sensor", "the name of a sensor, as in co2")
	}
	f.sensor = text
	for name, bound := range map[string]**float64{"min": &f.min, "max": &f.max} {
		text, given := queryText(c, name)
		if !given {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return badParameter(name, "a number")
		}
		if f.sensor == "" {
			return badParameter(name, "the parameter sensor too, whose value it bounds")
		}
		*bound = &v
	}
	return nil
}

// sortNames are the sort orders apart from those by a sensor, in which a minus reverses.
var sortNames = []string{"device_id", "name", "building", "presence", "age", "alerts"}

func readDeviceSort(c *fiber.Ctx) (string, error) {
	text, given := queryText(c, "sort")
	name := strings.TrimPrefix(text, "-")
	if given && !slices.Contains(sortNames, name) && !telemetry.ValidSensorName(sortedSensor(name)) {
		return "", badParameter("sort", strings.Join(sortNames, ", ")+" or "+sortBySensor+"<name>, with - to reverse")
	}
	return text, nil
}

func (p *Portal) listDevices(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	f, err := readDeviceFilter(c)
	if err != nil {
		return err
	}
	order, err := readDeviceSort(c)
	if err != nil {
		return err
	}
	now := p.model.Now()
	rows := p.match(f, sortedSensor(order), now)
	sortRows(rows, order)
	out := list[device]{Total: len(rows), Offset: at.Offset, Time: now, Items: []device{}}
	p.model.View(func() {
		for _, row := range part(rows, at) {
			out.Items = append(out.Items, p.describe(row.d, now))
		}
	})
	out.Count = len(out.Items)
	return c.JSON(out)
}

func (p *Portal) getDevice(c *fiber.Ctx) error {
	now := p.model.Now()
	found := p.deviceNow(c.Params("id"), now)
	if found == nil {
		return errNoDevice
	}
	trace, err := p.traceNext(c, found.DeviceID, found.Gateway)
	if err != nil {
		return err
	}
	return c.JSON(deviceAnswer{now, *found, trace})
}

// deviceNow returns a device for the API, nil if it is unknown.
func (p *Portal) deviceNow(id string, now int64) (found *device) {
	p.model.View(func() {
		if d := p.model.Device(id); d != nil {
			v := p.describe(d, now)
			found = &v
		}
	})
	return found
}

// match returns the selected devices, in no particular order, with the value of a sensor if one is
// named.
func (p *Portal) match(f deviceFilter, sensor string, now int64) []row {
	var rows []row
	var reading telemetry.Reading
	p.model.Each(func(d *state.Device) {
		r, ok := p.rowOf(d, f, now)
		if !ok {
			return
		}
		if f.sensor == "" && sensor == "" {
			rows = append(rows, r)
			return
		}
		if !d.Values(&reading) {
			reading.Sensors, reading.Info = reading.Sensors[:0], d.Info()
		}
		r.value = numberOf(sensorIn(&reading, sensor))
		if f.senses(&reading) {
			rows = append(rows, r)
		}
	})
	return rows
}

// senses reports whether the filter's sensor is among these, with a value within its bounds.
func (f *deviceFilter) senses(reading *telemetry.Reading) bool {
	if f.sensor == "" {
		return true
	}
	x := sensorIn(reading, f.sensor)
	if x == nil {
		return false
	}
	if f.min == nil && f.max == nil {
		return true
	}
	v := numberOf(x)
	return !math.IsNaN(v) && (f.min == nil || v >= *f.min) && (f.max == nil || v <= *f.max)
}

// sensorIn returns a sensor of a reading; battery and signal_strength of device_info are sensors too, unless it has
// one of that name. It is the rule of the dashboard's topics sensor/<name>.
func sensorIn(r *telemetry.Reading, name string) *telemetry.Sensor {
	if x := r.Sensors.Find(name); x != nil {
		return x
	}
	v := telemetry.Optional{}
	switch name {
	case "battery":
		v = r.Info.Battery
	case "signal_strength":
		v = r.Info.SignalStrength
	}
	if !v.Present {
		return nil
	}
	return &telemetry.Sensor{Name: name, Kind: telemetry.Number, Number: v.Value}
}

// numberOf returns the value of a sensor that can be compared: a number in a known unit, 1 or 0 of a
// switch, else NaN.
func numberOf(x *telemetry.Sensor) float64 {
	if x == nil || x.Kind == telemetry.Text || x.Status == telemetry.StatusUnitUnknown {
		return math.NaN()
	}
	return x.Number
}

func (p *Portal) rowOf(d *state.Device, f deviceFilter, now int64) (row, bool) {
	r := row{d: d, value: math.NaN(), building: d.Location().Building, presence: d.Presence(now), seen: d.Seen()}
	switch {
	case f.building != "" && f.building != r.building,
		f.gateway != "" && f.gateway != d.Gateway(),
		f.presence != "" && f.presence != string(r.presence),
		f.model != "" && f.model != d.Info().Model,
		f.floor != "" && f.floor != strconv.Itoa(d.Location().Floor),
		f.tag != "" && !slices.Contains(d.Meta().Tags, f.tag),
		f.room != "" && f.room != d.Location().Room,
		!f.holds(d, now),
		!matches(d, f.words):
		return r, false
	}
	active, worst := p.model.Attention(d.ID)
	r.active, r.rank = active, state.Rank(worst)
	return r, f.state == "" || f.state == string(r.presence) || (f.state == stateFault && active > 0)
}

// Conditions that devices are looked for by.
const (
	conditionBattery = "low_battery"
	conditionSignal  = "weak_signal"
	conditionClock   = "clock_off"
	// conditionMaintenance: it is under maintenance.
	conditionMaintenance = "maintenance"
)

var conditionWords = []string{conditionBattery, conditionSignal, conditionClock, conditionMaintenance}

// From where on a battery is low, in percent, and a signal weak, in dBm. As in rules, 0 counts as absent.
const (
	lowBattery = 20
	weakSignal = -80
)

// holds reports whether a device is in all conditions of the filter.
func (f *deviceFilter) holds(d *state.Device, now int64) bool {
	for _, name := range f.conditions {
		battery, signal := d.Info().Battery, d.Info().SignalStrength
		switch {
		case name == conditionBattery && battery.Present && battery.Value > 0 && battery.Value <= lowBattery,
			name == conditionSignal && signal.Present && signal.Value <= weakSignal,
			name == conditionClock && d.ClockOffset() != 0,
			name == conditionMaintenance && d.Maintenance(now) != nil:
		default:
			return false
		}
	}
	return true
}

// sortRows sorts rows; ties are broken by device id. alerts sorts by need of attention, age from
// the oldest. Devices without a name are sorted by their id, those without a value come last.
func sortRows(rows []row, order string) {
	name, down := strings.CutPrefix(order, "-")
	if sortedSensor(name) != "" {
		sortByValue(rows, down)
		return
	}
	slices.SortFunc(rows, func(a, b row) int {
		var by int
		switch name {
		case "name":
			by = cmp.Compare(cmp.Or(a.d.Meta().Name, a.d.ID), cmp.Or(b.d.Meta().Name, b.d.ID))
		case "building":
			by = cmp.Compare(a.building, b.building)
		case "presence":
			by = cmp.Compare(a.presence, b.presence)
		case "age":
			by = cmp.Compare(a.seen, b.seen)
		case "alerts":
			by = cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.active, a.active))
		default:
			by = cmp.Compare(a.d.ID, b.d.ID)
		}
		if down {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.d.ID, b.d.ID))
	})
}

func sortByValue(rows []row, down bool) {
	slices.SortFunc(rows, func(a, b row) int {
		none, other := math.IsNaN(a.value), math.IsNaN(b.value)
		by := cmp.Compare(a.value, b.value)
		switch {
		case none != other && none:
			return 1
		case none != other:
			return -1
		case down:
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.d.ID, b.d.ID))
	})
}

// describe returns a device for the API. The caller holds a View.
func (p *Portal) describe(d *state.Device, now int64) device {
	active, worst := p.model.Attention(d.ID)
	m := d.Meta()
	v := device{
		DeviceID: d.ID, Location: d.Location(), Info: d.Info(), Gateway: d.Gateway(), Presence: d.Presence(now),
		Since: d.Since(), IntervalMS: d.IntervalMS(), LastSeen: d.Seen(), ActiveAlerts: active, Severity: worst,
		Name: m.Name, Description: m.Description, Tags: append([]string{}, m.Tags...), Revision: m.Revision, ClockOffsetMS: d.ClockOffset(),
	}
	if v.Maintenance = d.Maintenance(now); v.Maintenance != nil {
		v.MaintenanceUntil = v.Maintenance.Until
	}
	if v.LastSeen > 0 {
		age := max(now-v.LastSeen, 0)
		v.AgeMS = &age
	}
	if d.HasReading() {
		v.Backfill, v.ReadingTime = d.Backfill(), d.Timestamp()
		v.Flaws = slices.Clone(d.Flaws())
		v.Reading = append(json.RawMessage(nil), d.Payload()...)
	}
	return v
}
