package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// identity is the caller of a request. Only this file decides who a caller is and what that permits.
// Today every caller is an operator who may view everything, command every alarm and device, change rules, write notes and maintain the
// plant's own programs, under the name in the header X-Operator, which an authenticating proxy can set, or else in the command.
type identity struct {
	Name string // from the header, "" without it
	Role role
}

type role string

const operator role = "operator"

// headerOperator names the operator who makes a request.
const headerOperator = "X-Operator"

// permission is required by a request.
type permission string

const (
	viewPlant    permission = "view"
	alarmCommand permission = "alarm_command"
	// deviceCommand is to name and to remove devices.
	deviceCommand permission = "device_command"
	// keepNotes is to write notes, views and dashboards.
	keepNotes permission = "keep_notes"
	// ruleChange is to propose, approve and withdraw changes of rules.
	ruleChange permission = "rule_change"
	// maintain is to replay dead letters and to change the level of a log.
	maintain permission = "maintain"
)

// may reports whether an identity has a permission.
func (id identity) may(p permission) bool {
	return id.Role == operator && (p == viewPlant || p == alarmCommand || p == deviceCommand || p == keepNotes || p == ruleChange || p == maintain)
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
	c.Locals(identityKey{}, identity{Name: strings.Clone(c.Get(headerOperator)), Role: operator})
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
		if !who(c).may(need) {
			return errForbidden()
		}
		return c.Next()
	}
}

func errForbidden() error {
	return refuse(fiber.StatusForbidden, "forbidden", "not permitted")
}
