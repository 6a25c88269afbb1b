package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/portal/internal/people"
)

const goodPassword = "correct horse 电池"

// signedInRig is a portal with people: admin, and those that add adds.
func signedInRig(tb testing.TB, change func(*Options)) *rig {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "portal.db")
	r := start(tb, func(o *Options) {
		o.Config.Auth, o.Config.StorePath, o.Config.AdminPassword = []string{authLocal, authToken}, path, goodPassword
		o.Config.hashMemory = 64 // what a hash costs is tested where it is made
		o.Config.ProxyHeader, o.Config.ProxyRoleHeader = "X-Forwarded-User", "X-Forwarded-Role"
		if change != nil {
			change(o)
		}
	})
	r.eventually("the first administrator", func() bool {
		all, err := r.portal.people.Users(tb.Context())
		return err == nil && len(all) > 0
	})
	return r
}

// add adds a person for a role, named after it, if there is none yet: a hash costs time.
func (r *rig) add(role people.Role) {
	r.tb.Helper()
	_, err := r.portal.store.People().User(r.tb.Context(), string(role))
	if err != nil {
		require.ErrorIs(r.tb, err, people.ErrUnknown)
		require.NoError(r.tb, r.portal.people.AddUser(r.tb.Context(), firstAdmin, string(role), role, goodPassword))
	}
}

// signIn returns the header of who is signed in.
func (r *rig) signIn(name string) []string {
	r.tb.Helper()
	if role := people.Role(name); role.Valid() && role != people.Admin {
		r.add(role)
	}
	a := r.ask(http.MethodPost, sessionPath, fmt.Sprintf(`{"name":%q,"password":%q}`, name, goodPassword))
	require.Equal(r.tb, http.StatusOK, a.status, a.body)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	require.True(r.tb, strings.HasPrefix(cookie, plainCookie+"="), cookie)
	return []string{"Cookie", cookie, "Origin", "http://" + r.portal.Addr()}
}

// asSocket returns the headers of a WebSocket.
func asSocket(header []string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return h
}

func TestSignInSetsACookieThatScriptsCannotRead(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) {
		o.Config.TrustedProxies, o.Config.Hosts = []string{"127.0.0.1"}, []string{"portal.example.com"}
	})
	r.add(people.Operator)
	require.Equal(t, "not_signed_in", r.get("/api/v1/devices").failure(t).Code)
	require.Equal(t, http.StatusOK, r.get("/").status, "the page that asks for the password")
	var s sessionAnswer
	r.getJSON(sessionPath, &s)
	require.Equal(t, sessionAnswer{Time: s.Time, Auth: []string{"local", "token"}, Permissions: []string{}}, s)

	body := fmt.Sprintf(`{"name":"Operator","password":%q}`, goodPassword)
	a := r.ask(http.MethodPost, sessionPath, body)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &s))
	require.Equal(t, "operator", s.Person.Name)
	require.Equal(t, []string{"view", "investigate", "alarm_command", "keep_notes"}, s.Permissions)
	require.Regexp(t, `^iot=[A-Za-z0-9_-]{43}; path=/; HttpOnly; SameSite=Lax$`, a.header.Get("Set-Cookie"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))

	https := []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "portal.example.com", "X-Forwarded-For", "192.0.2.1"}
	a = r.ask(http.MethodPost, sessionPath, body, https...)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Regexp(t, `^__Host-iot=[A-Za-z0-9_-]{43}; path=/; HttpOnly; secure; SameSite=Lax$`, a.header.Get("Set-Cookie"))
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", append(https, "Cookie", cookie)...).status)
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", append(https, "Cookie", strings.TrimPrefix(cookie, "__Host-"))...).status, "a cookie that plain HTTP could have set")
	plain := []string{"X-Forwarded-Proto", "http", "X-Forwarded-Host", "portal.example.com"}
	require.Equal(t, "https_needed", r.ask(http.MethodPost, sessionPath, body, plain...).failure(t).Code)
	for _, wrong := range []string{`{"name":"operator","password":"wrong password"}`, `{"name":"nobody","password":"wrong password"}`, `{}`} {
		a := r.ask(http.MethodPost, sessionPath, wrong)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Equal(t, errorBody{Code: "wrong_password", Message: people.ErrWrong.Error()}, a.failure(t), wrong)
		require.Empty(t, a.header.Get("Set-Cookie"))
	}
}

// TestOtherPortOfTheHostIsAnotherOrigin: a page there has the cookie, and changes nothing with it.
func TestOtherPortOfTheHostIsAnotherOrigin(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.Config.AllowedOrigins = []string{"https://wall.example.com"} })
	header := r.signIn("operator")
	cookie := header[1]
	own := "http://" + r.portal.Addr()
	_, port, _ := strings.Cut(r.portal.Addr(), ":")
	const path, body = "/api/v1/alerts/unknown/acknowledge", `{}`
	for origin, ok := range map[string]bool{
		own: true, "https://wall.example.com": true,
		"http://127.0.0.1:3000": false, "http://127.0.0.1": false, "https://" + r.portal.Addr(): false, "http://localhost:" + port: false, "null": false,
		"http://" + r.portal.WSAddr(): false, own + ".evil.example": false, "https://wall.example.com:444": false,
	} {
		a := r.ask(http.MethodPost, path, body, "Cookie", cookie, "Origin", origin)
		want := http.StatusForbidden
		if ok {
			want = http.StatusNotFound
		}
		require.Equal(t, want, a.status, origin)
		for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
			_, status, _ := r.dial(addr, http.Header{"Cookie": {cookie}, "Origin": {origin}})
			require.Equal(t, ok || addr == r.portal.WSAddr() && origin == "http://"+addr, status == http.StatusSwitchingProtocols, "%s at %s", origin, addr)
		}
	}
	require.Equal(t, "origin_not_allowed", r.ask(http.MethodPost, path, body, "Cookie", cookie).failure(t).Code, "neither header")
	require.Equal(t, "origin_not_allowed", r.ask(http.MethodPost, path, body, "Cookie", cookie, "Sec-Fetch-Site", "same-site").failure(t).Code)
	require.Equal(t, http.StatusNotFound, r.ask(http.MethodPost, path, body, "Cookie", cookie, "Sec-Fetch-Site", "same-origin").status)
	require.Equal(t, http.StatusUnsupportedMediaType, r.ask(http.MethodPost, path, body, append(header, "Content-Type", "text/plain")...).status)
	require.Equal(t, http.StatusUnsupportedMediaType, r.ask(http.MethodPost, path, body, append(header, "Content-Type", "application/x-www-form-urlencoded")...).status)
	_, status, _ := r.dial(r.portal.Addr(), http.Header{"Cookie": {cookie}})
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "origin_not_allowed", r.ask(http.MethodPost, sessionPath, fmt.Sprintf(`{"name":"viewer","password":%q}`, goodPassword), "Origin", "http://127.0.0.1:3000").failure(t).Code,
		"nor can another program sign a person in")
}

// TestNameInAHeaderFromAnybodyIsRefused: a proxy's headers count from proxies alone.
func TestNameInAHeaderFromAnybodyIsRefused(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	header := r.signIn("operator")
	for _, name := range []string{headerOperator, "X-Forwarded-User", "X-Forwarded-Role", "x-operator"} {
		for _, path := range []string{"/api/v1/devices", sessionPath, "/"} {
			a := r.get(path, append(header, name, "admin")...)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %s", path, name)
			require.Equal(t, "identity_header", a.failure(t).Code)
		}
		_, status, _ := r.dial(r.portal.Addr(), asSocket(append(header, name, "admin")))
		require.Equal(t, http.StatusBadRequest, status)
	}
}

func TestProxyVouchesForPeople(t *testing.T) {
	t.Parallel()
	proxied := func(o *Options) {
		o.Config.Auth, o.Config.ProxyHeader, o.Config.ProxyRoleHeader = []string{authProxy}, "X-Forwarded-User", "X-Forwarded-Role"
		o.Config.TrustedProxies = []string{"127.0.0.1"}
		o.AnswerWithin = time.Millisecond
	}
	r := start(t, proxied)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	require.Equal(t, "not_signed_in", r.get("/api/v1/devices").failure(t).Code)
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", "X-Forwarded-User", "li@example.com").status)
	require.Equal(t, "forbidden", r.get("/api/v1/audit", "X-Forwarded-User", "li@example.com").failure(t).Code, "a viewer without a role")
	require.Equal(t, "forbidden", r.get("/api/v1/devices", "X-Forwarded-User", "li", "X-Forwarded-Role", "root").failure(t).Code)
	require.Equal(t, "identity_header", r.get("/api/v1/devices", "X-Forwarded-User", "<li>").failure(t).Code)
	require.Equal(t, "identity_header", r.get("/api/v1/devices", headerOperator, "li").failure(t).Code)
	twice := r.send(http.MethodGet, "/api/v1/devices", nil, "X-Forwarded-User", "admin", "X-Forwarded-User", "li")
	require.Equal(t, "identity_header", twice.failure(t).Code, "the client's own beside the proxy's")

	ours := []string{"X-Forwarded-User", "王工", "X-Forwarded-Role", "operator"}
	const path, body = "/api/v1/alerts/a1/acknowledge", `{"by":"boss"}`
	require.Equal(t, "origin_not_allowed", r.post(path, body, ours...).failure(t).Code, "the browser is signed in to the proxy by a cookie, too")
	require.Equal(t, http.StatusAccepted, r.post(path, body, append(ours, "Origin", "http://"+r.portal.Addr())...).status)
	_, commands := r.commands(1)
	require.Equal(t, "王工", commands[0].By)
	ws := r.screen(asSocket(append(ours, "Origin", "http://"+r.portal.Addr())))
	require.Equal(t, "王工", hello(t, ws).Operator)

	r = start(t, func(o *Options) { proxied(o); o.Config.TrustedProxies = []string{"192.0.2.1"} })
	require.Equal(t, "identity_header", r.get("/api/v1/devices", ours...).failure(t).Code, "from elsewhere")
}

// TestIdentityStandsInTheAudit, whatever name a command gives.
func TestIdentityStandsInTheAudit(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.AnswerWithin = time.Millisecond })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	header := r.signIn("operator")
	a := r.post("/api/v1/alerts/a1/acknowledge", `{"by":"plant-manager"}`, header...)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	ws, _, err := r.dial(r.portal.Addr(), asSocket(header))
	require.NoError(t, err)
	require.NoError(t, ws.WriteJSON(map[string]any{"type": "alarm_command", "command": map[string]any{"action": "comment", "note": "x", "alert_id": "a1", "by": "plant-manager"}}))
	secret, _, err := r.portal.people.AddToken(t.Context(), firstAdmin, people.NewToken{Name: "robot", Role: people.Operator, TTL: time.Hour})
	require.NoError(t, err)
	a = r.post("/api/v1/alerts/commands", `{"by":"plant-manager","action":"acknowledge","alert_ids":["a1"]}`, "Authorization", "Bearer "+secret)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	deputy, token, err := r.portal.people.AddToken(t.Context(), firstAdmin, people.NewToken{Name: "mes", Role: people.Operator, TTL: time.Hour, ActsAs: true})
	require.NoError(t, err)
	a = r.post("/api/v1/alerts/commands", `{"by":"李工","action":"acknowledge","alert_ids":["a1"]}`, "Authorization", "Bearer "+deputy)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	_, commands := r.commands(4)
	by := map[string]int{}
	for i := range commands {
		c := &commands[i]
		by[strings.Join([]string{c.By, c.Via, c.ClaimedBy, c.Address}, "|")]++
		require.NotEmpty(t, c.Session, "by "+c.By)
		require.True(t, c.By != "token:mes" || c.Session == token.ID)
	}
	require.Equal(t, map[string]int{"operator|local||127.0.0.1": 2, "token:robot|token||127.0.0.1": 1, "token:mes|token|李工|127.0.0.1": 1}, by)
}

// TestEndedSessionEndsItsWebSocket on a portal and another one with the same database.
func TestEndedSessionEndsItsWebSocket(t *testing.T) {
	t.Parallel()
	here := signedInRig(t, nil)
	there := signedInRig(t, func(o *Options) { o.Config.StorePath = here.cfg.StorePath })
	there.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	open := func(header []string) *websocket.Conn {
		t.Helper()
		header = append([]string{}, header...)
		header[3] = "http://" + there.portal.Addr()
		d := websocket.Dialer{HandshakeTimeout: waitTimeout, Subprotocols: []string{dashboard.Subprotocol}}
		ws, resp, err := d.DialContext(t.Context(), "ws://"+there.portal.Addr()+"/ws", asSocket(header))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		t.Cleanup(func() { _ = ws.Close() })
		require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
		return ws
	}
	admin := here.signIn(firstAdmin)
	for name, end := range map[string]func(header []string){
		"operator": func([]string) {
			a := here.ask(http.MethodPatch, "/api/v1/users/operator", `{"disabled":true}`, admin...)
			require.Equal(t, http.StatusOK, a.status, a.body)
		},
		"engineer": func(header []string) {
			require.Equal(t, http.StatusOK, here.ask(http.MethodDelete, sessionPath, "", header...).status)
		},
		"viewer": func(header []string) {
			require.Equal(t, http.StatusOK, here.ask(http.MethodDelete, "/api/v1/sessions", "", header...).status)
		},
	} {
		header := here.signIn(name)
		require.Equal(t, http.StatusOK, there.get("/api/v1/devices", header[:2]...).status)
		ws := open(header)
		said := hello(t, ws)
		require.Equal(t, name, said.Operator)
		require.Equal(t, name == "engineer", slices.Contains(said.Permissions, string(ruleChange)))
		require.Equal(t, name != "viewer", slices.Contains(said.Permissions, string(alarmCommand)))
		end(header)
		require.Equal(t, http.StatusUnauthorized, here.get("/api/v1/devices", header[:2]...).status, "replayed")
		there.closedWith(ws, fanout.CloseEnded)
		there.eventually("401 on the other portal", func() bool { return there.get("/api/v1/devices", header[:2]...).status == http.StatusUnauthorized })
	}
}

func TestRoleThatIsTakenAwayStopsTheNextCommand(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	header := r.signIn("operator")
	ws, _, err := r.dial(r.portal.Addr(), asSocket(header))
	require.NoError(t, err)
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	a := r.ask(http.MethodPatch, "/api/v1/users/operator", `{"role":"viewer"}`, r.signIn(firstAdmin)...)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var got socketResult
	require.NoError(t, ws.WriteJSON(map[string]any{"type": "alarm_command", "command": map[string]any{"action": "acknowledge", "alert_id": "a1"}}))
	require.NoError(t, ws.ReadJSON(&got))
	require.Equal(t, http.StatusForbidden, got.Status)
	require.Equal(t, http.StatusForbidden, r.post("/api/v1/alerts/a1/acknowledge", `{}`, header...).status)
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", header...).status, "they may still look")
}

// TestEngineerMakesNoToken: administrators do.
func TestEngineerMakesNoToken(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	engineer := r.signIn("engineer")
	for _, ask := range [][3]string{
		{http.MethodPost, "/api/v1/tokens", `{"name":"x","role":"viewer","ttl":"1d"}`},
		{http.MethodGet, "/api/v1/tokens", ""},
		{http.MethodGet, "/api/v1/users", ""},
		{http.MethodPost, "/api/v1/users", `{"name":"x","role":"admin","password":"` + goodPassword + `"}`},
		{http.MethodPatch, "/api/v1/users/engineer", `{"role":"admin"}`},
		{http.MethodDelete, "/api/v1/tokens/0123456789ab", ""},
	} {
		require.Equal(t, "forbidden", r.ask(ask[0], ask[1], ask[2], engineer...).failure(t).Code, "%v", ask)
	}
}

// TestTokensOfPrograms has revoked, expired and unknown ones, and one in the query.
func TestTokensOfPrograms(t *testing.T) {
	t.Parallel()
	var logged logtest.Buffer
	r := signedInRig(t, func(o *Options) {
		o.Log = logTo(&logged)
	})
	admin := r.signIn(firstAdmin)
	a := r.ask(http.MethodPost, "/api/v1/tokens", `{"name":"ci","role":"viewer","ttl":"90d"}`, admin...)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var made tokenAnswer
	require.NoError(t, json.Unmarshal([]byte(a.body), &made))
	bearing := []string{"Authorization", "Bearer " + made.Secret}
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", bearing...).status)
	require.Equal(t, http.StatusForbidden, r.get("/api/v1/audit", bearing...).status)
	ws, _, err := r.dial(r.portal.Addr(), asSocket(bearing))
	require.NoError(t, err)
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	for _, wrong := range []string{"Bearer iotp_unknown", "Bearer " + made.Secret + "x", "Bearer " + strings.TrimPrefix(made.Secret, "iotp_"), "bearer x"} {
		a := r.get("/api/v1/devices", "Authorization", wrong)
		require.Equal(t, http.StatusUnauthorized, a.status, wrong)
		require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
	}
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices?token="+made.Secret).status, "not in the query")
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", "Cookie", plainCookie+"="+made.Secret).status, "not in the cookie")
	var all list[tokenItem]
	shown := r.get("/api/v1/tokens", admin...)
	require.NotContains(t, shown.body, made.Secret)
	require.NoError(t, json.Unmarshal([]byte(shown.body), &all))
	require.Equal(t, []tokenItem{made.Token}, all.Items)
	require.Equal(t, http.StatusOK, r.ask(http.MethodDelete, "/api/v1/tokens/"+made.Token.ID, "", admin...).status)
	require.Equal(t, http.StatusUnauthorized, r.get("/api/v1/devices", bearing...).status, "revoked")
	r.closedWith(ws, fanout.CloseEnded)
	require.Equal(t, "token_not_found", r.ask(http.MethodDelete, "/api/v1/tokens/0123456789ab", "", admin...).failure(t).Code)
	r.stop()
	require.Contains(t, logged.String(), "token revoked")
	for _, secret := range []string{made.Secret, goodPassword, admin[1][len(plainCookie)+1:]} {
		require.NotContains(t, logged.String(), secret)
	}
}

// TestOpsTokenSignsNobodyIn: what tells of the program has its own token, and each opens its own alone.
func TestOpsTokenSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.Config.OpsToken = "of operations" })
	admin, _, err := r.portal.people.AddToken(t.Context(), firstAdmin, people.NewToken{Name: "ci", Role: people.Admin, TTL: time.Hour})
	require.NoError(t, err)
	for token, want := range map[string][2]int{
		"of operations": {http.StatusOK, http.StatusUnauthorized},
		admin:           {http.StatusUnauthorized, http.StatusOK},
	} {
		header := []string{"Authorization", "Bearer " + token, "X-Forwarded-For", "192.0.2.1"} // from another machine
		require.Equal(t, want[0], r.get("/metrics", header...).status)
		require.Equal(t, want[1], r.get("/api/v1/users", header...).status)
		require.Equal(t, http.StatusOK, r.get("/readyz", header...).status)
	}
}

func TestAdministratorManagesPeople(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, nil)
	admin := r.signIn(firstAdmin)
	add := func(body string) answer { return r.ask(http.MethodPost, "/api/v1/users", body, admin...) }
	require.Equal(t, http.StatusOK, add(`{"name":"王工","role":"operator","password":"`+goodPassword+`"}`).status)
	require.Equal(t, "name_taken", add(`{"name":"王工","role":"operator","password":"`+goodPassword+`"}`).failure(t).Code)
	require.Equal(t, "password", add(`{"name":"x","role":"operator","password":"short"}`).failure(t).Field)
	require.Equal(t, "role", add(`{"name":"x","role":"boss","password":"`+goodPassword+`"}`).failure(t).Field)
	require.Equal(t, "name", add(`{"name":"a:b","role":"viewer","password":"`+goodPassword+`"}`).failure(t).Field)
	wang := r.signIn("王工")
	const of = "/api/v1/users/%E7%8E%8B%E5%B7%A5"
	require.Equal(t, http.StatusOK, r.ask(http.MethodPatch, of, `{"role":"engineer"}`, admin...).status)
	require.Equal(t, "user_not_found", r.ask(http.MethodPatch, "/api/v1/users/nobody", `{"role":"engineer"}`, admin...).failure(t).Code)
	require.Equal(t, "last_admin", r.ask(http.MethodPatch, "/api/v1/users/admin", `{"role":"engineer"}`, admin...).failure(t).Code)
	require.Equal(t, http.StatusOK, r.ask(http.MethodPut, sessionPath+"/password", fmt.Sprintf(`{"old":%q,"password":"another password"}`, goodPassword), wang...).status)
	require.Equal(t, "wrong_password", r.ask(http.MethodPut, sessionPath+"/password", fmt.Sprintf(`{"old":%q,"password":"another password"}`, goodPassword), wang...).failure(t).Code)
	a := r.get("/api/v1/users", admin...)
	require.NotContains(t, a.body, "argon2")
	var all list[userItem]
	require.NoError(t, json.Unmarshal([]byte(a.body), &all))
	require.Len(t, all.Items, 2)
	require.Equal(t, userItem{
		Name: "王工", Role: "engineer", CreatedAt: all.Items[1].CreatedAt, CreatedBy: "admin", ChangedAt: all.Items[1].ChangedAt, ChangedBy: "王工", SignedInAt: all.Items[1].SignedInAt,
	}, all.Items[1])
	require.Positive(t, all.Items[1].SignedInAt)
}

func TestTooManyTriesAreDelayed(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.Config.TrustedProxies = []string{"127.0.0.1"} })
	try := func(from, password string) answer {
		return r.ask(http.MethodPost, sessionPath, fmt.Sprintf(`{"name":"viewer","password":%q}`, password), "X-Forwarded-For", from)
	}
	for i := range 5 {
		require.Equal(t, http.StatusUnauthorized, try(fmt.Sprint("192.0.2.", i), "wrong password").status)
	}
	var a answer
	for i := 5; a.status != http.StatusTooManyRequests; i++ { // the delay may have passed; it doubles
		a = try(fmt.Sprint("192.0.2.", i), "wrong password")
	}
	require.Equal(t, "too_many_attempts", a.failure(t).Code)
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, wait)
}

func TestScreenOnAWallMaySee(t *testing.T) {
	t.Parallel()
	r := signedInRig(t, func(o *Options) { o.Config.AnonymousRole = "viewer" })
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices").status)
	require.Equal(t, "not_signed_in", r.post("/api/v1/alerts/a1/acknowledge", `{"by":"x"}`).failure(t).Code)
	require.Equal(t, "not_signed_in", r.get("/api/v1/devices", "Authorization", "Bearer iotp_unknown").failure(t).Code, "who shows something wrong is nobody")
	_, _, err := r.dial(r.portal.Addr(), nil)
	require.NoError(t, err)
}

func TestAuthSettingsAreChecked(t *testing.T) {
	t.Parallel()
	good := AuthConfig{Auth: []string{"local", "token", "proxy"}, ProxyHeader: "X-Forwarded-User", ProxyRoleHeader: "X-Forwarded-Role"}
	require.NoError(t, good.check(true, true, false))
	off := AuthConfig{Auth: []string{"off"}}
	require.NoError(t, off.check(false, false, true))
	require.NoError(t, (&AuthConfig{}).check(false, false, true))
	for want, c := range map[string]struct {
		change                       func(*AuthConfig)
		database, proxies, anyOrigin bool
	}{
		"PORTAL_AUTH=off,local":       {func(c *AuthConfig) { c.Auth = []string{"off", "local"} }, true, true, false},
		"PORTAL_AUTH=password":        {func(c *AuthConfig) { c.Auth = []string{"password"} }, true, true, false},
		"PORTAL_AUTH=local,local":     {func(c *AuthConfig) { c.Auth = []string{"local", "local"} }, true, true, false},
		"PORTAL_STORE":                {func(*AuthConfig) {}, false, true, false},
		"PORTAL_TRUSTED_PROXIES":      {func(*AuthConfig) {}, true, false, false},
		"PORTAL_ALLOWED_ORIGINS":      {func(*AuthConfig) {}, true, true, true},
		"PORTAL_ANONYMOUS_ROLE=admin": {func(c *AuthConfig) { c.AnonymousRole = "admin" }, true, true, false},
		"PORTAL_PROXY_ROLE_HEADER":    {func(c *AuthConfig) { c.ProxyRoleHeader = "x-forwarded-user" }, true, true, false},
		"PORTAL_ADMIN_PASSWORD":       {func(c *AuthConfig) { c.AdminPassword = "short" }, true, true, false},
	} {
		wrong := good
		c.change(&wrong)
		require.ErrorContains(t, wrong.check(c.database, c.proxies, c.anyOrigin), want)
	}
}

func logTo(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
