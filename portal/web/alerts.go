package web

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/state"
)

// alertSorts are the sort orders of a list of alarms. The default is the first one: unacknowledged,
// acknowledged, set aside, closed; in each group by priority, then newest first. Closed alarms
// are sorted by time only.
var alertSorts = []string{
	"attention", "priority", "-priority", "raised_at", "-raised_at", "timestamp", "-timestamp", "device_id", "-device_id",
	"building", "-building", "occurrence_count", "-occurrence_count",
}

// listAlerts returns each alarm once, by its newest record.
func (p *Portal) listAlerts(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	order, err := oneOf(c, "sort", alertSorts...)
	if err != nil {
		return err
	}
	f, err := parseFilter(func(name string) string { return c.Query(name) })
	if err != nil {
		return err
	}
	found := p.find(&f)
	p.sortAlerts(found, order)
	out := list[alertJSON]{Total: len(found), Offset: at.Offset, Time: p.model.Now(), Items: []alertJSON{}}
	for _, a := range part(found, at) {
		out.Items = append(out.Items, a.Raw)
	}
	out.Count = len(out.Items)
	return c.JSON(out)
}

func (p *Portal) sortAlerts(list []*state.Alert, order string) {
	name, down := strings.CutPrefix(order, "-")
	by := compareAlerts
	switch name {
	case "priority":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.Priority, b.Priority) }
	case "raised_at":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.RaisedAt, b.RaisedAt) }
	case "timestamp":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.Timestamp, b.Timestamp) }
	case "device_id":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.DeviceID, b.DeviceID) }
	case "building":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.Location.Building, b.Location.Building) }
	case "occurrence_count":
		by = func(a, b *state.Alert) int { return cmp.Compare(a.OccurrenceCount, b.OccurrenceCount) }
	}
	slices.SortFunc(list, func(a, b *state.Alert) int {
		n := by(a, b)
		if down {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(b.RaisedAt, a.RaisedAt), cmp.Compare(a.AlertID, b.AlertID))
	})
}

// urgency is an alarm's group in the default order.
func urgency(a *state.Alert) int {
	switch {
	case !a.Open():
		return 3
	case a.Aside():
		return 2
	case a.Unseen():
		return 0
	}
	return 1
}

func compareAlerts(a, b *state.Alert) int {
	at := urgency(a)
	if n := cmp.Compare(at, urgency(b)); n != 0 {
		return n
	}
	if at == 3 {
		return cmp.Compare(b.Timestamp, a.Timestamp)
	}
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.RaisedAt, a.RaisedAt))
}

// alertAnswer is one alarm.
type alertAnswer struct {
	Time  int64     `json:"time"`
	Alert alertJSON `json:"alert"`
}

func errNoAlert() *apiError {
	return refuse(fiber.StatusNotFound, "alert_not_found", "no alarm with this id is known; those that are over are kept for a while only")
}

func (p *Portal) getAlert(c *fiber.Ctx) error {
	a := p.model.Alert(c.Params("id"))
	if a == nil {
		var err error
		if a, err = p.pastAlert(c, strings.Clone(c.Params("id"))); err != nil {
			return err
		}
	}
	if a == nil {
		return errNoAlert()
	}
	return c.JSON(alertAnswer{Time: p.model.Now(), Alert: a.Raw})
}
