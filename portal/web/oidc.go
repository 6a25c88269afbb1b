package web

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/openid"
	"industrial-iot-monitor/portal/internal/people"
)

// oidcPath is where signing in at the OpenID provider begins. The provider sends the browser back to /callback below.
const oidcPath = "/signin/oidc"

// attemptSuffix ends the name of the cookie that holds a sign-in on its way, attemptFor is how long.
const (
	attemptSuffix = "-oidc"
	attemptFor    = 10 * time.Minute
)

var (
	errNoOIDC   = refuse(fiber.StatusConflict, "sign_in_off", "nobody signs in at an OpenID provider here; see PORTAL_AUTH")
	errOIDCAway = refuse(fiber.StatusServiceUnavailable, "provider_unavailable", "the OpenID provider gives no answer; see the portal's log")
)

// redirect is the address that the provider sends the browser back to. The host is one of the portal's, see harden.
func (p *Portal) redirect(c *fiber.Ctx) string {
	return p.scheme(c) + "://" + p.host(c) + oidcPath + "/callback"
}

// mayUseOIDC returns an error if nobody can sign in like that from there.
func (p *Portal) mayUseOIDC(c *fiber.Ctx) error {
	switch {
	case p.openID == nil:
		return errNoOIDC
	case p.cookieName(c) == secureCookie && p.scheme(c) != "https":
		return errPlain
	}
	return nil
}

// attempt returns the cookie of a sign-in on its way. Browsers send it with the way back, too, which begins at another site.
func (p *Portal) attempt(c *fiber.Ctx, keep string) *fiber.Cookie {
	k := p.cookie(c, keep)
	k.Name += attemptSuffix
	if keep != "" {
		k.SessionOnly, k.MaxAge = false, int(attemptFor.Seconds())
	}
	return k
}

// beginOIDC handles GET /signin/oidc.
func (p *Portal) beginOIDC(c *fiber.Ctx) error {
	if err := p.mayUseOIDC(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	to, keep, err := p.openID.Begin(ctx, p.redirect(c))
	if err != nil {
		p.log.Warn("provider of identities unavailable", "issuer", p.cfg.OIDC.Issuer, "err", err)
		return errOIDCAway
	}
	c.Cookie(p.attempt(c, keep))
	return c.Redirect(to, fiber.StatusFound)
}

// finishOIDC handles GET /signin/oidc/callback.
func (p *Portal) finishOIDC(c *fiber.Ctx) error {
	if err := p.mayUseOIDC(c); err != nil {
		return err
	}
	kept := strings.Clone(c.Cookies(p.cookieName(c) + attemptSuffix))
	c.Cookie(p.attempt(c, ""))
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	person, err := p.openID.Finish(ctx, p.redirect(c), kept, strings.Clone(c.Query("state")), strings.Clone(c.Query("code")))
	credential := ""
	if err == nil {
		credential, err = p.people.Begin(ctx, person.Name, person.Role, p.place(c))
	}
	switch {
	case err == nil:
		p.noteOIDC(ctx, c, credential, nil)
		c.Cookie(p.cookie(c, credential))
		return c.Redirect("/", fiber.StatusFound)
	case errors.Is(err, openid.ErrUnavailable):
		p.log.Warn("provider of identities unavailable", "issuer", p.cfg.OIDC.Issuer, "err", err)
		return errOIDCAway
	}
	p.noteOIDC(ctx, c, "", err)
	p.log.Warn("sign-in refused", "name", person.Name, "from", p.place(c), "via", people.ViaOIDC, "err", err)
	switch {
	case errors.Is(err, openid.ErrRefused):
		return refuse(fiber.StatusUnauthorized, "sign_in_refused", "the sign-in was refused: begin again at "+oidcPath)
	case errors.Is(err, openid.ErrNoRole):
		return refuse(fiber.StatusForbidden, "no_role", openid.ErrNoRole.Error())
	}
	return p.peopleError(c, err)
}
