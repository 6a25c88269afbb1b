package web

import (
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"
)

// The handshake is checked by us: the library would allow every origin and answer every
// fault with 426.
func TestIncompleteHandshakeIsRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	good := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
	for _, c := range []struct {
		name, header, value, code string
		status                    int
	}{
		{"no upgrade", "Upgrade", "h2c", "upgrade_required", http.StatusUpgradeRequired},
		{"no connection", "Connection", "keep-alive", "upgrade_required", http.StatusUpgradeRequired},
		{"foreign origin", "Origin", "https://elsewhere.example", "origin_not_allowed", http.StatusForbidden},
		{"old version", "Sec-WebSocket-Version", "8", "bad_handshake", http.StatusBadRequest},
		{"no key", "Sec-WebSocket-Key", "", "bad_handshake", http.StatusBadRequest},
		{"other subprotocol", "Sec-WebSocket-Protocol", "mqtt", "unknown_subprotocol", http.StatusBadRequest},
	} {
		var header []string
		for k, v := range good {
			if k != c.header {
				header = append(header, k, v)
			}
		}
		if c.value != "" {
			header = append(header, c.header, c.value)
		}
		a := r.get("/ws", header...)
		require.Equal(t, c.status, a.status, c.name)
		require.Contains(t, a.body, c.code, c.name)
	}
	require.Zero(t, r.portal.fanout.Stats().Clients)
}

func TestPanicOfASocketIsLoggedAndNotSentToTheClient(t *testing.T) {
	logged := make(lines, 1)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/ws", func(c *fiber.Ctx) error {
		c.Locals(visitorKey, visitor{})
		return c.Next()
	}, socketHandler(slog.New(slog.NewTextHandler(logged, nil)), func(*websocket.Conn, visitor) { panic("secret") }))
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- app.Listener(ln) }()
	t.Cleanup(func() { require.NoError(t, app.Shutdown()); require.NoError(t, <-served) })

	ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+ln.Addr().String()+"/ws", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	defer func() { _ = ws.Close() }()
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	_, data, err := ws.ReadMessage()
	var ended *websocket.CloseError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, websocket.CloseAbnormalClosure, ended.Code, "dropped without a word")
	require.Empty(t, data)
	require.Contains(t, <-logged, "secret")
}

// lines receives a log's lines.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }
