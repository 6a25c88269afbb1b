package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// exchange sends a raw request and returns the answer, checked against the document.
func (r *rig) exchange(request string) (int, string) {
	r.tb.Helper()
	c, err := (&net.Dialer{}).DialContext(r.tb.Context(), "tcp", r.portal.Addr())
	require.NoError(r.tb, err)
	r.tb.Cleanup(func() { _ = c.Close() })
	require.NoError(r.tb, c.SetDeadline(time.Now().Add(waitTimeout)))
	var sending sync.WaitGroup
	sending.Go(func() { _, _ = io.WriteString(c, request) }) // the portal may hang up before it has read everything
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(r.tb, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.tb, err)
	require.NoError(r.tb, resp.Body.Close())
	_ = c.Close()
	sending.Wait()
	require.Equal(r.tb, "application/json", resp.Header.Get("Content-Type"), "%s", body)
	k, err := theContract()
	require.NoError(r.tb, err)
	require.NoError(r.tb, k.holds("/components/responses/Failure/content/application~1json/schema", body), "%s", body)
	return resp.StatusCode, string(body)
}

func TestRequestLimitsHaveErrorCodes(t *testing.T) {
	r := start(t, nil)
	const head = " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"announced body":   {"POST /api/v1/alerts/commands" + head + "Content-Length: 1000000000\r\n\r\n", 413, "too_large"},
		"body over 64 KiB": {"POST /api/v1/alerts/a1/comment" + head + "Content-Length: 70000\r\n\r\n" + strings.Repeat("x", 70_000), 413, "too_large"},
		"body in pieces":   {"POST /api/v1/alerts/a1/comment" + head + "Transfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("x", 70_000) + "\r\n0\r\n\r\n", 413, "too_large"},
		"body of a GET":    {"GET /api/v1/stats" + head + "Content-Length: 70000\r\n\r\n" + strings.Repeat("x", 70_000), 413, "too_large"},
		"long address":     {"GET /api/v1/devices?q=" + strings.Repeat("x", 20_000) + head + "\r\n", 431, "too_large"},
		"long header":      {"GET /api/v1/devices" + head + "X-Long: " + strings.Repeat("x", 20_000) + "\r\n\r\n", 431, "too_large"},
		"not HTTP":         {"nonsense\r\n\r\n", 400, "bad_request"},
		"bad length":       {"POST /api/v1/alerts/commands" + head + "Content-Length: x\r\n\r\n", 400, "bad_request"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := r.exchange(c.request)
			require.Equal(t, c.status, status, body)
			require.Contains(t, body, `"code":"`+c.code+`"`)
		})
	}
	require.Equal(t, http.StatusOK, r.get("/api/v1/stats").status, "and it goes on")
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	const head = " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
	for _, request := range []string{
		"POST /api/v1/devices", "PUT /api/v1/devices/d1", "PUT /api/v1/alerts/a1", "PATCH /api/v1/alerts/a1/history", "DELETE /api/v1/alerts/a1",
		"POST /api/v1/stats", "OPTIONS /api/v1/devices", "POST /api/openapi.json", "DELETE /api/docs", "PUT /api/docs/docs.js", "POST /", "DELETE /app.js", "POST /ws",
		"TRACE /api/v1/stats", "CONNECT /api/v1/stats", "POST /metrics",
	} {
		status, body := r.exchange(request + head)
		require.Contains(t, []int{http.StatusMethodNotAllowed, http.StatusNotFound}, status, "%s: %s", request, body)
	}
	require.Equal(t, telemetry.AlarmUnacknowledged, r.portal.model.Alert("a1").State)
}

func TestUnknownMethodsAreAnsweredWithThoseOfThePath(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	methods := map[string][]string{}
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			methods[e.path] = append(methods[e.path], e.verb())
			if e.verb() == http.MethodGet {
				methods[e.path] = append(methods[e.path], http.MethodHead)
			}
		}
	}
	for path, allowed := range methods {
		for _, method := range []string{"QUERY", "x", http.MethodTrace, http.MethodOptions} {
			a := r.ask(method, regexp.MustCompile(`{\w+}`).ReplaceAllString(path, "x1"), "")
			require.Equal(t, http.StatusMethodNotAllowed, a.status, "%s %s: %s", method, path, a.body)
			require.Equal(t, "method_not_allowed", a.failure(t).Code)
			require.ElementsMatch(t, allowed, strings.Split(a.header.Get("Allow"), ", "), "%s %s", method, path)
			require.NotEmpty(t, a.header.Get("Content-Security-Policy"))
		}
	}
	require.Equal(t, http.StatusMethodNotAllowed, r.ask("QUERY", "/app.js", "").status)
	require.Equal(t, "GET, HEAD", r.ask("QUERY", "/app.js", "").header.Get("Allow"))
}

func TestPanicsRevealNothing(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	app := r.portal.newApp()
	app.Get("/text", func(*fiber.Ctx) error { panic("secret") })
	app.Get("/error", func(*fiber.Ctx) error { panic(fmt.Errorf("secret: %w", io.EOF)) })
	app.Get("/nil", func(*fiber.Ctx) error {
		var p *Portal
		return p.listDevices(nil)
	})
	app.Get("/index", func(c *fiber.Ctx) error { return c.SendString("secret"[len(c.Path())+10:]) })
	app.Get("/late", func(c *fiber.Ctx) error {
		c.Set("X-Half", "done")
		if err := c.SendString("half of the secret"); err != nil {
			return err
		}
		panic("secret")
	})
	k, err := theContract()
	require.NoError(t, err)
	for _, path := range []string{"/text", "/error", "/nil", "/index", "/late"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+path, nil)
		require.NoError(t, err)
		resp, err := app.Test(req, -1)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusInternalServerError, resp.StatusCode, path)
		require.NoError(t, k.holds("/components/responses/Failure/content/application~1json/schema", body))
		for _, word := range []string{"secret", "panic", "runtime", "goroutine", ".go:"} {
			require.NotContains(t, string(body), word, path)
		}
	}
}
