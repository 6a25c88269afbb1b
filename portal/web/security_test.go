package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
)

// raw sends the head of a request exactly as given, which an HTTP client would tidy up.
func (r *rig) raw(line string, header ...string) answer {
	r.tb.Helper()
	c, err := (&net.Dialer{}).DialContext(r.tb.Context(), "tcp", r.portal.Addr())
	require.NoError(r.tb, err)
	r.tb.Cleanup(func() { _ = c.Close() })
	require.NoError(r.tb, c.SetDeadline(time.Now().Add(patience)))
	head := append([]string{line + " HTTP/1.1", "Host: " + r.portal.Addr(), "Connection: close"}, header...)
	_, err = fmt.Fprint(c, strings.Join(head, "\r\n")+"\r\n\r\n")
	require.NoError(r.tb, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(r.tb, err, line)
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.tb, err, line)
	require.NoError(r.tb, resp.Body.Close())
	return answer{status: resp.StatusCode, body: string(body)}
}

func TestNoPathLeadsOutOfTheBundle(t *testing.T) {
	r := start(t, nil)
	for _, target := range []string{
		"/../../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e%252fetc/passwd", `/..\..\etc\passwd`, "/..%5c..%5cgo.mod",
		"/....//....//etc/passwd", "/app.js/../../go.mod", "/./../go.mod", "/index.html%00.js", "/%00", "//../go.mod", "/api/../../go.mod", "/api/v1/../../../etc/passwd",
		"/.git/config", "/.env", "/dist/index.html", "/src/main.js", "/node_modules/esbuild/package.json", "/embed.go", "/" + strings.Repeat("../", 200) + "etc/passwd",
		"/api/asyncapi.yaml/../../main.go", "/metrics/../../go.mod",
	} {
		status := r.raw("GET " + target).status
		require.GreaterOrEqual(t, status, http.StatusBadRequest, target)
		require.Less(t, status, http.StatusInternalServerError, target)
	}
	require.Equal(t, http.StatusOK, r.raw("GET /").status)
}

func TestMessageRateIsASetting(t *testing.T) {
	r := start(t, func(o *Options) { o.Config.MessageRate = 0.2 }) // two at once
	for _, ws := range []*websocket.Conn{r.dashboard(), r.connect(r.portal.Addr())} {
		for range 5 {
			require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"unsubscribe","topics":[],"device_ids":[]}`)))
		}
		for m := r.receive(ws); m.Code != "rate_limited"; m = r.receive(ws) {
			require.NotEqual(t, "error", m.Type)
		}
	}
}

func TestLongMessageEndsADashboardToo(t *testing.T) {
	r := start(t, nil)
	ws := r.dashboard()
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 70_000))))
	r.closedWith(ws, websocket.CloseMessageTooBig)
}

func TestSocketSettingsAreChecked(t *testing.T) {
	good := Config{Addr: "127.0.0.1:0", WebSocketPath: "/ws", MaxConnections: 1, AuditEntries: 1}
	require.NoError(t, good.check())
	for name, change := range map[string]func(*Config){
		"WEBSOCKET_MAX_CONNECTIONS_PER_IP": func(c *Config) { c.MaxPerAddress = -1 },
		"WEBSOCKET_MESSAGES_PER_SECOND":    func(c *Config) { c.MessageRate = -1 },
		"PORTAL_REPLAY_BYTES":              func(c *Config) { c.ReplayBytes = -1 },
		`PORTAL_TRUSTED_PROXIES: "proxy"`:  func(c *Config) { c.TrustedProxies = []string{"proxy"} },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.check(), name)
	}
}
