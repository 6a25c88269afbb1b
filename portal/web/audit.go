package web

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
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

func (p *Portal) getHistory(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	found := p.trail.Find(func(e *audit.Entry) bool { return e.AlertID == id })
	if len(found) == 0 && p.model.Alert(id) == nil {
		return errNoAlert()
	}
	out := historyAnswer{Time: p.model.Now(), AlertID: id, Total: len(found), Items: []*audit.Entry{}}
	out.Items = append(out.Items, found...)
	out.Complete = len(found) > 0 && found[0].Revision == 1
	return c.JSON(out)
}

// auditAnswer is a part of the audit trail. Since is the time, in ms since 1970, from which the portal
// has all entries, 0: from the start. Older ones may be in the alarm-audit topic only.
type auditAnswer struct {
	list[*audit.Entry]

	Since int64 `json:"since"`
}

// actionWords are the actions of operators on alarms, auditActions all of theirs.
var actionWords = []string{
	string(telemetry.ActionAcknowledge), string(telemetry.ActionShelve), string(telemetry.ActionUnshelve),
	string(telemetry.ActionOutOfService), string(telemetry.ActionInService), string(telemetry.ActionComment), string(telemetry.ActionAssign),
}

var auditActions = append(slices.Clip(actionWords), string(telemetry.ActionRemove), string(telemetry.ActionDescribe))

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
	r := parser{get: func(name string) string { return c.Query(name) }}
	actions := r.words("action", auditActions)
	outcomes := r.words("outcome", auditOutcomes)
	from, to := r.time("from"), r.time("to")
	if r.err != nil {
		return r.err
	}
	device, alertID, kind, by, command := c.Query("device_id"), c.Query("alert_id"), c.Query("alert_type"), c.Query("by"), c.Query("command_id")
	same := func(want, v string) bool { return want == "" || want == v }
	found := p.trail.Find(func(e *audit.Entry) bool {
		return same(device, e.DeviceID) && same(alertID, e.AlertID) && same(kind, e.AlertType) && same(by, e.By) && same(command, e.CommandID) &&
			within(actions, e.Action) && within(outcomes, e.Outcome) &&
			(from == 0 || e.RecordedAt >= from) && (to == 0 || e.RecordedAt < to)
	})
	if order != "recorded_at" {
		slices.Reverse(found)
	}
	out := auditAnswer{Since: p.trail.Since()}
	out.Total, out.Offset, out.Time = len(found), at.Offset, p.model.Now()
	out.Items = append([]*audit.Entry{}, part(found, at)...)
	out.Count = len(out.Items)
	return c.JSON(out)
}
