package web

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/people"
)

// identity is the caller of a request. Only this file decides who a caller is and what that permits.
// Today every caller may do everything, under the name in the header X-Operator, which an authenticating
// proxy can set, or else in the command.
type identity struct {
	Name string // from the header, "" without it
	Role people.Role
}

// headerOperator names the operator who makes a request.
const headerOperator = "X-Operator"

// permission is required by a request. Every route names one.
type permission string

const (
	// anyone is for what a browser needs before somebody has signed in.
	anyone    permission = "anyone"
	viewPlant permission = "view"
	// investigate is to export, to have an alarm explained, and to read the audit trail.
	investigate  permission = "investigate"
	alarmCommand permission = "alarm_command"
	// alarmsAtLarge is to shelve for longer than a shift, to take an alarm out of service and back, and to command more
	// than mostAtOnce alarms at once.
	alarmsAtLarge permission = "alarms_at_large"
	// deviceCommand is to name and to remove devices, and to put them under maintenance.
	deviceCommand permission = "device_command"
	// keepNotes is to write notes, views, dashboards and plans.
	keepNotes permission = "keep_notes"
	// ruleChange is to try, propose, approve and withdraw changes of rules.
	ruleChange permission = "rule_change"
	// maintain is to replay dead letters, to change the level of a log, and to profile the portal.
	maintain permission = "maintain"
)

// permissions has the least role that has each permission.
var permissions = map[permission]people.Role{
	anyone:        people.Nobody,
	viewPlant:     people.Viewer,
	investigate:   people.Operator,
	alarmCommand:  people.Operator,
	keepNotes:     people.Operator,
	alarmsAtLarge: people.Engineer,
	deviceCommand: people.Engineer,
	ruleChange:    people.Engineer,
	maintain:      people.Engineer,
}

const (
	// shift is for how long an operator may shelve an alarm.
	shift = 8 * time.Hour
	// mostAtOnce is how many alarms an operator may command at once.
	mostAtOnce = 100
)

// may reports whether an identity has a permission.
func (id identity) may(p permission) bool {
	least, known := permissions[p]
	return known && id.Role.Includes(least)
}

// check returns the error of an identity without the permission.
func (id identity) check(p permission) error {
	switch {
	case id.may(p):
		return nil
	case id.Role == people.Nobody:
		return refuse(fiber.StatusUnauthorized, "not_signed_in", "sign in first")
	}
	return refuse(fiber.StatusForbidden, "forbidden", "not permitted")
}

// actor returns the name under which an identity acts; claimed is the name in the command.
func (id identity) actor(claimed string) (string, error) {
	name := claimed
	if id.Name != "" {
		name = id.Name
	}
	if name = strings.TrimSpace(name); name == "" {
		return "", refuse(fiber.StatusBadRequest, "operator_missing", `want the operator's name in "by" or in the header `+headerOperator).at("by")
	}
	return name, nil
}

type identityKey struct{}

// identify determines the caller.
func (p *Portal) identify(c *fiber.Ctx) error {
	c.Locals(identityKey{}, identity{Name: strings.Clone(c.Get(headerOperator)), Role: people.Admin})
	return c.Next()
}

// who returns the identity that identify found.
func who(c *fiber.Ctx) identity {
	id, ok := c.Locals(identityKey{}).(identity)
	if !ok {
		return identity{}
	}
	return id
}

// allow refuses callers without the permission.
func (p *Portal) allow(need permission) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := who(c).check(need); err != nil {
			return err
		}
		return c.Next()
	}
}
