package web

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/store"
)

// historyAnswer is the history of one alarm, oldest entry first. Complete means that it starts with
// the alarm's first transition; else the start is in the alarm-audit topic only.
type historyAnswer struct {
	Time     int64          `json:"time"`
	AlertID  string         `json:"alert_id"`
	Total    int            `json:"total"`
	Complete bool           `json:"complete"`
	Items    []*audit.Entry `json:"items"`
}

// historyLimit is the most entries of one alarm that are returned.
const historyLimit = 1000

func (p *Portal) getHistory(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	recent := p.trail.Find(func(e *audit.Entry) bool { return e.AlertID == id })
	found, err := ask(p, paging{Limit: historyLimit}, func() (store.List[*audit.Entry], error) {
		return p.store.Trail(c.UserContext(), &store.TrailQuery{AlertID: id, OldestFirst: true}, store.Page{Limit: historyLimit})
	}, func() []*audit.Entry { return recent })
	if err != nil {
		return err
	}
	items := append([]*audit.Entry{}, found.Items...)
	if n := len(items); n < historyLimit { // what the database has not yet
		items = append(items, slices.DeleteFunc(recent, func(e *audit.Entry) bool { return n > 0 && e.RecordedAt <= items[n-1].RecordedAt })...)
	}
	if len(items) == 0 && p.model.Alert(id) == nil {
		return errNoAlert()
	}
	out := historyAnswer{Time: p.model.Now(), AlertID: id, Total: max(found.Total, len(items)), Items: items}
	out.Complete = len(out.Items) > 0 && out.Items[0].Revision == 1
	return c.JSON(out)
}

// auditAnswer is a part of the audit trail. Since is the time, in ms since 1970, from which the answer
// could have all entries, 0: from the start. Older ones may be in the alarm-audit topic only.
type auditAnswer struct {
	list[*audit.Entry]
	past

	Since int64 `json:"since"`
}

// actionWords are the actions of operators on alarms, auditActions all of theirs.
var actionWords = []string{
	string(telemetry.ActionAcknowledge), string(telemetry.ActionShelve), string(telemetry.ActionUnshelve),
	string(telemetry.ActionOutOfService), string(telemetry.ActionInService), string(telemetry.ActionComment), string(telemetry.ActionAssign),
	string(telemetry.ActionNotAnomaly),
}

var auditActions = append(slices.Clip(actionWords), string(telemetry.ActionRemove), string(telemetry.ActionDescribe),
	string(telemetry.ActionMaintain), string(telemetry.ActionEndMaintenance))

// listAudit returns the actions of operators and of the system, newest first.
func (p *Portal) listAudit(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	order, err := oneOf(c, "sort", "-recorded_at", "recorded_at")
	if err != nil {
		return err
	}
	q, err := parseTrail(c)
	if err != nil {
		return err
	}
	q.OldestFirst = order == "recorded_at"
	found, err := ask(p, at, func() (store.List[*audit.Entry], error) {
		return p.store.Trail(c.UserContext(), q, store.Page(at))
	}, func() []*audit.Entry { return p.trailInMemory(q) })
	if err != nil {
		return err
	}
	out := auditAnswer{past: found.past}
	if !out.Complete {
		out.Since = p.trail.Since()
	}
	out.Total, out.Offset, out.Time = found.Total, at.Offset, p.model.Now()
	out.Items = append([]*audit.Entry{}, found.Items...)
	out.Count = len(out.Items)
	return c.JSON(out)
}

// parseTrail reads the parameters that select entries.
func parseTrail(c *fiber.Ctx) (*store.TrailQuery, error) {
	text := func(name string) string { return strings.Clone(c.Query(name)) }
	r := parser{get: func(name string) string { return c.Query(name) }}
	q := &store.TrailQuery{
		Device: text("device_id"), Building: text("building"), AlertID: text("alert_id"), AlertType: text("alert_type"), Rule: text("rule"),
		By: text("by"), CommandID: text("command_id"), Actions: r.words("action", auditActions), Outcomes: r.words("outcome", auditOutcomes),
		From: r.time("from"), To: r.time("to"),
	}
	return q, r.err
}

// trailInMemory returns what the portal remembers of the audit trail.
func (p *Portal) trailInMemory(q *store.TrailQuery) []*audit.Entry {
	same := func(want, v string) bool { return want == "" || want == v }
	found := p.trail.Find(func(e *audit.Entry) bool {
		return same(q.Device, e.DeviceID) && same(q.Building, e.Building) && same(q.AlertID, e.AlertID) && same(q.AlertType, e.AlertType) &&
			same(q.Rule, e.Rule) && same(q.By, e.By) && same(q.CommandID, e.CommandID) &&
			within(q.Actions, e.Action) && within(q.Outcomes, e.Outcome) &&
			(q.From == 0 || e.RecordedAt >= q.From) && (q.To == 0 || e.RecordedAt < q.To)
	})
	if !q.OldestFirst {
		slices.Reverse(found)
	}
	return found
}
