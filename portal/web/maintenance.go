package web

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
)

// maintainBody puts a device under maintenance.
type maintainBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID string `json:"command_id"`
	By        string `json:"by"`       // operator; see access.go
	Until     int64  `json:"until"`    // ms since 1970
	Duration  string `json:"duration"` // instead of until: from now
	Reason    string `json:"reason"`
}

// endMaintenanceBody ends it.
type endMaintenanceBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID string `json:"command_id"`
	By        string `json:"by"` // operator; see access.go
	Note      string `json:"note"`
}

// maintainDevice handles PUT /api/v1/devices/{id}/maintenance.
func (p *Portal) maintainDevice(c *fiber.Ctx) error {
	var body maintainBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	until, err := maintenanceEnd(&body, p.model.Now())
	if err != nil {
		return err
	}
	return p.commandDevice(c, telemetry.AlarmCommand{
		CommandID: body.CommandID, Action: telemetry.ActionMaintain, Until: until, Note: body.Reason,
	}, body.By)
}

// endMaintenance handles DELETE /api/v1/devices/{id}/maintenance.
func (p *Portal) endMaintenance(c *fiber.Ctx) error {
	var body endMaintenanceBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	return p.commandDevice(c, telemetry.AlarmCommand{CommandID: body.CommandID, Action: telemetry.ActionEndMaintenance, Note: body.Note}, body.By)
}

func maintenanceEnd(body *maintainBody, now int64) (int64, error) {
	switch {
	case body.Duration != "" && body.Until != 0:
		return 0, badField("duration", "this or until, not both")
	case body.Duration != "":
		d, err := time.ParseDuration(body.Duration)
		if err != nil || d < time.Second || d.Milliseconds() > telemetry.MaxMaintenanceMS {
			return 0, badField("duration", "a time from 1s to 2160h, as in 4h")
		}
		return now + d.Milliseconds(), nil
	case body.Until <= now || body.Until > now+telemetry.MaxMaintenanceMS:
		return 0, badField("until", "a time in the next 90 days, in ms since 1970; or give a duration, as in 4h")
	}
	return body.Until, nil
}
