package web

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/audit"
)

// historyAnswer is what happened to one alarm, oldest first. Complete tells that it begins
// with the alarm's first transition; else the beginning is in the alarm-audit topic only.
type historyAnswer struct {
	Time     int64          `json:"time"`
	AlertID  string         `json:"alert_id"`
	Total    int            `json:"total"`
	Complete bool           `json:"complete"`
	Items    []*audit.Entry `json:"items"`
}

func (p *Portal) getHistory(c *fiber.Ctx) error {
	if err := knownParameters(c); err != nil {
		return err
	}
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

// auditAnswer is a part of the audit trail. Since is the time, in ms, from which on it is
// whole here, 0 when it is whole from its beginning: what is older may be in the alarm-audit
// topic only.
type auditAnswer struct {
	list[*audit.Entry]

	Since int64 `json:"since"`
}

// actionWords are what operators can do.
var actionWords = []string{
	string(telemetry.ActionAcknowledge), string(telemetry.ActionShelve), string(telemetry.ActionUnshelve),
	string(telemetry.ActionOutOfService), string(telemetry.ActionInService), string(telemetry.ActionComment), string(telemetry.ActionAssign),
}

// listAudit shows who did what, and what happened by itself, the newest first.
func (p *Portal) listAudit(c *fiber.Ctx) error {
	err := knownParameters(c, "device_id", "alert_id", "alert_type", "by", "action", "outcome", "command_id", "from", "to", "sort", "limit", "offset")
	if err != nil {
		return err
	}
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	order, err := oneOf(c, "sort", "-recorded_at", "recorded_at")
	if err != nil {
		return err
	}
	r := parser{get: func(name string) string { return c.Query(name) }}
	actions := r.words("action", actionWords)
	outcomes := r.words("outcome", []string{string(telemetry.OutcomeApplied), string(telemetry.OutcomeNothing), string(telemetry.OutcomeRefused)})
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
