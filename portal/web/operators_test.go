package web

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/portal/internal/operators"
)

// screen opens a page's connection with the header of a proxy, if any.
func (r *rig) screen(header http.Header) *websocket.Conn {
	r.tb.Helper()
	d := websocket.Dialer{HandshakeTimeout: waitTimeout, Subprotocols: []string{dashboard.Subprotocol}}
	ws, resp, err := d.DialContext(r.tb.Context(), "ws://"+r.portal.WSAddr()+"/ws", header)
	require.NoError(r.tb, err)
	require.NoError(r.tb, resp.Body.Close())
	r.tb.Cleanup(func() { _ = ws.Close() })
	return ws
}

// hello reads the first message of a connection.
func hello(tb testing.TB, ws *websocket.Conn) (m struct {
	Type, Operator string
	Permissions    []string
},
) {
	tb.Helper()
	require.NoError(tb, ws.ReadJSON(&m))
	require.Equal(tb, "hello", m.Type)
	return m
}

// present returns the names at the screens.
func (r *rig) present() (names []string) {
	r.tb.Helper()
	var a list[operators.Operator]
	r.getJSON("/api/v1/operators", &a)
	for _, o := range a.Items {
		require.Equal(r.tb, r.portal.operators.Portal(), o.Portal)
		names = append(names, o.Name)
	}
	return names
}

func TestOperatorsAtTheScreensAreListed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	require.Empty(t, r.present())
	r.connect(r.portal.Addr()) // a program
	named, unnamed := r.screen(nil), r.screen(nil)
	proxied := r.screen(http.Header{headerOperator: {"王工"}})
	require.Equal(t, "王工", hello(t, proxied).Operator)
	said := hello(t, unnamed)
	require.Empty(t, said.Operator)
	require.Nil(t, said.Permissions, "without sign-in the page offers all")
	for _, ws := range []*websocket.Conn{named, proxied} {
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"present","name":"李工"}`)))
	}
	r.eventually("three", func() bool {
		names := r.present()
		return len(names) == 3 && names[0] == "李工" && names[1] == "王工" && names[2] == ""
	})
	r.eventually("counted", func() bool { // stats are cached
		var s struct {
			Operators operatorCounts
			Redis     json.RawMessage
		}
		r.getJSON("/api/v1/stats", &s)
		return s.Operators == operatorCounts{Names: 2, Screens: 3} && string(s.Redis) == "null"
	})
	require.NoError(t, named.Close())
	require.NoError(t, unnamed.Close())
	r.eventually("one", func() bool { return len(r.present()) == 1 })
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Config.TrustedProxies = []string{"127.0.0.1"}
		o.Config.RequestRate, o.Config.CommandRate = 0.001, 3 // the burst of requests is one
	})
	const header = "X-Forwarded-For"
	require.Equal(t, http.StatusOK, r.get("/api/v1/stats", header, "192.0.2.1").status)
	a := r.get("/api/v1/stats", header, "192.0.2.1")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Contains(t, a.body, `"rate_limited"`)
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 1000, wait, waitTimeout.Seconds())
	require.Equal(t, http.StatusOK, r.get("/api/v1/stats", header, "192.0.2.2").status, "another address")
	require.Equal(t, http.StatusOK, r.get("/readyz", header, "192.0.2.1").status, "monitoring has no limit")
	for range 5 {
		require.Equal(t, http.StatusOK, r.get("/api/v1/stats").status, "nor has loopback")
	}
	require.Contains(t, r.get("/metrics").body, `portal_rate_limit_total{limit="requests",result="refused"} 1`)
}

func TestTooManyCommandsAreRefused(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Config.TrustedProxies, o.Config.CommandRate = []string{"127.0.0.1"}, 2
	})
	send := func() int {
		return r.ask(http.MethodDelete, "/api/v1/devices/unknown", `{"by":"x"}`, "X-Forwarded-For", "192.0.2.1").status
	}
	require.Equal(t, http.StatusNotFound, send())
	ws := r.screen(http.Header{"X-Forwarded-For": {"192.0.2.1"}})
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	command := func(text string) {
		t.Helper()
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"command","id":"1","command":{"action":"acknowledge","alert_id":"unknown"}}`)))
		for {
			_, data, err := ws.ReadMessage()
			require.NoError(t, err)
			var m struct {
				Type  string
				Error struct{ Code string }
			}
			require.NoError(t, json.Unmarshal(data, &m))
			if m.Type == "command_result" {
				require.Equal(t, text, m.Error.Code)
				return
			}
		}
	}
	command("alert_not_found")
	command("rate_limited")
	require.Equal(t, http.StatusTooManyRequests, send())
	require.Equal(t, http.StatusOK, r.get("/api/v1/stats", "X-Forwarded-For", "192.0.2.1").status)
}
