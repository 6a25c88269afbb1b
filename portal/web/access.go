package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/store"
)

// identity is the caller of a request. Only this file decides who a caller is and what that permits.
type identity struct {
	Name string // "" for nobody, and for those who may name themselves (PORTAL_AUTH=off)
	Role people.Role
	Via  string // people.ViaLocal and so on, viaProxy, or "" for nobody
	// session is the name of the session or token, endsAt when it ends at the latest, in ms.
	session string
	endsAt  int64
	// address is the one that the request came from, as far as trusted proxies tell.
	address string
	// actsAs: it may name a person for whom it acts.
	actsAs bool
	// credential proves it, "" if nothing of its own does.
	credential string
	// passing: nobody signed in, and PORTAL_ANONYMOUS_ROLE lets them see.
	passing bool
	// trouble is why it is not known who the caller is, though they showed something.
	trouble error
}

// viaProxy is the way of an identity that a trusted proxy vouches for.
const viaProxy = "proxy"

// headerOperator names the operator who makes a request, with PORTAL_AUTH=off.
const headerOperator = "X-Operator"

// tokenMark begins the name of a program, so that none passes for a person: no name of a person has a colon.
const tokenMark = "token:"

// permission is required by a request. Every route names one.
type permission string

const (
	// anyone is for what a browser needs before a person has signed in.
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
	// managePeople is to say who may use the portal, and to read the security audit.
	managePeople permission = "manage_people"
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
	managePeople:  people.Admin,
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

// permissions returns all that an identity has, without what anybody may do.
func (id identity) permissions() []string {
	out := []string{}
	for _, need := range permissionWords {
		if need != string(anyone) && id.may(permission(need)) {
			out = append(out, need)
		}
	}
	return out
}

// check returns the error of an identity without the permission.
func (id identity) check(p permission) error {
	switch {
	case id.may(p):
		return nil
	case id.trouble != nil:
		return id.trouble
	case id.Role == people.Nobody || id.passing:
		return errNotSignedIn
	}
	return refuse(fiber.StatusForbidden, "forbidden", "not permitted")
}

var errNotSignedIn = refuse(fiber.StatusUnauthorized, "not_signed_in", "sign in first")

// actor returns the name under which an identity acts; claimed is the name in the command, which counts only if the
// identity has none.
func (id identity) actor(claimed string) (string, error) {
	if len(claimed) > telemetry.MaxOperator {
		return "", badField("by", fmt.Sprintf("at most %d bytes", telemetry.MaxOperator))
	}
	name := claimed
	if id.Name != "" {
		name = id.Name
	}
	if name = strings.TrimSpace(name); name == "" {
		return "", refuse(fiber.StatusBadRequest, "operator_missing", `want the operator's name in "by" or in the header `+headerOperator).at("by")
	}
	return name, nil
}

// acts returns the name under which an identity commands, as actor does, and what else the audit trail has of it.
func (id identity) acts(claimed string) (by string, a telemetry.Actor, err error) {
	if by, err = id.actor(claimed); err != nil {
		return "", a, err
	}
	a = telemetry.Actor{Via: id.Via, Address: id.address, Session: id.session}
	if id.actsAs {
		a.ClaimedBy = strings.TrimSpace(claimed)
	}
	return by, a, nil
}

// ambient reports whether a browser adds by itself what proves the identity, whatever page made it send the request.
func (id identity) ambient() bool {
	return id.Via != "" && id.Via != people.ViaToken
}

// subject names a caller who has proved who they are, "" for all others. It is no address: names that anybody can claim are none.
func (id identity) subject() string {
	if id.Via == "" {
		return ""
	}
	return "who:" + id.Name
}

type identityKey struct{}

// identify determines the caller. Headers that could name one, but not from there, are refused and not
// ignored: their sender expects to act under a name.
func (p *Portal) identify(c *fiber.Ctx) error {
	if p.cfg.off() {
		c.Locals(identityKey{}, identity{Name: strings.Clone(c.Get(headerOperator)), Role: people.Admin, address: p.address(c)})
		return c.Next()
	}
	id, err := p.vouched(c)
	if err != nil {
		return err
	}
	if id.Name == "" {
		id = p.shown(c)
	}
	if id.Role == people.Nobody && id.trouble == nil {
		id.Role, id.passing = people.Role(p.cfg.AnonymousRole), true
	}
	id.address = p.address(c)
	c.Locals(identityKey{}, id)
	return c.Next()
}

// vouched returns the identity that a trusted proxy vouches for, a zero one without any.
func (p *Portal) vouched(c *fiber.Ctx) (identity, error) {
	trusted := p.cfg.uses(authProxy) && p.proxies.has(remoteIP(c))
	for _, header := range []string{headerOperator, p.cfg.ProxyHeader, p.cfg.ProxyRoleHeader} {
		ours := trusted && (strings.EqualFold(header, p.cfg.ProxyHeader) || strings.EqualFold(header, p.cfg.ProxyRoleHeader))
		if n := len(c.Request().Header.PeekAll(header)); n > 1 || n == 1 && !ours {
			return identity{}, refuse(fiber.StatusBadRequest, "identity_header", "the header "+header+" is taken once, and from trusted proxies only; see PORTAL_AUTH").at(header)
		}
	}
	if !trusted || c.Get(p.cfg.ProxyHeader) == "" {
		return identity{}, nil
	}
	id := identity{Name: strings.Clone(c.Get(p.cfg.ProxyHeader)), Role: people.Viewer, Via: viaProxy}
	if role := c.Get(p.cfg.ProxyRoleHeader); role != "" {
		id.Role = people.Role(strings.Clone(role))
	}
	if err := people.CheckName(id.Name); err != nil {
		return identity{}, refuse(fiber.StatusBadRequest, "identity_header", err.Error()).at(p.cfg.ProxyHeader)
	}
	if !id.Role.Valid() {
		return identity{}, refuse(fiber.StatusForbidden, "forbidden", "no role of the portal: "+cut(string(id.Role))).at(p.cfg.ProxyRoleHeader)
	}
	return id, nil
}

const bearer = "Bearer "

// shown returns the identity that a token or a cookie proves. A token that proves nothing is an error, a cookie
// that does not any more is none.
func (p *Portal) shown(c *fiber.Ctx) identity {
	if text := c.Get(fiber.HeaderAuthorization); p.cfg.uses(authToken) && len(text) > len(bearer) && strings.EqualFold(text[:len(bearer)], bearer) {
		id, err := p.proved(c.UserContext(), strings.Clone(strings.TrimSpace(text[len(bearer):])), people.KindToken, !reads(c))
		if errors.Is(err, errBadCredential) {
			r := identity{Via: people.ViaToken, address: p.address(c)}.record(securityaudit.SignIn, "", "")
			r.Outcome, r.Reason = securityaudit.Failed, "the token is unknown, revoked or expired"
			p.audit.Note(r)
		}
		if err != nil {
			return identity{trouble: err}
		}
		return id
	}
	cookie := strings.Clone(c.Cookies(p.cookieName(c)))
	if cookie == "" || !p.cfg.uses(authLocal) && !p.cfg.uses(authOIDC) {
		return identity{}
	}
	id, err := p.proved(c.UserContext(), cookie, people.KindSession, !reads(c))
	if err != nil && !errors.Is(err, errBadCredential) {
		return identity{trouble: err}
	}
	return id
}

// reads reports whether a request changes nothing.
func reads(c *fiber.Ctx) bool { return c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead }

var errBadCredential = refuse(fiber.StatusUnauthorized, "not_signed_in", "this token or session proves nothing, or nothing any more")

// proved returns the identity that a credential proves. What is to change something is asked for fresh.
func (p *Portal) proved(ctx context.Context, credential string, want people.Kind, fresh bool) (identity, error) {
	if people.KindOf(credential) != want {
		return identity{}, errBadCredential
	}
	g, err := p.people.Check(ctx, credential, fresh)
	switch {
	case errors.Is(err, people.ErrNotSignedIn):
		return identity{}, errBadCredential
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrSlow):
		return identity{}, errStoreAway
	case err != nil:
		return identity{}, err
	}
	id := identity{Name: g.Name, Role: g.Role, Via: g.Via, session: g.ID, endsAt: g.EndsAt, credential: credential, actsAs: g.ActsAs}
	if g.Via == people.ViaToken {
		id.Name = tokenMark + g.Name
	}
	return id, nil
}

// renew returns the identity as it is now: a WebSocket lives longer than a role.
func (p *Portal) renew(ctx context.Context, id identity) (identity, error) {
	if id.credential == "" {
		return id, nil
	}
	now, err := p.proved(ctx, id.credential, people.KindOf(id.credential), true)
	now.address = id.address
	return now, err
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
		err := who(c).check(need)
		if err == nil {
			return c.Next()
		}
		if e, ours := errors.AsType[*apiError](err); ours && e.status == fiber.StatusUnauthorized && p.cfg.uses(authToken) {
			c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
		}
		return err
	}
}
