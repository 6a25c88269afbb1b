package web

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/people"
)

// sessionAnswer tells a browser who is signed in, and how to sign in.
type sessionAnswer struct {
	Time int64 `json:"time"`
	// Auth are the ways to sign in: local, token, oidc, proxy; off if nobody has to.
	Auth []string `json:"auth"`
	// Person is who is signed in, null for nobody.
	Person *signedIn `json:"person"`
	// Permissions are those of the caller.
	Permissions []string `json:"permissions"`
}

// signedIn is who is signed in.
type signedIn struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// Via is how they proved it: local, token, oidc, proxy.
	Via string `json:"via"`
	// EndsAt is when the session or token ends at the latest, 0 for others.
	EndsAt int64 `json:"ends_at"`
}

// signInBody is a name and a password.
type signInBody struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// passwordBody changes the own password.
type passwordBody struct {
	Old      string `json:"old"`
	Password string `json:"password"`
}

// userItem is a person who may sign in.
type userItem struct {
	Name      string `json:"name"`
	Role      string `json:"role"`
	Disabled  bool   `json:"disabled"`
	CreatedAt int64  `json:"created_at"`
	CreatedBy string `json:"created_by"`
	ChangedAt int64  `json:"changed_at"`
	ChangedBy string `json:"changed_by"`
	// SignedInAt is when they signed in last, 0: never.
	SignedInAt int64 `json:"signed_in_at"`
}

// newUserBody adds a person.
type newUserBody struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	Password string `json:"password"`
}

// userBody changes a person; what is left out stays.
type userBody struct {
	Role     *string `json:"role"`
	Disabled *bool   `json:"disabled"`
	Password *string `json:"password"`
}

// tokenItem is a token of a program, without what proves it.
type tokenItem struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
	// ActAs: it may say in "by" for whom it acts.
	ActAs     bool   `json:"act_as"`
	CreatedAt int64  `json:"created_at"`
	CreatedBy string `json:"created_by"`
	ExpiresAt int64  `json:"expires_at"`
	// RevokedAt is 0 for one that was not.
	RevokedAt int64  `json:"revoked_at"`
	RevokedBy string `json:"revoked_by"`
	// UsedAt is when it was used last, to half a minute; 0: never.
	UsedAt int64 `json:"used_at"`
}

// newTokenBody adds a token.
type newTokenBody struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// TTL is for how long it holds: 90d, 12h.
	TTL string `json:"ttl"`
	// ActAs lets it say in "by" for whom it acts; the audit trail has that as claimed_by.
	ActAs bool `json:"act_as"`
}

// tokenAnswer has a new token, which is shown this once.
type tokenAnswer struct {
	Secret string    `json:"secret"`
	Token  tokenItem `json:"token"`
}

// done answers what has nothing to tell.
type done struct {
	Time int64 `json:"time"`
}

var (
	errNoLocal = refuse(fiber.StatusConflict, "sign_in_off", "nobody signs in with a password here; see PORTAL_AUTH")
	errNoToken = refuse(fiber.StatusConflict, "tokens_off", "no tokens are taken here; see PORTAL_AUTH")
	errPlain   = refuse(fiber.StatusForbidden, "https_needed", "people sign in over HTTPS, or on this machine; a proxy in front has to be in PORTAL_TRUSTED_PROXIES and send X-Forwarded-Proto")
	errNoUser  = refuse(fiber.StatusNotFound, "user_not_found", "no such person")
	errNoPass  = refuse(fiber.StatusConflict, "no_password", "who is signed in has no password and no session here")
)

// peopleError returns what a client is told of an error of package people.
func (p *Portal) peopleError(c *fiber.Ctx, err error) error {
	if delayed, ok := errors.AsType[*people.DelayedError](err); ok {
		c.Set(fiber.HeaderRetryAfter, strconv.FormatFloat(math.Ceil(delayed.Wait.Seconds()), 'f', 0, 64))
		return refuse(fiber.StatusTooManyRequests, "too_many_attempts", err.Error())
	}
	switch {
	case errors.Is(err, errNoAudit):
		return err
	case errors.Is(err, people.ErrWrong):
		return refuse(fiber.StatusUnauthorized, "wrong_password", err.Error())
	case errors.Is(err, people.ErrBusy):
		c.Set(fiber.HeaderRetryAfter, "1")
		return refuse(fiber.StatusTooManyRequests, "too_many_attempts", err.Error())
	case errors.Is(err, people.ErrInvalid):
		text := strings.TrimPrefix(err.Error(), people.ErrInvalid.Error()+": ")
		field, _, _ := strings.Cut(text, ": ")
		return refuse(fiber.StatusBadRequest, "bad_field", text).at(field)
	case errors.Is(err, people.ErrUnknown):
		return errNoUser
	case errors.Is(err, people.ErrTaken):
		return refuse(fiber.StatusConflict, "name_taken", err.Error()).at("name")
	case errors.Is(err, people.ErrLastAdmin):
		return refuse(fiber.StatusConflict, "last_admin", err.Error())
	}
	return p.noStore(err)
}

// signInWithin bounds a sign-in, which may wait for others.
const signInWithin = 10 * time.Second

// getSession handles GET /api/v1/session.
func (p *Portal) getSession(c *fiber.Ctx) error { return c.JSON(p.session(who(c))) }

func (p *Portal) session(id identity) sessionAnswer {
	out := sessionAnswer{Time: p.model.Now(), Auth: p.cfg.Auth, Permissions: id.permissions()}
	if p.cfg.off() {
		out.Auth = []string{authOff}
	}
	if id.Via != "" {
		out.Person = &signedIn{Name: id.Name, Role: string(id.Role), Via: id.Via, EndsAt: id.endsAt}
	}
	return out
}

// signIn handles POST /api/v1/session.
func (p *Portal) signIn(c *fiber.Ctx) error {
	var body signInBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	name := p.cookieName(c)
	switch {
	case !p.cfg.uses(authLocal):
		return errNoLocal
	case name == secureCookie && p.scheme(c) != "https":
		return errPlain
	}
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	credential, err := p.people.SignIn(ctx, body.Name, body.Password, p.place(c))
	if err != nil {
		p.noteSignIn(ctx, identity{Via: people.ViaLocal, address: p.address(c)}, body.Name, err)
		return p.peopleError(c, err)
	}
	id, err := p.proved(ctx, credential, people.KindSession, true)
	if err != nil {
		return err
	}
	id.address = p.address(c)
	p.noteSignIn(ctx, id, "", nil)
	c.Cookie(p.cookie(c, credential))
	return c.JSON(p.session(id))
}

// place returns the address that attempts to sign in count against.
func (p *Portal) place(c *fiber.Ctx) string {
	if from := p.caller(c); from.IsValid() {
		return from.String()
	}
	return "this machine"
}

// address returns the one that a request came from, as far as trusted proxies tell, for the audit.
func (p *Portal) address(c *fiber.Ctx) string {
	if from := p.caller(c); from.IsValid() {
		return from.String()
	}
	return remoteIP(c).String()
}

// cookie returns the cookie of a session; it ends with the browser, or with the session. With an empty
// credential it removes it.
func (p *Portal) cookie(c *fiber.Ctx, credential string) *fiber.Cookie {
	name := p.cookieName(c)
	k := &fiber.Cookie{Name: name, Value: credential, Path: "/", Secure: name == secureCookie, HTTPOnly: true, SameSite: fiber.CookieSameSiteLaxMode, SessionOnly: true}
	if credential == "" {
		k.SessionOnly, k.Expires = false, time.Unix(0, 0)
	}
	return k
}

// hasSession reports whether a session proves the identity.
func (id identity) hasSession() bool { return id.Via == people.ViaLocal || id.Via == people.ViaOIDC }

// signOut handles DELETE /api/v1/session.
func (p *Portal) signOut(c *fiber.Ctx) error {
	id := who(c)
	if !id.hasSession() {
		return errNoPass
	}
	err := p.people.SignOut(c.UserContext(), id.credential)
	p.noteOwn(id, securityaudit.SignOut, "", err)
	return p.finish(c, err, true)
}

// signOutEverywhere handles DELETE /api/v1/sessions.
func (p *Portal) signOutEverywhere(c *fiber.Ctx) error {
	id := who(c)
	if !id.hasSession() {
		return errNoPass
	}
	err := p.people.SignOutEverywhere(c.UserContext(), id.Via, id.Name)
	p.noteOwn(id, securityaudit.SignOut, "everywhere", err)
	return p.finish(c, err, true)
}

// setOwnPassword handles PUT /api/v1/session/password.
func (p *Portal) setOwnPassword(c *fiber.Ctx) error {
	id := who(c)
	if id.Via != people.ViaLocal {
		return errNoPass
	}
	var body passwordBody
	if err := decode(c.Request().Body(), &body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), signInWithin)
	defer cancel()
	err := p.people.SetOwnPassword(ctx, id.credential, id.Name, body.Old, body.Password, p.place(c))
	p.noteOwn(id, securityaudit.PasswordChange, "", err)
	return p.finish(c, err, false)
}

// finish answers a change.
func (p *Portal) finish(c *fiber.Ctx, err error, signedOut bool) error {
	if err != nil {
		return p.peopleError(c, err)
	}
	if signedOut {
		c.Cookie(p.cookie(c, ""))
	}
	return c.JSON(done{p.model.Now()})
}
