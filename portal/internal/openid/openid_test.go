package openid_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/portal/internal/openid"
	"industrial-iot-monitor/portal/internal/openid/openidtest"
	"industrial-iot-monitor/portal/internal/people"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const redirect = "https://portal.example.com/signin/oidc/callback"

func options(issuer string) openid.Options {
	return openid.Options{
		Issuer: issuer, ClientID: openidtest.ClientID, ClientSecret: openidtest.ClientSecret, Scopes: []string{"openid", "profile"},
		NameClaim: "preferred_username", RoleClaim: "realm_access.roles", Roles: []string{"iot-admins=admin", "ops=operator"},
	}
}

// claims of who signs in.
func claims(roles any) map[string]any {
	return map[string]any{"preferred_username": "王工", "realm_access": map[string]any{"roles": roles}}
}

// visit is what the browser does between the two steps: it returns state and code.
func visit(tb testing.TB, to string) (state, code string) {
	tb.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, to, nil)
	require.NoError(tb, err)
	resp, err := client.Do(req)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	require.Equal(tb, http.StatusFound, resp.StatusCode)
	back, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(tb, err)
	require.Equal(tb, redirect, back.Scheme+"://"+back.Host+back.Path)
	return back.Query().Get("state"), back.Query().Get("code")
}

func provider(tb testing.TB) (*openid.Provider, *openidtest.Provider) {
	tb.Helper()
	there := openidtest.Start(tb)
	p, err := openid.New(options(there.URL))
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return p, there
}

func TestRolesAreThoseOfTheClaim(t *testing.T) {
	p, there := provider(t)
	for _, c := range []struct {
		roles any
		want  people.Role
	}{
		{[]string{"ops"}, people.Operator},
		{[]string{"ops", "iot-admins", "others"}, people.Admin},
		{[]string{"iot-admins", "ops"}, people.Admin},
		{"ops", people.Operator},
		{[]string{"others"}, people.Nobody},
		{[]any{1, nil}, people.Nobody},
		{nil, people.Nobody},
	} {
		there.SignsIn(claims(c.roles))
		to, keep, err := p.Begin(t.Context(), redirect)
		require.NoError(t, err)
		state, code := visit(t, to)
		got, err := p.Finish(t.Context(), redirect, keep, state, code)
		if c.want == people.Nobody {
			require.ErrorIs(t, err, openid.ErrNoRole, "%v", c.roles)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, openid.Person{Name: "王工", Role: c.want}, got)
	}
}

// TestForgedTokensAreRefused, each for its own reason.
func TestForgedTokensAreRefused(t *testing.T) {
	p, there := provider(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, forge := range map[string]func(header, claims map[string]any) *rsa.PrivateKey{
		"nonce":       func(_, c map[string]any) *rsa.PrivateKey { c["nonce"] = "another"; return there.Key() },
		"no nonce":    func(_, c map[string]any) *rsa.PrivateKey { delete(c, "nonce"); return there.Key() },
		"issuer":      func(_, c map[string]any) *rsa.PrivateKey { c["iss"] = "https://evil.example"; return there.Key() },
		"audience":    func(_, c map[string]any) *rsa.PrivateKey { c["aud"] = "another"; return there.Key() },
		"no audience": func(_, c map[string]any) *rsa.PrivateKey { delete(c, "aud"); return there.Key() },
		"expired": func(_, c map[string]any) *rsa.PrivateKey {
			c["exp"] = time.Now().Add(-time.Minute).Unix()
			return there.Key()
		},
		"no expiry":    func(_, c map[string]any) *rsa.PrivateKey { delete(c, "exp"); return there.Key() },
		"another key":  func(_, _ map[string]any) *rsa.PrivateKey { return other },
		"alg none":     func(h, _ map[string]any) *rsa.PrivateKey { h["alg"] = "none"; return nil },
		"no signature": func(_, _ map[string]any) *rsa.PrivateKey { return nil },
		"alg HS256":    func(h, _ map[string]any) *rsa.PrivateKey { h["alg"] = "HS256"; return there.Key() },
		"no name":      func(_, c map[string]any) *rsa.PrivateKey { delete(c, "preferred_username"); return there.Key() },
		"odd name":     func(_, c map[string]any) *rsa.PrivateKey { c["preferred_username"] = "token:robot"; return there.Key() },
	} {
		there.SignsIn(claims([]string{"ops"}))
		there.Forge(forge)
		to, keep, err := p.Begin(t.Context(), redirect)
		require.NoError(t, err)
		state, code := visit(t, to)
		_, err = p.Finish(t.Context(), redirect, keep, state, code)
		require.ErrorIs(t, err, openid.ErrRefused, name)
	}
}

func TestOnlyTheBrowserThatBeganMayFinish(t *testing.T) {
	p, there := provider(t)
	there.SignsIn(claims([]string{"ops"}))
	to, keep, err := p.Begin(t.Context(), redirect)
	require.NoError(t, err)
	_, otherKeep, err := p.Begin(t.Context(), redirect)
	require.NoError(t, err)
	state, code := visit(t, to)
	for name, c := range map[string][3]string{
		"another state": {keep, state + "x", code}, "no state": {keep, "", code}, "no code": {keep, state, ""}, "nothing kept": {"", state, code},
		"what another browser kept": {otherKeep, state, code}, "odd": {"e30", state, code}, "unreadable": {"!", state, code}, "another code": {keep, state, code + "x"},
	} {
		_, err := p.Finish(t.Context(), redirect, c[0], c[1], c[2])
		require.ErrorIs(t, err, openid.ErrRefused, name)
	}
	_, err = p.Finish(t.Context(), redirect+"/other", keep, state, code)
	require.ErrorIs(t, err, openid.ErrRefused)
	to, keep, err = p.Begin(t.Context(), redirect)
	require.NoError(t, err)
	state, code = visit(t, to)
	_, err = p.Finish(t.Context(), redirect, keep, state, code)
	require.NoError(t, err)
	_, err = p.Finish(t.Context(), redirect, keep, state, code)
	require.ErrorIs(t, err, openid.ErrRefused, "a code counts once")
}

func TestProviderThatIsAway(t *testing.T) {
	p, there := provider(t)
	there.SignsIn(claims([]string{"ops"}))
	to, keep, err := p.Begin(t.Context(), redirect)
	require.NoError(t, err)
	state, code := visit(t, to)
	there.Close()
	_, err = p.Finish(t.Context(), redirect, keep, state, code)
	require.ErrorIs(t, err, openid.ErrUnavailable)
	p, err = openid.New(options(there.URL))
	require.NoError(t, err)
	_, _, err = p.Begin(t.Context(), redirect)
	require.ErrorIs(t, err, openid.ErrUnavailable)
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*openid.Options){
		"issuer":       func(o *openid.Options) { o.Issuer = "" },
		"plain http":   func(o *openid.Options) { o.Issuer = "http://idp.example.com" },
		"client":       func(o *openid.Options) { o.ClientID = "" },
		"scopes":       func(o *openid.Options) { o.Scopes = nil },
		"no roles":     func(o *openid.Options) { o.Roles = nil },
		"odd role":     func(o *openid.Options) { o.Roles = []string{"a=root"} },
		"role for all": func(o *openid.Options) { o.Roles = []string{"=admin"} },
	} {
		o := options("https://idp.example.com")
		_, err := openid.New(o)
		require.NoError(t, err)
		change(&o)
		_, err = openid.New(o)
		require.Error(t, err, name)
	}
}
