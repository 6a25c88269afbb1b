package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/state"
)

// idle returns a portal that does not run.
func idle(tb testing.TB, change func(*Config)) *Portal {
	tb.Helper()
	cfg := Config{
		Addr: "127.0.0.1:0", WebSocketPath: "/ws", MaxConnections: 10, AuditEntries: 10, HubURL: "nats://127.0.0.1:1", GroupID: "core",
		Topics: topology.Suffixed(""), Config: kafka.Config{Cluster: kafka.At("127.0.0.1:1")},
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.Close()) })
	return p
}

// as returns the portal's routes for callers with an identity.
func (p *Portal) as(id identity, routes func(*fiber.App)) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: p.answerError})
	app.Use(func(c *fiber.Ctx) error {
		c.Locals(identityKey{}, id)
		return c.Next()
	})
	routes(app)
	return app
}

// open are the routes that need nobody.
var open = []string{"/livez", "/readyz", "/metrics", "/debug/loglevel", "/api/openapi.json", "/api/asyncapi.yaml", sessionPath, oidcPath, oidcPath + "/callback", "/*"}

// needed returns the permission that a route is documented to need, viewPlant for those without a document.
func needed(method, path string) permission {
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			if route := strings.NewReplacer("{", ":", "}", "").Replace(e.path); route == path && (e.verb() == method || e.verb() == http.MethodGet && method == http.MethodHead) {
				return e.need
			}
		}
	}
	if path == "/debug/loglevel" {
		return anyone // of this machine
	}
	if strings.HasPrefix(path, "/debug/") {
		return maintain
	}
	return viewPlant
}

// TestEveryRouteNeedsAPermission walks the routes of both ports.
func TestEveryRouteNeedsAPermission(t *testing.T) {
	p := idle(t, func(c *Config) { c.Pprof = true })
	for name, routes := range map[string]func(*fiber.App){"main": p.routes, "socket": p.socketRoutes} {
		found := p.as(identity{}, routes).GetRoutes(true)
		require.Greater(t, len(found), 2, name)
		for _, role := range append([]people.Role{people.Nobody}, people.Roles...) {
			app := p.as(identity{Name: "x", Role: role}, routes)
			for _, route := range found {
				at := fmt.Sprintf("%s %s as %q", route.Method, route.Path, role)
				need := needed(route.Method, route.Path)
				require.Contains(t, permissions, need, "%s names no permission", at)
				if need == anyone {
					require.Contains(t, open, route.Path)
				}
				if slices.Contains(open, route.Path) && (need == anyone || find(route.Method, &url.URL{Path: route.Path}) == nil) || role.Includes(permissions[need]) {
					continue
				}
				want := http.StatusForbidden
				if role == people.Nobody {
					want = http.StatusUnauthorized
				}
				req := httptest.NewRequestWithContext(t.Context(), route.Method, strings.NewReplacer(":", "", "*", "x").Replace(route.Path), nil)
				resp, err := app.Test(req, -1)
				require.NoError(t, err, at)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, want, resp.StatusCode, at)
			}
		}
	}
}

func TestPermissionsGrowWithTheRole(t *testing.T) {
	for need, least := range permissions {
		for i, role := range people.Roles {
			require.Equal(t, least == people.Nobody || i >= slices.Index(people.Roles, least), identity{Role: role}.may(need), "%s %s", role, need)
		}
		require.Equal(t, need == anyone, identity{}.may(need), need)
	}
	require.False(t, identity{Role: people.Admin}.may("unknown"))
	require.False(t, identity{Role: "root"}.may(viewPlant), "an unknown role is nobody's")
}

// TestViewerCommandsNothing by REST, by both dialects of the WebSocket, which share a function,
// and in bulk.
func TestViewerCommandsNothing(t *testing.T) {
	p := idle(t, nil)
	viewer := identity{Name: "wall", Role: people.Viewer}
	app := p.as(viewer, p.routes)
	for _, path := range []string{"/api/v1/alerts/a1/acknowledge", "/api/v1/alerts/commands"} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(`{"by":"boss"}`))
		req.Header.Set("Content-Type", "application/json")
		resp, err := app.Test(req, -1)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode, "%s: %s", path, body)
	}
	for _, body := range []string{`{"action":"acknowledge","alert_id":"a1"}`, `{"action":"acknowledge","alert_ids":["a1"]}`} {
		out, ok := p.socketCommands(viewer, "")(t.Context(), json.RawMessage(body)).(socketResult)
		require.True(t, ok)
		require.Equal(t, http.StatusForbidden, out.Status, body)
		require.Equal(t, "forbidden", out.Error.Code)
	}
}

// TestOperatorShelvesForAShift: longer, or out of service, takes an engineer.
func TestOperatorShelvesForAShift(t *testing.T) {
	p := idle(t, nil)
	for _, c := range []struct {
		role   people.Role
		action telemetry.AlarmAction
		body   commandBody
		ok     bool
	}{
		{people.Operator, telemetry.ActionShelve, commandBody{Note: "x", Duration: "8h"}, true},
		{people.Operator, telemetry.ActionShelve, commandBody{Note: "x", Duration: "8h1s"}, false},
		{people.Operator, telemetry.ActionShelve, commandBody{Note: "x", Duration: "720h"}, false},
		{people.Operator, telemetry.ActionShelve, commandBody{Note: "x", Until: p.model.Now() + 10*shift.Milliseconds()}, false},
		{people.Operator, telemetry.ActionOutOfService, commandBody{}, false},
		{people.Operator, telemetry.ActionInService, commandBody{}, false},
		{people.Operator, telemetry.ActionAcknowledge, commandBody{}, true},
		{people.Engineer, telemetry.ActionShelve, commandBody{Note: "x", Duration: "720h"}, true},
		{people.Engineer, telemetry.ActionOutOfService, commandBody{}, true},
	} {
		_, err := p.prototype(identity{Name: "x", Role: c.role}, c.action, c.body)
		if c.ok {
			require.NoError(t, err, "%+v", c)
			continue
		}
		var refused *apiError
		require.ErrorAs(t, err, &refused, "%+v", c)
		require.Equal(t, http.StatusForbidden, refused.status)
	}
}

func TestOperatorCommandsAHundredAlarmsAtOnce(t *testing.T) {
	p := idle(t, nil)
	ids := make([]string, mostAtOnce+1)
	for i := range ids {
		ids[i] = fmt.Sprint("a", i)
		a, err := state.ParseAlert(record(t, alert(ids[i], "d1", telemetry.SeverityLow, telemetry.AlertActive, 1_700_000_000_000)))
		require.NoError(t, err)
		p.model.ApplyAlert(a, true)
	}
	body := commandsBody{Action: telemetry.ActionAcknowledge, AlertIDs: ids}
	_, _, err := p.commandAlarms(t.Context(), identity{Name: "x", Role: people.Operator}, body)
	var refused *apiError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.status)
}
