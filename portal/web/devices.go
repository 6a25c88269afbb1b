package web

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// device is a device in the API. Reading is its newest reading with the statuses set by core, null if
// none has arrived since the portal started.
type device struct {
	DeviceID     string               `json:"device_id"`
	Location     telemetry.Location   `json:"location"`
	Info         telemetry.DeviceInfo `json:"device_info"`
	Gateway      string               `json:"gateway"`
	Presence     telemetry.Presence   `json:"presence"`
	Since        int64                `json:"since,omitempty"`       // ms, when presence last changed
	IntervalMS   int64                `json:"interval_ms,omitempty"` // learned sending interval
	LastSeen     int64                `json:"last_seen,omitempty"`   // ms, time of the newest known reading
	AgeMS        *int64               `json:"age_ms"`                // of that reading; null without one
	Backfill     bool                 `json:"backfill,omitempty"`    // the reading was in a gateway's buffer for a while
	ActiveAlerts int                  `json:"active_alerts"`         // alarms that need attention
	Severity     telemetry.Severity   `json:"severity,omitempty"`    // the worst of them
	Reading      json.RawMessage      `json:"reading"`
}

// deviceAnswer is one device; its age refers to Time, in ms.
type deviceAnswer struct {
	Time int64 `json:"time"`
	device
}

// row has the fields of a device that filters and sort orders need.
type row struct {
	d        *state.Device
	building string
	presence telemetry.Presence
	seen     int64
	active   int
	rank     int
}

// deviceFilter selects devices.
type deviceFilter struct {
	building, gateway, presence, model string
	floor                              string // decimal
	state                              string // a presence, or stateFault
	text                               string // lower case
}

// stateFault is the state of a device with an alarm that needs attention.
const stateFault = "fault"

func readDeviceFilter(c *fiber.Ctx) (deviceFilter, error) {
	f := deviceFilter{
		building: c.Query("building"), gateway: c.Query("gateway"), model: c.Query("model"), floor: c.Query("floor"),
		text: strings.ToLower(c.Query("q")),
	}
	if _, err := strconv.Atoi(f.floor); f.floor != "" && err != nil {
		return f, badParameter("floor", "a whole number")
	}
	var err error
	if f.presence, err = oneOf(c, "presence", "online", "offline", "unknown"); err != nil {
		return f, err
	}
	f.state, err = oneOf(c, "state", "online", "offline", "unknown", stateFault)
	return f, err
}

var sortNames = []string{
	"device_id", "-device_id", "building", "-building", "presence", "-presence", "age", "-age", "alerts", "-alerts",
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
	order, err := oneOf(c, "sort", sortNames...)
	if err != nil {
		return err
	}
	now := p.model.Now()
	rows := p.match(f, now)
	sortRows(rows, order)
	out := list[device]{Total: len(rows), Offset: at.Offset, Time: now, Items: []device{}}
	p.model.View(func() {
		for _, r := range part(rows, at) {
			out.Items = append(out.Items, p.describe(r.d, now))
		}
	})
	out.Count = len(out.Items)
	return c.JSON(out)
}

func (p *Portal) getDevice(c *fiber.Ctx) error {
	id := c.Params("id")
	now := p.model.Now()
	var found *device
	p.model.View(func() {
		if d := p.model.Device(id); d != nil && d.Known() {
			v := p.describe(d, now)
			found = &v
		}
	})
	if found == nil {
		return errNoDevice
	}
	return c.JSON(deviceAnswer{now, *found})
}

// match returns the selected devices, in no particular order.
func (p *Portal) match(f deviceFilter, now int64) []row {
	var rows []row
	p.model.Each(func(d *state.Device) {
		if r, ok := p.rowOf(d, f, now); ok {
			rows = append(rows, r)
		}
	})
	return rows
}

func (p *Portal) rowOf(d *state.Device, f deviceFilter, now int64) (row, bool) {
	r := row{d: d, building: d.Location().Building, presence: d.Presence(now), seen: d.Seen()}
	switch {
	case f.building != "" && f.building != r.building,
		f.gateway != "" && f.gateway != d.Gateway(),
		f.presence != "" && f.presence != string(r.presence),
		f.model != "" && f.model != d.Info().Model,
		f.floor != "" && f.floor != strconv.Itoa(d.Location().Floor),
		f.text != "" && !contains(d, f.text):
		return r, false
	}
	active, worst := p.model.Attention(d.ID)
	r.active, r.rank = active, state.Rank(worst)
	return r, f.state == "" || f.state == string(r.presence) || (f.state == stateFault && active > 0)
}

// contains reports whether a device's id, room, building, model or gateway contains the text.
func contains(d *state.Device, text string) bool {
	l := d.Location()
	for _, s := range [...]string{d.ID, l.Room, l.Building, d.Info().Model, d.Gateway()} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// sortRows sorts rows; ties are broken by device id. alerts sorts by need of attention, age from
// the oldest.
func sortRows(rows []row, order string) {
	name, down := strings.CutPrefix(order, "-")
	slices.SortFunc(rows, func(a, b row) int {
		var by int
		switch name {
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

// describe returns a device for the API. The caller holds a View.
func (p *Portal) describe(d *state.Device, now int64) device {
	active, worst := p.model.Attention(d.ID)
	v := device{
		DeviceID: d.ID, Location: d.Location(), Info: d.Info(), Gateway: d.Gateway(), Presence: d.Presence(now),
		Since: d.Since(), IntervalMS: d.IntervalMS(), LastSeen: d.Seen(), ActiveAlerts: active, Severity: worst,
	}
	if v.LastSeen > 0 {
		age := max(now-v.LastSeen, 0)
		v.AgeMS = &age
	}
	if d.HasReading() {
		v.Backfill = d.Backfill()
		v.Reading = append(json.RawMessage(nil), d.Payload()...)
	}
	return v
}
