package web

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gofiber/fiber/v2"
)

// socketResult answers a command over the WebSocket: Status is that of the REST API, Result or Error
// its body.
type socketResult struct {
	Type      string     `json:"type"`
	CommandID string     `json:"command_id,omitempty"`
	Status    int        `json:"status"`
	Result    any        `json:"result,omitempty"`
	Error     *errorBody `json:"error,omitempty"`
}

// socketCommands handles the commands of a connection opened by id; payer pays for them. Each one asks again what id may.
func (p *Portal) socketCommands(id identity, payer string) func(context.Context, json.RawMessage) any {
	return func(ctx context.Context, raw json.RawMessage) any {
		var body socketCommand
		out := socketResult{Type: "command_result"}
		err := decode(raw, &body)
		out.CommandID = body.CommandID
		if err == nil {
			err = tooOften(p.orders.Allow(ctx, payer, 1))
		}
		var now identity
		if err == nil {
			now, err = p.renew(ctx, id)
		}
		if err == nil {
			out.Status, out.Result, err = p.socketCommand(ctx, now, body)
		}
		if err == nil {
			return out
		}
		e, ours := errors.AsType[*apiError](err)
		if !ours {
			p.log.Error("command failed", "err", err)
			e = refuse(fiber.StatusInternalServerError, "internal", "internal error; see the portal's log")
		}
		p.noteRefused(now, "WebSocket "+string(body.Action), e)
		if out.CommandID == "" {
			out.CommandID = e.body.CommandID
		}
		out.Status, out.Error, out.Result = e.status, &e.body, nil
		return out
	}
}

func (p *Portal) socketCommand(ctx context.Context, id identity, body socketCommand) (int, any, error) {
	if err := id.check(alarmCommand); err != nil {
		return 0, nil, err
	}
	if body.AlertID == "" {
		return p.commandAlarms(ctx, id, body.commandsBody)
	}
	if body.AlertIDs != nil || body.Filter != nil || body.DeviceID != "" || body.AlertType != "" {
		return 0, nil, badField("alert_id", "alert_id alone, without alert_ids, filter, device_id and alert_type")
	}
	a := p.model.Alert(body.AlertID)
	if a == nil {
		return 0, nil, errNoAlert()
	}
	proto, err := p.prototype(id, body.Action, body.commandBody)
	if err != nil {
		return 0, nil, err
	}
	return p.commandAlarm(ctx, proto, a)
}
