package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// identity is who makes a request, as far as we know. This file is the one place where
// that, and what follows from it, is decided. Today everybody is an operator who may look
// at everything and command every alarm, under the name that the request gives: in the
// header X-Operator, which a proxy that signs people in can set, or else in the command
// itself.
type identity struct {
	Name string // as the header gives it, "" when it does not
	Role role
}

type role string

const operator role = "operator"

// headerOperator names the operator who makes a request.
const headerOperator = "X-Operator"

// permission is something that a request may need.
type permission string

const (
	viewPlant    permission = "view"
	alarmCommand permission = "alarm_command"
)

// may tells what an identity is permitted.
func (id identity) may(p permission) bool {
	return id.Role == operator && (p == viewPlant || p == alarmCommand)
}

// actor returns under which name an identity does what it asks for; claimed is the name that
// the command itself gives.
func (id identity) actor(claimed string) (string, error) {
	name := claimed
	if id.Name != "" {
		name = id.Name
	}
	if name = strings.TrimSpace(name); name == "" {
		return "", refuse(fiber.StatusBadRequest, "operator_missing", `say who you are: a name in "by", or in the header `+headerOperator).at("by")
	}
	return name, nil
}

type identityKey struct{}

// identify decides who makes the request.
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

// allow lets only those pass who have the permission.
func (p *Portal) allow(need permission) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if !who(c).may(need) {
			return errForbidden()
		}
		return c.Next()
	}
}

func errForbidden() error {
	return refuse(fiber.StatusForbidden, "forbidden", "you may not do this")
}
