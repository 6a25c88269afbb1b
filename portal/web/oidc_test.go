package web

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/portal/internal/openid/openidtest"
	"industrial-iot-monitor/portal/internal/people"
)

// oidcRig is a portal whose people sign in at a provider, or with a password.
func oidcRig(tb testing.TB, change func(*Options)) (*rig, *openidtest.Provider) {
	tb.Helper()
	there := openidtest.Start(tb)
	path := filepath.Join(tb.TempDir(), "portal.db")
	r := start(tb, func(o *Options) {
		o.Config.Auth, o.Config.StorePath = []string{authOIDC, authLocal}, path
		o.Config.OIDC = OIDCConfig{
			Issuer: there.URL, ClientID: openidtest.ClientID, ClientSecret: openidtest.ClientSecret, Scopes: []string{"profile"},
			NameClaim: "preferred_username", RoleClaim: "roles", Roles: []string{"iot-admins=admin", "ops=operator"},
		}
		if change != nil {
			change(o)
		}
	})
	r.eventually("the database", func() bool { return r.portal.store.Up() == nil })
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r, there
}

// atProvider begins to sign in, and returns the cookie of that and the way back.
func (r *rig) atProvider() (cookie, back string) {
	r.tb.Helper()
	a := r.get(oidcPath)
	require.Equal(r.tb, http.StatusFound, a.status, a.body)
	require.Regexp(r.tb, `^iot-oidc=[A-Za-z0-9_-]+; max-age=600; path=/; HttpOnly; SameSite=Lax$`, a.header.Get("Set-Cookie"))
	cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	req, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, a.header.Get("Location"), nil)
	require.NoError(r.tb, err)
	client := http.Client{CheckRedirect: r.client.CheckRedirect}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	require.NoError(r.tb, err)
	require.NoError(r.tb, resp.Body.Close())
	u, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(r.tb, err)
	require.Equal(r.tb, r.portal.Addr(), u.Host)
	return cookie, u.RequestURI()
}

func TestPeopleSignInAtAProvider(t *testing.T) {
	t.Parallel()
	r, there := oidcRig(t, nil)
	there.SignsIn(map[string]any{"preferred_username": "zhao@example.com", "roles": []string{"ops"}})
	cookie, back := r.atProvider()
	a := r.get(back, "Cookie", cookie)
	require.Equal(t, http.StatusFound, a.status, a.body)
	require.Equal(t, "/", a.header.Get("Location"))
	set := a.header.Values("Set-Cookie")
	require.Len(t, set, 2)
	require.Regexp(t, `^iot-oidc=; expires=`, set[0])
	session, _, _ := strings.Cut(set[1], ";")
	shown := r.get(sessionPath, "Cookie", session)
	require.Contains(t, shown.body, `"name":"zhao@example.com","role":"operator","via":"oidc"`, shown.body)
	own := []string{"Cookie", session, "Origin", "http://" + r.portal.Addr()}
	require.Equal(t, "no_password", r.ask(http.MethodPut, sessionPath+"/password", `{"old":"x","password":"y"}`, own...).failure(t).Code)
	require.Equal(t, http.StatusUnauthorized, r.get(back, "Cookie", cookie).status, "a code counts once")
	require.Equal(t, http.StatusOK, r.ask(http.MethodDelete, "/api/v1/sessions", "", own...).status)
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", "Cookie", session).status)
}

// TestRefusedSignInsAtAProvider has the portal's answers; package openid has every forged token.
func TestRefusedSignInsAtAProvider(t *testing.T) {
	t.Parallel()
	var logged logtest.Buffer
	r, there := oidcRig(t, func(o *Options) { o.Log = logTo(&logged) })
	require.NoError(t, r.portal.people.AddUser(t.Context(), "", "Li", people.Viewer, goodPassword))
	for _, c := range []struct {
		name   string
		claims map[string]any
		forge  func(header, claims map[string]any) *rsa.PrivateKey
		change func(cookie, back string) (string, string)
		status int
		code   string
	}{
		{name: "no role", claims: map[string]any{"preferred_username": "zhao", "roles": []string{"others"}}, status: 403, code: "no_role"},
		{name: "the name of a person with a password", claims: map[string]any{"preferred_username": "LI", "roles": []string{"iot-admins"}}, status: 409, code: "name_taken"},
		{name: "alg none", forge: func(h, _ map[string]any) *rsa.PrivateKey { h["alg"] = "none"; return nil }, status: 401, code: "sign_in_refused"},
		{name: "another browser", change: func(_, back string) (string, string) { return "", back }, status: 401, code: "sign_in_refused"},
		{name: "another state", change: func(cookie, back string) (string, string) {
			return cookie, strings.Replace(back, "state=", "state=x", 1)
		}, status: 401, code: "sign_in_refused"},
	} {
		if c.claims == nil {
			c.claims = map[string]any{"preferred_username": "zhao", "roles": []string{"ops"}}
		}
		there.SignsIn(c.claims)
		there.Forge(c.forge)
		cookie, back := r.atProvider()
		if c.change != nil {
			cookie, back = c.change(cookie, back)
		}
		a := r.get(back, "Cookie", cookie)
		require.Equal(t, c.status, a.status, "%s: %s", c.name, a.body)
		require.Equal(t, c.code, a.failure(t).Code, c.name)
		require.NotContains(t, fmt.Sprint(a.header.Values("Set-Cookie")), plainCookie+"=", c.name)
	}
	require.Equal(t, 5, strings.Count(logged.String(), "sign-in refused"))
	there.Close()
	a := r.get(oidcPath)
	require.Equal(t, http.StatusFound, a.status, "it has described itself")
	require.Equal(t, "sign_in_off", signedInRig(t, nil).get(oidcPath).failure(t).Code)
	require.NotContains(t, logged.String(), openidtest.ClientSecret)
}
