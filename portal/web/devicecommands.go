package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/command"
)

// describeBody changes the name, description and tags of a device. A field that is left out stays as
// it is, an empty one is removed.
type describeBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID   string    `json:"command_id"`
	By          string    `json:"by"`          // operator; see access.go
	Name        *string   `json:"name"`        // one line, shown in place of the id
	Description *string   `json:"description"` // may have several lines
	Tags        *[]string `json:"tags"`
	// IfRevision is the revision of the device that the sender has seen. With another one in between
	// nothing is changed.
	IfRevision *int64 `json:"if_revision"`
}

// removeBody says who removes a device, and why.
type removeBody struct {
	// CommandID is chosen by the sender and makes a retry safe. By default the portal generates one.
	CommandID string `json:"command_id"`
	By        string `json:"by"`   // operator; see access.go
	Note      string `json:"note"` // reason
}

// deviceCommandAnswer answers a command to a device: 200, or 202 while its outcome is pending.
type deviceCommandAnswer struct {
	Time   int64         `json:"time"`
	Result commandResult `json:"result"`
	Device *device       `json:"device"` // its current state, null if it is unknown or removed
}

// describeDevice handles PATCH /api/v1/devices/{id}.
func (p *Portal) describeDevice(c *fiber.Ctx) error {
	var body describeBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	proto := telemetry.AlarmCommand{
		CommandID: body.CommandID, Action: telemetry.ActionDescribe,
		Describe: &telemetry.DevicePatch{Name: body.Name, Description: body.Description, Tags: body.Tags, IfRevision: body.IfRevision},
	}
	return p.commandDevice(c, proto, body.By)
}

// removeDevice handles DELETE /api/v1/devices/{id}.
func (p *Portal) removeDevice(c *fiber.Ctx) error {
	var body removeBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	return p.commandDevice(c, telemetry.AlarmCommand{CommandID: body.CommandID, Action: telemetry.ActionRemove, Note: body.Note}, body.By)
}

// commandDevice executes a command to a device.
func (p *Portal) commandDevice(c *fiber.Ctx, cmd telemetry.AlarmCommand, by string) (err error) {
	cmd.DeviceID, cmd.At = strings.Clone(c.Params("id")), p.model.Now()
	if cmd.By, cmd.Actor, err = who(c).acts(by); err != nil {
		return err
	}
	if cmd.CommandID == "" {
		cmd.CommandID = "p-" + rand.Text()
	}
	if p.deviceNow(cmd.DeviceID, cmd.At) == nil && p.trail.Outcome(cmd.CommandID) == nil {
		return errNoDevice
	}
	if err := cmd.Check(); err != nil {
		return wrongCommand(err)
	}
	r := p.commands.Do(context.Background(), []telemetry.AlarmCommand{cmd})[0]
	if err := failed(&r); err != nil {
		return err
	}
	if r.Outcome == command.OutcomePending {
		return c.Status(fiber.StatusAccepted).JSON(p.deviceAnswer(&r))
	}
	return c.JSON(p.deviceAnswer(&r))
}

// deviceAnswer waits until the model has core's change, within a second: outcome and change come
// through different topics.
func (p *Portal) deviceAnswer(r *command.Result) deviceCommandAnswer {
	id := r.Command.DeviceID
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	deadline := time.Now().Add(time.Second)
	for time.Now().Before(deadline) && !p.settled(r) {
		<-tick.C
	}
	now := p.model.Now()
	return deviceCommandAnswer{Time: now, Result: resultOf(r), Device: p.deviceNow(id, now)}
}

// settled reports whether the model has the change of a command to a device.
func (p *Portal) settled(r *command.Result) (done bool) {
	if r.Entry == nil {
		return true
	}
	p.model.View(func() {
		d, m := p.model.Device(r.Command.DeviceID), r.Entry.Meta
		switch {
		case d == nil:
			done = true
		case r.Command.Action == telemetry.ActionRemove:
			done = d.Received() > r.Command.At // it has sent since
		default:
			done = m == nil || d.Meta().Revision >= m.Revision && sameMaintenance(d.Meta().Maintenance, m.Maintenance)
		}
	})
	return done
}

// sameMaintenance reports whether two maintenances, nil for none, are one.
func sameMaintenance(a, b *telemetry.Maintenance) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// lookAgain is the interval of checks for the change of a command.
const lookAgain = 5 * time.Millisecond

// failed returns the error of a command that was not applied, nil if it was or its outcome is pending.
func failed(r *command.Result) error {
	id := r.Command.CommandID
	switch {
	case errors.Is(r.Err, command.ErrReused):
		return refuse(fiber.StatusConflict, "command_id_reused", "this command_id was used for another command").at("command_id").of(id)
	case r.Err != nil:
		return errKafka().of(id)
	case r.Outcome == telemetry.OutcomeConflict:
		return refuse(fiber.StatusConflict, "conflict", conflictMessage(r.Entry.Meta)).at("if_revision").of(id)
	case r.Outcome == telemetry.OutcomeRefused:
		return refuse(fiber.StatusConflict, "command_refused", resultOf(r).Reason).of(id)
	}
	return nil
}

func conflictMessage(m *telemetry.DeviceMeta) string {
	if m == nil || m.By == "" {
		return "changed in between; nothing was done"
	}
	return fmt.Sprintf("%s changed it in between, to revision %d; nothing was done", m.By, m.Revision)
}
