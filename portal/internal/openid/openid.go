// Package openid signs people in at an OpenID provider: the authorization code flow with PKCE (RFC 7636), state and
// nonce. It keeps nothing between the two steps; the browser does. It does not begin sessions. Begin and
// Finish block on the provider, for some seconds at most.
package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"industrial-iot-monitor/portal/internal/people"
)

var (
	// ErrUnavailable is wrapped by errors of a provider that gives no answer, or none that makes sense.
	ErrUnavailable = errors.New("the provider gives no answer")
	// ErrRefused is wrapped by errors about what the provider or the browser sent.
	ErrRefused = errors.New("the sign-in was refused")
	// ErrNoRole is returned for a person who has no role of the portal.
	ErrNoRole = errors.New("the provider gives this person no role of the portal")
)

// within bounds a request to the provider.
const within = 10 * time.Second

// retryAfter is the pause after a provider did not describe itself.
const retryAfter = 2 * time.Second

// Options of a Provider. All but ClientSecret, which public clients have not, are required.
type Options struct {
	Issuer       string // URL
	ClientID     string
	ClientSecret string
	Scopes       []string
	NameClaim    string
	RoleClaim    string // dots lead into objects: realm_access.roles
	// Roles are the portal's roles by values of the claim, "iot-admins=admin".
	Roles []string
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	o      Options
	roles  map[string]people.Role
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider // nil: it has not described itself yet
	failed   error          // why, at failedAt
	failedAt time.Time
}

var (
	errIssuer  = errors.New("want the https URL of the provider, as it stands in its tokens")
	errOptions = errors.New("openid: ClientID, Scopes, NameClaim and RoleClaim are required")
	errRoles   = errors.New("want value=role, with a role of viewer, operator, engineer, admin, as in iot-admins=admin,ops=operator")
)

// New returns a Provider; it is asked when a person signs in.
func New(o Options) (*Provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("%q: %w", o.Issuer, errIssuer)
	}
	if o.ClientID == "" || len(o.Scopes) == 0 || o.NameClaim == "" || o.RoleClaim == "" {
		return nil, errOptions
	}
	p := &Provider{o: o, roles: make(map[string]people.Role), client: &http.Client{Timeout: within}}
	for _, pair := range o.Roles {
		i := strings.LastIndexByte(pair, '=')
		if i < 1 || !people.Role(pair[i+1:]).Valid() {
			return nil, fmt.Errorf("%q: %w", pair, errRoles)
		}
		p.roles[strings.TrimSpace(pair[:i])] = people.Role(pair[i+1:])
	}
	if len(p.roles) == 0 {
		return nil, errRoles
	}
	return p, nil
}

func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// Close ends idle connections.
func (p *Provider) Close() { p.client.CloseIdleConnections() }

// attempt is what the browser keeps until it comes back.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
}

// Begin returns where to send the browser, and what it has to keep, in a cookie that scripts cannot read, until it comes
// back to redirect.
func (p *Provider) Begin(ctx context.Context, redirect string) (to, keep string, err error) {
	provider, err := p.ask(ctx)
	if err != nil {
		return "", "", err
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	data, err := json.Marshal(a)
	if err != nil {
		return "", "", err
	}
	to = p.config(provider, redirect).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier))
	return to, base64.RawURLEncoding.EncodeToString(data), nil
}

// Person is who signed in.
type Person struct {
	Name string
	Role people.Role
}

// Finish returns who came back to redirect with a state and a code. It fails with ErrUnavailable, ErrRefused or ErrNoRole.
func (p *Provider) Finish(ctx context.Context, redirect, kept, state, code string) (Person, error) {
	var a attempt
	data, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil || a.State == "" || a.Nonce == "" || a.Verifier == "" {
		return Person{}, fmt.Errorf("%w: it was not begun in this browser, or too long ago", ErrRefused)
	}
	if subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 || code == "" {
		return Person{}, fmt.Errorf("%w: the state is another one", ErrRefused)
	}
	provider, err := p.ask(ctx)
	if err != nil {
		return Person{}, err
	}
	token, err := p.config(provider, redirect).Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(a.Verifier))
	if wrong, answered := errors.AsType[*oauth2.RetrieveError](err); answered && wrong.Response.StatusCode < http.StatusInternalServerError {
		return Person{}, fmt.Errorf("%w: the provider refuses the code: %s", ErrRefused, wrong.ErrorCode)
	}
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	text, _ := token.Extra("id_token").(string)
	id, err := provider.VerifierContext(oidc.ClientContext(ctx, p.client), &oidc.Config{ClientID: p.o.ClientID}).Verify(ctx, text)
	if err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return Person{}, fmt.Errorf("%w: the nonce is another one", ErrRefused)
	}
	return p.person(id)
}

// person reads the claims.
func (p *Provider) person(id *oidc.IDToken) (Person, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return Person{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	name, _ := claims[p.o.NameClaim].(string)
	if err := people.CheckName(name); err != nil {
		return Person{}, fmt.Errorf("%w: claim %s: %w", ErrRefused, p.o.NameClaim, err)
	}
	best := people.Nobody
	for _, value := range values(claims, p.o.RoleClaim) {
		if role := p.roles[value]; role.Includes(best) {
			best = role
		}
	}
	if best == people.Nobody {
		return Person{Name: name}, ErrNoRole
	}
	return Person{Name: name, Role: best}, nil
}

// values returns the texts at a path of claims: one, or a list.
func values(claims map[string]any, path string) (out []string) {
	var v any = claims
	for part := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[part]
	}
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func (p *Provider) config(provider *oidc.Provider, redirect string) *oauth2.Config {
	scopes := p.o.Scopes
	if !slices.Contains(scopes, oidc.ScopeOpenID) {
		scopes = append([]string{oidc.ScopeOpenID}, scopes...)
	}
	return &oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret, Endpoint: provider.Endpoint(), RedirectURL: redirect, Scopes: scopes}
}

// ask returns the provider as it describes itself. It is asked until it has answered once, but not by everybody who
// waits.
func (p *Provider) ask(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	if p.failed != nil && time.Since(p.failedAt) < retryAfter {
		return nil, p.failed
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.o.Issuer)
	if err != nil {
		p.failed, p.failedAt = fmt.Errorf("%w: %w", ErrUnavailable, err), time.Now()
		return nil, p.failed
	}
	p.provider = provider
	return provider, nil
}
