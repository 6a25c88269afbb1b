package web

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/people"
)

// listUsers handles GET /api/v1/users.
func (p *Portal) listUsers(c *fiber.Ctx) error {
	if !p.cfg.uses(authLocal) {
		return errNoLocal
	}
	all, err := p.people.Users(c.UserContext())
	if err != nil {
		return p.peopleError(c, err)
	}
	items := make([]userItem, len(all))
	for i := range all {
		u := &all[i]
		items[i] = userItem{u.Name, string(u.Role), u.Disabled, u.CreatedAt, u.CreatedBy, u.ChangedAt, u.ChangedBy, u.SignedInAt}
	}
	return c.JSON(list[userItem]{Total: len(items), Count: len(items), Time: p.model.Now(), Items: items})
}

// addUser handles POST /api/v1/users.
func (p *Portal) addUser(c *fiber.Ctx) error {
	var body newUserBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	if !p.cfg.uses(authLocal) {
		return errNoLocal
	}
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	id := who(c)
	err := p.administer(id, securityaudit.UserAdd, body.Name, body.Role, func(*securityaudit.Record) error {
		return p.people.AddUser(ctx, id.Name, body.Name, people.Role(body.Role), body.Password)
	})
	p.noted(id, err, "person added", "person", body.Name, "role", body.Role)
	return p.finish(c, err, false)
}

// changeUser handles PATCH /api/v1/users/{name}.
func (p *Portal) changeUser(c *fiber.Ctx) error {
	var body userBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	if !p.cfg.uses(authLocal) {
		return errNoLocal
	}
	name, err := url.PathUnescape(strings.Clone(c.Params("name")))
	if err != nil {
		return errNoUser
	}
	change := people.Change{Disabled: body.Disabled, Password: body.Password}
	if body.Role != nil {
		role := people.Role(*body.Role)
		change.Role = &role
	}
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	id := who(c)
	err = p.administer(id, securityaudit.UserChange, name, change.String(), func(*securityaudit.Record) error { return p.people.ChangeUser(ctx, id.Name, name, change) })
	p.noted(id, err, "person changed", "person", name, "role", change.Role, "disabled", change.Disabled, "password", change.Password != nil)
	return p.finish(c, err, false)
}

// listTokens handles GET /api/v1/tokens.
func (p *Portal) listTokens(c *fiber.Ctx) error {
	if !p.cfg.uses(authToken) {
		return errNoToken
	}
	all, err := p.people.Tokens(c.UserContext())
	if err != nil {
		return p.peopleError(c, err)
	}
	items := make([]tokenItem, len(all))
	for i := range all {
		items[i] = showToken(&all[i])
	}
	return c.JSON(list[tokenItem]{Total: len(items), Count: len(items), Time: p.model.Now(), Items: items})
}

func showToken(t *people.Token) tokenItem {
	return tokenItem{t.ID, t.Name, string(t.Role), t.ActsAs, t.CreatedAt, t.CreatedBy, t.ExpiresAt, t.RevokedAt, t.RevokedBy, t.UsedAt}
}

// addToken handles POST /api/v1/tokens.
func (p *Portal) addToken(c *fiber.Ctx) error {
	var body newTokenBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	if !p.cfg.uses(authToken) {
		return errNoToken
	}
	var ttl config.Age
	if err := ttl.UnmarshalText([]byte(body.TTL)); err != nil {
		return badField("ttl", "a time such as 90d or 12h")
	}
	id := who(c)
	n := people.NewToken{Name: body.Name, Role: people.Role(body.Role), TTL: time.Duration(ttl), ActsAs: body.ActAs}
	var secret string
	var token people.Token
	err := p.administer(id, securityaudit.TokenAdd, n.Name, n.String(), func(r *securityaudit.Record) (err error) {
		secret, token, err = p.people.AddToken(c.UserContext(), id.Name, n)
		r.Detail += ", id " + token.ID
		return err
	})
	p.noted(id, err, "token added", "token", token.ID, "for", body.Name, "role", body.Role)
	if err != nil {
		return p.peopleError(c, err)
	}
	return c.JSON(tokenAnswer{Secret: secret, Token: showToken(&token)})
}

// revokeToken handles DELETE /api/v1/tokens/{id}.
func (p *Portal) revokeToken(c *fiber.Ctx) error {
	if !p.cfg.uses(authToken) {
		return errNoToken
	}
	id, token := who(c), strings.Clone(c.Params("id"))
	err := p.administer(id, securityaudit.TokenRevoke, token, "", func(*securityaudit.Record) error { return p.people.RevokeToken(c.UserContext(), id.Name, token) })
	p.noted(id, err, "token revoked", "token", token)
	if errors.Is(err, people.ErrUnknown) {
		return refuse(fiber.StatusNotFound, "token_not_found", "no such token")
	}
	return p.finish(c, err, false)
}

// noted logs what an administrator did.
func (p *Portal) noted(id identity, err error, what string, args ...any) {
	if err == nil {
		p.log.Info("who may use the portal has changed", append(args, "what", what, "by", id.Name, "session", id.session)...)
	}
}
