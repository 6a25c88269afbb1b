package web

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/fanout"
)

func TestCallerIsTheClientOfTrustedProxies(t *testing.T) {
	p, err := parseProxies([]string{"10.0.0.0/8", " 192.0.2.1", "2001:db8:f::/48", "127.0.0.1"})
	require.NoError(t, err)
	for name, tc := range map[string]struct{ from, forwarded, want string }{
		"no proxy":                        {"203.0.113.9", "", "203.0.113.9"},
		"a stranger claims to forward":    {"203.0.113.9", "198.51.100.1", "203.0.113.9"},
		"a trusted proxy":                 {"10.1.2.3", "198.51.100.1", "198.51.100.1"},
		"two trusted proxies":             {"192.0.2.1", "198.51.100.1, 10.9.9.9", "198.51.100.1"},
		"what the client wrote is no use": {"10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		"a trusted proxy that says none":  {"10.1.2.3", "", "10.1.2.3"},
		"nonsense":                        {"10.1.2.3", "198.51.100.1, unknown", "10.1.2.3"},
		"all are trusted":                 {"10.1.2.3", "10.4.4.4", "10.4.4.4"},
		"mapped":                          {"::ffff:10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1"},
		"a household":                     {"2001:db8:f::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		"this machine":                    {"::1", "", ""},
		"a proxy on this machine":         {"127.0.0.1", "198.51.100.1", "198.51.100.1"},
		"an untold one on this machine":   {"127.0.0.2", "198.51.100.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var want netip.Addr
			if tc.want != "" {
				want = netip.MustParseAddr(tc.want)
			}
			require.Equal(t, want, p.caller(netip.MustParseAddr(tc.from), tc.forwarded))
		})
	}
}

func TestConnectionsAreCountedByCaller(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) {
		o.Config.MaxPerAddress, o.Config.TrustedProxies = 1, []string{"127.0.0.1"}
	})
	visit := func(caller string) error {
		ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.portal.Addr()+"/ws", http.Header{"X-Forwarded-For": {caller}})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		t.Cleanup(func() { _ = ws.Close() })
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)) // a refused one may be closed already
		_, _, err = ws.ReadMessage()
		return err
	}
	require.NoError(t, visit("198.51.100.1"))
	require.NoError(t, visit("198.51.100.2"))
	err := visit("198.51.100.1")
	require.True(t, websocket.IsCloseError(err, fanout.CloseLimit), "%v", err)
}

// TestProxyIsNotThisMachine: what a proxy beside the portal forwards sees no metrics without the token, listed or not.
func TestProxyIsNotThisMachine(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string][]string{"trusted": {"127.0.0.1"}, "not listed": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(o *Options) { o.Config.TrustedProxies, o.Config.OpsToken = trusted, "s3cret" })
			const by, from = "X-Forwarded-For", "198.51.100.1"
			require.Equal(t, http.StatusUnauthorized, r.get("/metrics", by, from).status)
			require.Equal(t, "ok\n", r.get("/readyz", by, from).body)
			require.Equal(t, http.StatusUnauthorized, r.get("/metrics", by, from, "Authorization", "Bearer wrong").status)
			require.Contains(t, r.get("/metrics", by, from, "Authorization", "Bearer s3cret").body, "\nportal_")
			require.Equal(t, "ready\n", r.get("/readyz", by, from, "Authorization", "Bearer s3cret").body)
			require.Contains(t, r.get("/metrics").body, "\nportal_")
		})
	}
}
