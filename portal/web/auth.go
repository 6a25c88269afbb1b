package web

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/store"
)

// AuthConfig says how callers prove who they are.
type AuthConfig struct {
	Auth            []string      `env:"PORTAL_AUTH" envSeparator:"," envDefault:"off" help:"comma-separated ways to prove who one is: local (name and password), token (portal token add), proxy (a header of PORTAL_TRUSTED_PROXIES); off: nobody has to, and everybody may do everything"`
	AdminPassword   config.Secret `env:"PORTAL_ADMIN_PASSWORD" help:"password of the first administrator, admin, who is added while the database has nobody; then it is not used any more"`
	AnonymousRole   string        `env:"PORTAL_ANONYMOUS_ROLE" help:"viewer: who has not signed in may see the plant, for wall screens; empty: nothing"`
	ProxyHeader     string        `env:"PORTAL_PROXY_HEADER" envDefault:"X-Forwarded-User" help:"with PORTAL_AUTH=proxy: the header with the name of the person; the proxy must remove it from what its clients send"`
	ProxyRoleHeader string        `env:"PORTAL_PROXY_ROLE_HEADER" envDefault:"X-Forwarded-Role" help:"with PORTAL_AUTH=proxy: the header with their role (viewer, operator, engineer, admin); without it they are viewers"`
}

// Ways of PORTAL_AUTH.
const (
	authOff   = "off"
	authLocal = "local"
	authToken = "token"
	authProxy = "proxy"
)

var authWays = []string{authLocal, authToken, authProxy}

// people returns who may use the portal, nil if PORTAL_AUTH does not need to know.
func (c *AuthConfig) people(s *store.Store, log *slog.Logger, reg prometheus.Registerer) (*people.Directory, error) {
	if !c.keepsPeople() {
		return nil, nil //nolint:nilnil // there may be none
	}
	o := people.Options{Store: s.People(), Log: log, Registry: reg}
	if c.uses(authLocal) {
		o.First, o.FirstPassword = firstAdmin, string(c.AdminPassword)
	}
	return people.New(o)
}

// firstAdmin is the name of the administrator that a new database gets.
const firstAdmin = "admin"

var (
	errAuth      = errors.New("want off, or some of local, token, proxy")
	errAnonymous = errors.New("want viewer, or nothing")
	errHeader    = errors.New("want the name of a header")
)

// uses reports whether a way is one of PORTAL_AUTH.
func (c *AuthConfig) uses(way string) bool { return slices.Contains(c.Auth, way) }

// off reports whether nobody has to prove who they are.
func (c *AuthConfig) off() bool { return len(c.Auth) == 0 || c.uses(authOff) }

// keepsPeople reports whether the database has to be asked who somebody is.
func (c *AuthConfig) keepsPeople() bool { return c.uses(authLocal) || c.uses(authToken) }

// check names the variable of an unusable value. database tells whether there is one, proxies whether some are
// trusted, and anyOrigin whether pages from everywhere are let in.
func (c *AuthConfig) check(database, proxies, anyOrigin bool) error {
	for i, way := range c.Auth {
		if way == authOff && len(c.Auth) == 1 {
			continue
		}
		if !slices.Contains(authWays, way) || slices.Contains(c.Auth[:i], way) {
			return fmt.Errorf("PORTAL_AUTH=%s: %w", strings.Join(c.Auth, ","), errAuth)
		}
	}
	if c.AdminPassword != "" {
		if err := people.CheckPassword(firstAdmin, string(c.AdminPassword)); err != nil {
			return fmt.Errorf("PORTAL_ADMIN_PASSWORD: %w", err)
		}
	}
	switch {
	case c.off():
		return nil
	case c.keepsPeople() && !database:
		return errors.New("PORTAL_AUTH: local and token need a database: set PORTAL_STORE or DATABASE_URL")
	case c.uses(authProxy) && !proxies:
		return errors.New("PORTAL_AUTH=proxy: name the proxies in PORTAL_TRUSTED_PROXIES: the header of anybody else proves nothing")
	case c.uses(authProxy) && (c.ProxyHeader == "" || c.ProxyRoleHeader == "" || strings.EqualFold(c.ProxyHeader, c.ProxyRoleHeader)):
		return fmt.Errorf("PORTAL_PROXY_HEADER, PORTAL_PROXY_ROLE_HEADER: %w, a different one each", errHeader)
	case c.AnonymousRole != "" && c.AnonymousRole != string(people.Viewer):
		return fmt.Errorf("PORTAL_ANONYMOUS_ROLE=%s: %w", c.AnonymousRole, errAnonymous)
	case anyOrigin:
		return errors.New("PORTAL_ALLOWED_ORIGINS: * and null would let any page act for who is signed in: name the origins, or set PORTAL_AUTH=off")
	}
	return nil
}
