package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/command"
	"industrial-iot-monitor/portal/internal/state"
)

const (
	// mostCommands bounds the alarms of one request.
	mostCommands = 1000
	// longestShelf is the longest time for which an alarm can be shelved.
	longestShelf = 30 * 24 * time.Hour
)

// commandBody has the fields of a command other than alarm and action.
type commandBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID string `json:"command_id"`
	By        string `json:"by"`       // operator; see access.go
	Note      string `json:"note"`     // reason or comment; required by comment and shelve
	Until     int64  `json:"until"`    // of shelve: ms since 1970
	Duration  string `json:"duration"` // of shelve, instead of until: 15m, 8h
	Assignee  string `json:"assignee"` // of assign; empty: unassign
}

// commandsBody is a command to many alarms: those with the ids, or those selected by the filter to
// which the action applies. With device_id and alert_type it is a command to that alarm of
// the device, in any incident or none.
type commandsBody struct {
	commandBody

	Action    telemetry.AlarmAction `json:"action"`
	AlertIDs  []string              `json:"alert_ids"`
	Filter    filterBody            `json:"filter"`
	DeviceID  string                `json:"device_id"`
	AlertType string                `json:"alert_type"`
}

// socketCommand is a command over the WebSocket: to one alarm, or as commandsBody.
type socketCommand struct {
	commandsBody

	AlertID string `json:"alert_id"`
}

// commandResult is the outcome of one command: applied, nothing_to_do, refused (see Reason), pending
// (it is in Kafka, core has not answered yet), failed (not stored in Kafka in time; retry with
// the same command_id) or not_found (unknown alarm; nothing was sent).
type commandResult struct {
	CommandID string                `json:"command_id,omitempty"`
	AlertID   string                `json:"alert_id,omitempty"`
	DeviceID  string                `json:"device_id,omitempty"`
	AlertType string                `json:"alert_type,omitempty"`
	Action    telemetry.AlarmAction `json:"action"`
	Outcome   telemetry.Outcome     `json:"outcome"`
	Reason    string                `json:"reason,omitempty"`
	Event     telemetry.AlarmEvent  `json:"event,omitempty"`
	Revision  int64                 `json:"revision,omitempty"` // of the alarm after it
}

const outcomeNotFound telemetry.Outcome = "not_found"

// commandAnswer answers a command to one alarm: 200, or 202 while its outcome is pending.
type commandAnswer struct {
	Time   int64         `json:"time"`
	Result commandResult `json:"result"`
	Alert  alertJSON     `json:"alert"` // its current state, null if unknown
}

// commandsAnswer answers a command to many alarms: 200, or 202 while some outcomes are pending.
type commandsAnswer struct {
	Time     int64                     `json:"time"`
	Total    int                       `json:"total"`
	Outcomes map[telemetry.Outcome]int `json:"outcomes"`
	Items    []commandResult           `json:"items"`
}

// commandOne handles POST /api/v1/alerts/{id}/{action}.
func (p *Portal) commandOne(c *fiber.Ctx) error {
	action := telemetry.AlarmAction(strings.Clone(c.Params("action")))
	if !slices.Contains(actionWords, string(action)) {
		return fiber.ErrNotFound
	}
	var body commandBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	a := p.model.Alert(c.Params("id"))
	if a == nil {
		return errNoAlert()
	}
	proto, err := p.prototype(who(c), action, body)
	if err != nil {
		return err
	}
	status, answer, err := p.commandAlarm(context.Background(), proto, a)
	if err != nil {
		return err
	}
	return c.Status(status).JSON(answer)
}

// commandMany handles POST /api/v1/alerts/commands.
func (p *Portal) commandMany(c *fiber.Ctx) error {
	var body commandsBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	status, answer, err := p.commandAlarms(context.Background(), who(c), body)
	if err != nil {
		return err
	}
	return c.Status(status).JSON(answer)
}

// prototype returns a command without its alarm.
func (p *Portal) prototype(id identity, action telemetry.AlarmAction, body commandBody) (telemetry.AlarmCommand, error) {
	now := p.model.Now()
	c := telemetry.AlarmCommand{CommandID: body.CommandID, Action: action, At: now, Note: body.Note, Assignee: body.Assignee}
	if action.OfDevice() {
		return c, badField("action", strings.Join(actionWords, ", "))
	}
	var err error
	if c.By, c.Actor, err = id.acts(body.By); err != nil {
		return c, err
	}
	if c.CommandID == "" {
		c.CommandID = "p-" + rand.Text()
	}
	if c.Until, err = shelfEnd(action, body, now); err != nil {
		return c, err
	}
	if c.Until > now+shift.Milliseconds() || action == telemetry.ActionOutOfService || action == telemetry.ActionInService {
		if err := id.check(alarmsAtLarge); err != nil {
			return c, err
		}
	}
	if action == telemetry.ActionShelve && strings.TrimSpace(body.Note) == "" {
		return c, badField("note", "the reason: nothing is shelved without one")
	}
	if body.Assignee != "" && action != telemetry.ActionAssign {
		return c, badField("assignee", "none: only assign has an assignee")
	}
	probe := c // valid names, to check everything else
	probe.DeviceID, probe.AlertType = "x", telemetry.AnomalyType+"x"
	if err := probe.Check(); err != nil {
		return c, wrongCommand(err)
	}
	return c, nil
}

// wrongCommand names the field that failed a command's Check, whose errors begin with it.
func wrongCommand(err error) error {
	text := strings.TrimPrefix(err.Error(), telemetry.ErrCommand.Error()+": ")
	field, _, _ := strings.Cut(text, ": ")
	return refuse(fiber.StatusBadRequest, "bad_field", text).at(field)
}

// shelfEnd returns the end of a shelf, 0 for other actions.
func shelfEnd(action telemetry.AlarmAction, body commandBody, now int64) (int64, error) {
	if action != telemetry.ActionShelve {
		switch {
		case body.Until != 0:
			return 0, badField("until", "none: only shelve has an end")
		case body.Duration != "":
			return 0, badField("duration", "none: only shelve has an end")
		}
		return 0, nil
	}
	switch {
	case body.Duration != "" && body.Until != 0:
		return 0, badField("duration", "this or until, not both")
	case body.Duration != "":
		d, err := time.ParseDuration(body.Duration)
		if err != nil || d < time.Second || d > longestShelf {
			return 0, badField("duration", "a time from 1s to 720h, as in 15m or 8h")
		}
		return now + d.Milliseconds(), nil
	case body.Until <= now || body.Until > now+longestShelf.Milliseconds():
		return 0, badField("until", "a time in the next 30 days, in ms since 1970; or give a duration, as in 1h")
	}
	return body.Until, nil
}

// commandAlarm executes a command to one alarm.
func (p *Portal) commandAlarm(ctx context.Context, c telemetry.AlarmCommand, a *state.Alert) (int, any, error) {
	c.DeviceID, c.AlertType, c.AlertID = a.DeviceID, a.AlertType, a.AlertID
	if err := c.Check(); err != nil {
		return 0, nil, wrongCommand(err)
	}
	r := p.commands.Do(ctx, []telemetry.AlarmCommand{c})[0]
	if err := failed(&r); err != nil {
		return 0, nil, err
	}
	out := commandAnswer{Time: p.model.Now(), Result: resultOf(&r)}
	if r.Alert != nil {
		out.Alert = r.Alert.Raw
	}
	if r.Outcome == command.OutcomePending {
		return fiber.StatusAccepted, out, nil
	}
	return fiber.StatusOK, out, nil
}

func errKafka() *apiError {
	return refuse(fiber.StatusServiceUnavailable, "kafka_unavailable", "command not stored; retry with the same command_id")
}

func resultOf(r *command.Result) commandResult {
	out := commandResult{
		CommandID: r.Command.CommandID, AlertID: r.Command.AlertID, DeviceID: r.Command.DeviceID, AlertType: r.Command.AlertType,
		Action: r.Command.Action, Outcome: r.Outcome,
	}
	switch {
	case r.Entry != nil:
		out.Reason, out.Event, out.Revision = r.Entry.Reason, r.Entry.Event, r.Entry.Revision
		if out.AlertID == "" {
			out.AlertID = r.Entry.AlertID
		}
	case errors.Is(r.Err, command.ErrReused):
		out.Reason = command.ErrReused.Error()
	case r.Err != nil:
		out.Reason = command.ErrUnavailable.Error()
	}
	if out.Outcome == telemetry.OutcomeRefused && out.Reason == "" {
		out.Reason = "core refused it"
	}
	return out
}

// commandAlarms executes a command to many alarms.
func (p *Portal) commandAlarms(ctx context.Context, id identity, body commandsBody) (int, any, error) {
	proto, err := p.prototype(id, body.Action, body.commandBody)
	if err != nil {
		return 0, nil, err
	}
	commands, missing, err := p.targets(proto, body)
	if err != nil {
		return 0, nil, err
	}
	if n := len(commands) + len(missing); n > mostCommands {
		return 0, nil, refuse(fiber.StatusBadRequest, "too_many_alerts",
			fmt.Sprintf("%d alarms match, the limit is %d; nothing was done: narrow the filter", n, mostCommands))
	}
	if len(commands) > mostAtOnce {
		if err := id.check(alarmsAtLarge); err != nil {
			return 0, nil, err
		}
	}
	out := commandsAnswer{Outcomes: make(map[telemetry.Outcome]int), Items: []commandResult{}}
	results := p.commands.Do(ctx, commands)
	for i := range results {
		out.Items = append(out.Items, resultOf(&results[i]))
	}
	for _, alertID := range missing {
		out.Items = append(out.Items, commandResult{AlertID: alertID, Action: body.Action, Outcome: outcomeNotFound, Reason: "unknown alarm"})
	}
	for i := range out.Items {
		out.Outcomes[out.Items[i].Outcome]++
	}
	out.Total, out.Time = len(out.Items), p.model.Now()
	switch {
	case len(results) > 0 && out.Outcomes[command.OutcomeFailed] == len(results) && !errors.Is(results[0].Err, command.ErrReused):
		return 0, nil, errKafka().of(proto.CommandID)
	case out.Outcomes[command.OutcomePending] > 0:
		return fiber.StatusAccepted, out, nil
	}
	return fiber.StatusOK, out, nil
}
