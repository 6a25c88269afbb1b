package web

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/portal/internal/openid"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/store"
)

// AuthConfig says how callers prove who they are.
type AuthConfig struct {
	Auth            []string      `env:"PORTAL_AUTH" envSeparator:"," envDefault:"off" help:"comma-separated ways to prove who one is: local (name and password), token (portal token add), oidc (an OpenID provider), proxy (a header of PORTAL_TRUSTED_PROXIES); off: nobody has to, and everybody may do everything"`
	AdminPassword   config.Secret `env:"PORTAL_ADMIN_PASSWORD" help:"password of the first administrator, admin, who is added while the database has nobody; then it is not used any more"`
	AnonymousRole   string        `env:"PORTAL_ANONYMOUS_ROLE" help:"viewer: who has not signed in may see the plant, for wall screens; empty: nothing"`
	OIDC            OIDCConfig    `envPrefix:"PORTAL_OIDC_"`
	ProxyHeader     string        `env:"PORTAL_PROXY_HEADER" envDefault:"X-Forwarded-User" help:"with PORTAL_AUTH=proxy: the header with the name of the person; the proxy must remove it from what its clients send"`
	ProxyRoleHeader string        `env:"PORTAL_PROXY_ROLE_HEADER" envDefault:"X-Forwarded-Role" help:"with PORTAL_AUTH=proxy: the header with their role (viewer, operator, engineer, admin); without it they are viewers"`

	hashMemory uint32 // in KiB, 0: as package people has it
}

// OIDCConfig is the OpenID provider.
type OIDCConfig struct {
	Issuer       string        `env:"ISSUER" help:"with PORTAL_AUTH=oidc: URL of the OpenID provider; the portal is a client there, with the redirect URI https://HOST/signin/oidc/callback"`
	ClientID     string        `env:"CLIENT_ID" envDefault:"portal" help:"its client there"`
	ClientSecret config.Secret `env:"CLIENT_SECRET" help:"the client's secret; never logged"`
	Scopes       []string      `env:"SCOPES" envSeparator:"," envDefault:"openid,profile" help:"comma-separated scopes to ask for"`
	NameClaim    string        `env:"NAME_CLAIM" envDefault:"preferred_username" help:"claim with the name under which a person acts"`
	RoleClaim    string        `env:"ROLE_CLAIM" envDefault:"roles" help:"claim with their roles or groups; dots lead into objects, as in realm_access.roles"`
	Roles        []string      `env:"ROLES" envSeparator:"," help:"comma-separated roles by values of that claim: iot-admins=admin,ops=operator; who has none is refused"`
}

// Ways of PORTAL_AUTH.
const (
	authOff   = "off"
	authLocal = "local"
	authToken = "token"
	authProxy = "proxy"
	authOIDC  = "oidc"
)

var authWays = []string{authLocal, authToken, authOIDC, authProxy}

// openID returns the OpenID provider, nil without one.
func (c *AuthConfig) openID() (*openid.Provider, error) {
	if !c.uses(authOIDC) {
		return nil, nil //nolint:nilnil // there may be none
	}
	o := &c.OIDC
	return openid.New(openid.Options{
		Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: string(o.ClientSecret), Scopes: o.Scopes, NameClaim: o.NameClaim, RoleClaim: o.RoleClaim, Roles: o.Roles,
	})
}

func (c *AuthConfig) checkOIDC() error {
	_, err := c.openID()
	if err != nil {
		return fmt.Errorf("PORTAL_OIDC_ISSUER, PORTAL_OIDC_CLIENT_ID, PORTAL_OIDC_ROLES: %w", err)
	}
	return nil
}

// people returns who may use the portal, nil if PORTAL_AUTH does not need to know.
func (c *AuthConfig) people(s *store.Store, log *slog.Logger, reg prometheus.Registerer, firstAdded func(name string)) (*people.Directory, error) {
	if !c.keepsPeople() {
		return nil, nil //nolint:nilnil // there may be none
	}
	o := people.Options{Store: s.People(), Log: log, Registry: reg, HashMemory: c.hashMemory}
	if c.uses(authLocal) {
		o.First, o.FirstPassword = firstAdmin, string(c.AdminPassword)
		o.FirstAdded = firstAdded
	}
	return people.New(o)
}

// firstAdmin is the name of the administrator that a new database gets.
const firstAdmin = "admin"

var (
	errAuth      = errors.New("want off, or some of local, token, oidc, proxy")
	errAnonymous = errors.New("want viewer, or nothing")
	errHeader    = errors.New("want the name of a header")
)

// uses reports whether a way is one of PORTAL_AUTH.
func (c *AuthConfig) uses(way string) bool { return slices.Contains(c.Auth, way) }

// off reports whether nobody has to prove who they are.
func (c *AuthConfig) off() bool { return len(c.Auth) == 0 || c.uses(authOff) }

// keepsPeople reports whether the database has to be asked who a caller is.
func (c *AuthConfig) keepsPeople() bool {
	return c.uses(authLocal) || c.uses(authToken) || c.uses(authOIDC)
}

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
		return errors.New("PORTAL_AUTH: local, token and oidc need a database: set PORTAL_STORE or DATABASE_URL")
	case c.uses(authOIDC) && c.checkOIDC() != nil:
		return c.checkOIDC()
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
