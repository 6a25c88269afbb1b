package mqtt

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/mqtt/mqtttest"
)

// startWeb serves over WebSocket until the test ends.
func startWeb(t *testing.T, st *store, origins ...string) (s *Server, addr string) {
	t.Helper()
	s = newServer(t, st)
	ln := listen(t)
	s.ServeWebSocket(ln, origins)
	stopAfter(t, s)
	return s, ln.Addr().String()
}

// dialWeb opens a WebSocket and returns the status of the answer, 0 without one.
func dialWeb(t *testing.T, addr, path string, header http.Header, protocols ...string) (ws *websocket.Conn, status int, err error) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: waitTimeout}
	ws, res, err := d.DialContext(t.Context(), "ws://"+addr+path, header)
	if err == nil {
		t.Cleanup(func() { _ = ws.Close() })
	}
	if res != nil {
		status = res.StatusCode
		require.NoError(t, res.Body.Close())
	}
	return ws, status, err
}

// connectWeb connects a client over WebSocket.
func connectWeb(t *testing.T, addr string, version byte, change func(*packets.Packet)) *mqtttest.Client {
	t.Helper()
	ws, _, err := dialWeb(t, addr, "/mqtt", nil, "mqtt")
	require.NoError(t, err)
	require.Equal(t, "mqtt", ws.Subprotocol())
	c := mqtttest.Wrap(t, &wsConn{Conn: ws.NetConn(), ws: ws}, version)
	c.Hello(change)
	return c
}

func TestWebSocketClientsAreServedLikeOthers(t *testing.T) {
	for _, version := range []byte{3, 4, 5} {
		st := &store{}
		s, addr := startWeb(t, st)
		c := exchangeClient{connectWeb(t, addr, version, nil), t}
		require.Eventually(t, func() bool { return s.Clients() == 1 }, waitTimeout, time.Millisecond)
		c.Publish(topic, 0, 0, "a")
		c.Publish(topic, 1, 1, "b")
		require.EqualValues(t, 1, c.Read().PacketID)
		c.Publish(topic, 2, 2, "c")
		c.pubrec(2, Success)
		c.pubrel(2, true)
		large := string(bytes.Repeat([]byte("x"), 3*bodyStep))
		c.Publish(topic, 1, 3, large)
		require.EqualValues(t, 3, c.Read().PacketID)
		require.Equal(t, []string{"a", "b", "c", large}, st.payloads())
		c.Raw(append([]byte{0x32}, appendVarint(nil, maxPacket)...)...)
		code := readToEnd(t, c.Client, version)
		require.Equal(t, version == 5, code == byte(packetTooLarge))
	}
}

// readToEnd is Disconnected for a WebSocket, whose end is a close frame.
func readToEnd(t *testing.T, c *mqtttest.Client, version byte) byte {
	t.Helper()
	b := make([]byte, 1024)
	n, err := c.Conn.Read(b)
	if version < 5 {
		require.Error(t, err)
		return 0
	}
	require.NoError(t, err)
	require.Equal(t, byte(typeDisconnect<<4), b[0])
	require.Greater(t, n, 2)
	_, err = c.Conn.Read(b[n:])
	require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
	return b[2]
}

// TestPacketsMayShareAMessageOrSpanSeveral ([MQTT-6.0.0-2]).
func TestPacketsMayShareAMessageOrSpanSeveral(t *testing.T) {
	st := &store{}
	_, addr := startWeb(t, st)
	ws, _, err := dialWeb(t, addr, "/", nil, "mqtt")
	require.NoError(t, err)
	input := bytes.Join([][]byte{hello("MQTT", 4, 2, 0, 1, 'a'), packet(typePublish, 2, append(appendText(nil, topic), 0, 1, 'x')), {0xC0, 0}}, nil)
	for i := range input[:len(input)-4] {
		require.NoError(t, ws.WriteMessage(websocket.BinaryMessage, input[i:i+1]))
		require.NoError(t, ws.WriteMessage(websocket.BinaryMessage, nil))
	}
	require.NoError(t, ws.WriteMessage(websocket.PingMessage, []byte("still there?")))
	require.NoError(t, ws.WriteMessage(websocket.BinaryMessage, input[len(input)-4:]))
	c := &wsConn{Conn: ws.NetConn(), ws: ws}
	want := []byte{0x20, 2, 0, 0, 0x40, 2, 0, 1, 0xD0, 0}
	got := make([]byte, 0, len(want))
	for len(got) < len(want) {
		b := make([]byte, len(want))
		n, err := c.Read(b)
		require.NoError(t, err)
		got = append(got, b[:n]...)
	}
	require.Equal(t, want, got)
	require.Equal(t, []string{"x"}, st.payloads())
}

// TestTextMessageEndsTheConnection ([MQTT-6.0.0-1]).
func TestTextMessageEndsTheConnection(t *testing.T) {
	_, addr := startWeb(t, &store{})
	ws, _, err := dialWeb(t, addr, "/", nil, "mqtt")
	require.NoError(t, err)
	c := mqtttest.Wrap(t, &wsConn{Conn: ws.NetConn(), ws: ws}, 5)
	c.Hello(nil)
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte{0xC0, 0}))
	require.Equal(t, byte(protocolError), readToEnd(t, c, 5))
}

func TestWebSocketHandshake(t *testing.T) {
	for name, tt := range map[string]struct {
		origin    string
		allowed   []string
		protocols []string
		status    int
	}{
		"mqtt":                      {"", nil, []string{"mqtt"}, http.StatusSwitchingProtocols},
		"among others":              {"", nil, []string{"graphql-ws", "mqtt"}, http.StatusSwitchingProtocols},
		"of MQTT 3.1":               {"", nil, []string{"mqttv3.1"}, http.StatusSwitchingProtocols},
		"another protocol":          {"", nil, []string{"graphql-ws"}, http.StatusBadRequest},
		"no protocol":               {"", nil, nil, http.StatusBadRequest},
		"page of the same host":     {"http://HOST", nil, []string{"mqtt"}, http.StatusSwitchingProtocols},
		"page of another host":      {"http://evil.example", nil, []string{"mqtt"}, http.StatusForbidden},
		"page without an origin":    {"null", nil, []string{"mqtt"}, http.StatusForbidden},
		"broken origin":             {"http://%zz", nil, []string{"mqtt"}, http.StatusForbidden},
		"page that is allowed":      {"https://wall.example", []string{"https://wall.example"}, []string{"mqtt"}, http.StatusSwitchingProtocols},
		"another scheme":            {"http://wall.example", []string{"https://wall.example"}, []string{"mqtt"}, http.StatusForbidden},
		"every page is allowed":     {"http://evil.example", []string{"*"}, []string{"mqtt"}, http.StatusSwitchingProtocols},
		"page allowed among others": {"https://b", []string{"https://a", "https://b"}, []string{"mqtt"}, http.StatusSwitchingProtocols},
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := startWeb(t, &store{}, tt.allowed...)
			header := http.Header{}
			if tt.origin == "http://HOST" {
				tt.origin = "http://" + addr
			}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			_, status, err := dialWeb(t, addr, "/any/path", header, tt.protocols...)
			require.Equal(t, tt.status == http.StatusSwitchingProtocols, err == nil)
			require.Equal(t, tt.status, status)
		})
	}
}

func TestPlainHTTPRequestIsToldWhatThePortIs(t *testing.T) {
	_, addr := startWeb(t, &store{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", http.NoBody)
	require.NoError(t, err)
	client := &http.Client{Timeout: waitTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusUpgradeRequired, res.StatusCode)
	require.NoError(t, res.Body.Close())
}

func TestWebSocketOfASilentClientEnds(t *testing.T) {
	_, addr := startWeb(t, &store{})
	c := connectWeb(t, addr, 5, func(pk *packets.Packet) { pk.Connect.Keepalive = 1 })
	asked := time.Now()
	require.Equal(t, byte(keepAliveTimeout), readToEnd(t, c, 5))
	require.GreaterOrEqual(t, time.Since(asked), 1400*time.Millisecond)
}

func TestWebSocketsCloseWithTheServer(t *testing.T) {
	s, addr := startWeb(t, &store{})
	c := connectWeb(t, addr, 5, nil)
	s.StopIntake()
	_, _, err := dialWeb(t, addr, "/", nil, "mqtt")
	require.Error(t, err)
	c.Publish(topic, 1, 1, "late")
	done := make(chan error, 1)
	go func() { done <- s.Close(t.Context()) }()
	require.Equal(t, byte(serverShuttingDown), readToEnd(t, c, 5))
	require.NoError(t, c.Close())
	require.NoError(t, <-done)
}
