package web

import (
	"github.com/gofiber/fiber/v2"
)

// identity is who makes a request, as far as we know. This file is the one place where
// that, and what follows from it, is decided. Today everybody is an operator without a
// name who may look at everything.
type identity struct {
	Name string
	Role role
}

type role string

const operator role = "operator"

// permission is something that a request may need.
type permission string

const viewPlant permission = "view"

// may tells what an identity is permitted.
func (id identity) may(p permission) bool {
	return id.Role == operator && p == viewPlant
}

type identityKey struct{}

// identify decides who makes the request.
func (p *Portal) identify(c *fiber.Ctx) error {
	c.Locals(identityKey{}, identity{Name: "anonymous", Role: operator})
	return c.Next()
}

// allow lets only those pass who have the permission.
func (p *Portal) allow(need permission) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, ok := c.Locals(identityKey{}).(identity)
		if !ok || !id.may(need) {
			return &apiError{fiber.StatusForbidden, "forbidden", "you may not do this"}
		}
		return c.Next()
	}
}
