package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/fanout"
)

// raw sends the head of a request exactly as given, which an HTTP client would tidy up.
func (r *rig) raw(line string, header ...string) answer {
	r.tb.Helper()
	c, err := (&net.Dialer{}).DialContext(r.tb.Context(), "tcp", r.portal.Addr())
	require.NoError(r.tb, err)
	r.tb.Cleanup(func() { _ = c.Close() })
	require.NoError(r.tb, c.SetDeadline(time.Now().Add(waitTimeout)))
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	r := start(t, nil)
	ws := r.dashboard()
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 70_000))))
	r.closedWith(ws, websocket.CloseMessageTooBig)
}

func TestSocketSettingsAreChecked(t *testing.T) {
	good := Config{Addr: "127.0.0.1:0", WebSocketPath: "/ws", MaxConnections: 1, AuditEntries: 1, Topics: topology.Suffixed(""), Config: kafka.Config{Cluster: kafka.At("127.0.0.1:9092")}}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(*Config){
		"WEBSOCKET_MAX_CONNECTIONS_PER_IP": func(c *Config) { c.MaxPerAddress = -1 },
		"WEBSOCKET_MESSAGES_PER_SECOND":    func(c *Config) { c.MessageRate = -1 },
		"PORTAL_REPLAY_BYTES":              func(c *Config) { c.ReplayBytes = -1 },
		`PORTAL_TRUSTED_PROXIES: "proxy"`:  func(c *Config) { c.TrustedProxies = []string{"proxy"} },
		`PORTAL_HOSTS: "http://a"`:         func(c *Config) { c.Hosts = []string{"a.example.com", "http://a"} },
		`PORTAL_HOSTS: "a:80"`:             func(c *Config) { c.Hosts = []string{"a:80"} },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.Check(), name)
	}
}

// send sends a request with the host of the portal, or the one given as header Host.
func (r *rig) send(method, path string, body []byte, header ...string) answer {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), method, "http://"+r.portal.Addr()+path, bytes.NewReader(body))
	require.NoError(r.tb, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := r.client.Do(req)
	require.NoError(r.tb, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.tb, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// example returns a path with something in place of its parameters.
func example(path string) string {
	return strings.NewReplacer("{id}", "a1", "{action}", "acknowledge", "{note}", "n1", "{name}", "A", "{floor}", "1", "{sensor}", "temperature", "{device}", "d1").Replace(path)
}

// TestCompressedBodyIsRefusedBeforeItIsUnpacked sends bombs: 64 MiB in at most 64 kB.
func TestCompressedBodyIsRefusedBeforeItIsUnpacked(t *testing.T) {
	const size = 64 << 20
	r := start(t, nil)
	plain := bytes.Repeat([]byte(" "), size)
	br := fasthttp.AppendBrotliBytes(nil, plain)
	bombs := map[string][]byte{
		"br": br, "gzip": fasthttp.AppendGzipBytes(nil, plain), "deflate": fasthttp.AppendDeflateBytes(nil, plain), "zstd": fasthttp.AppendZstdBytes(nil, plain),
		"br, br": fasthttp.AppendBrotliBytes(nil, br), "gzip, br": fasthttp.AppendBrotliBytes(nil, fasthttp.AppendGzipBytes(nil, plain)),
		"identity": []byte(`{"by":"x"}`), "": []byte(`{"by":"x"}`), "unknown": []byte(`{"by":"x"}`),
	}
	type target struct{ method, path string }
	var targets []target
	for _, table := range endpoints() {
		for i := range table {
			if e := &table[i]; e.verb() != http.MethodGet {
				targets = append(targets, target{e.verb(), example(e.path)})
			}
		}
	}
	require.Len(t, targets, 38)
	for coding, body := range bombs {
		const bodyLimit = 64 << 10
		if len(body) >= bodyLimit { // gzip of 64 MiB is just above it
			body = body[:bodyLimit-1]
		}
		for _, to := range targets {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := r.send(to.method, to.path, body, "Content-Type", "application/json", "Content-Encoding", coding)
			runtime.ReadMemStats(&after)
			require.Equal(t, http.StatusUnsupportedMediaType, a.status, "%s %s: %s", to, coding, a.body)
			require.Equal(t, "unsupported_media_type", a.failure(t).Code)
			require.Equal(t, "identity", a.header.Get("Accept-Encoding"))
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/4), "%s %s", to, coding)
		}
	}
	twoLines := r.send(targets[0].method, targets[0].path, bombs["br, br"], "Content-Type", "application/json", "Content-Encoding", "br", "Content-Encoding", "br")
	require.Equal(t, http.StatusUnsupportedMediaType, twoLines.status)
}

// TestForeignHostIsRefused is DNS rebinding: a page at evil.example whose name was made to
// resolve to the portal is same-origin to its browser.
func TestForeignHostIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Config.Hosts = []string{"Portal.example.com", " 203.0.113.7"} })
	_, port, err := net.SplitHostPort(r.portal.Addr())
	require.NoError(t, err)
	for _, host := range []string{
		"evil.example", "evil.example:" + port, "portal.example.com.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:80@127.0.0.1",
		"192.0.2.1", "0.0.0.0", "evil.example, 127.0.0.1",
	} {
		for _, path := range []string{"/", "/app.js", "/api/v1/devices", "/api/v1/export.csv", "/api/openapi.json", "/livez", "/readyz", "/metrics", "/ws", "/nothing"} {
			a := r.get(path, "Host", host)
			require.Equal(t, http.StatusMisdirectedRequest, a.status, "%s%s", host, path)
			require.Equal(t, "host_not_allowed", a.failure(t).Code, "%s%s", host, path)
			require.NotContains(t, a.header.Get("Content-Security-Policy"), "evil")
		}
		a := r.send(http.MethodPost, "/api/v1/alerts/a1/acknowledge", []byte(`{"by":"x"}`), "Host", host, "Origin", "http://"+host, "Content-Type", "application/json")
		require.Equal(t, http.StatusMisdirectedRequest, a.status, host)
		for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
			_, status, err := r.dial(addr, http.Header{"Host": {host}, "Origin": {"http://" + host}})
			require.ErrorIs(t, err, websocket.ErrBadHandshake, host)
			require.Equal(t, http.StatusMisdirectedRequest, status, host)
		}
	}
	for _, host := range []string{"127.0.0.1:" + port, "127.0.0.2", "[::1]:" + port, "localhost", "LOCALHOST:1", "portal.example.com", "PORTAL.example.com:8443", "203.0.113.7"} {
		require.Equal(t, http.StatusOK, r.get("/api/v1/devices", "Host", host).status, host)
		ws, _, err := r.dial(r.portal.WSAddr(), http.Header{"Host": {host}})
		require.NoError(t, err, host)
		require.NoError(t, ws.Close())
	}
}

func TestHostsFollowWhereThePortalListens(t *testing.T) {
	for addr, want := range map[string]map[string]bool{
		"127.0.0.1:80":   {"127.0.0.1:80": true, "[::1]": true, "192.0.2.1": false, "portal": false, "": false},
		"192.0.2.1:80":   {"192.0.2.1": true, "192.0.2.2": false, "127.0.0.1": false, "[::ffff:192.0.2.1]": true},
		"0.0.0.0:80":     {"192.0.2.1:8080": true, "[2001:db8::1]:80": true, "127.0.0.1": true, "evil.example": false},
		":80":            {"192.0.2.1": true, "portal": false},
		"Portal.lan:80":  {"portal.LAN": true, "192.0.2.1": true, "evil.lan": false},
		"[2001:db8::1]:": {"[2001:db8::1]": true, "[2001:db8::2]": false},
	} {
		bound := netip.IPv6Unspecified()
		if a, err := netip.ParseAddr(strings.Trim(addr[:strings.LastIndexByte(addr, ':')], "[]")); err == nil {
			bound = a
		}
		h := newHosts(nil, addr, net.TCPAddrFromAddrPort(netip.AddrPortFrom(bound, 80)))
		for host, ok := range want {
			require.Equal(t, ok, h.allow(host), "%s, listening on %s", host, addr)
		}
		require.True(t, h.allow("localhost"))
	}
}

// TestForwardedHeadersCountFromTrustedProxiesOnly has no proxy at first, then one that is
// this machine.
func TestForwardedHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	const evil, good = "evil.example", "portal.example.com"
	attack := func(r *rig, forwardedHost, origin string) (post answer, socket int, page answer) {
		post = r.send(http.MethodPost, "/api/v1/alerts/a1/acknowledge", []byte(`{"by":"x"}`),
			"Content-Type", "application/json", "Origin", "http://"+origin, "X-Forwarded-Host", forwardedHost)
		_, socket, _ = r.dial(r.portal.Addr(), http.Header{"Origin": {"http://" + origin}, "X-Forwarded-Host": {forwardedHost}})
		return post, socket, r.send(http.MethodGet, "/", nil, "X-Forwarded-Host", forwardedHost)
	}
	hosts := func(o *Options) { o.Config.Hosts = []string{good} }
	r := start(t, hosts)
	for _, name := range []string{evil, good} {
		post, socket, page := attack(r, name, name)
		require.Equal(t, "origin_not_allowed", post.failure(t).Code, name)
		require.Equal(t, http.StatusForbidden, socket, name)
		require.NotContains(t, page.header.Get("Content-Security-Policy"), name)
		require.Equal(t, http.StatusOK, page.status)
	}

	r = start(t, func(o *Options) { hosts(o); o.Config.TrustedProxies = []string{"127.0.0.0/8"} })
	post, socket, page := attack(r, good, good)
	require.Equal(t, "alert_not_found", post.failure(t).Code, "the origin is allowed")
	require.Equal(t, http.StatusSwitchingProtocols, socket)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "ws://"+good)
	for _, name := range []string{evil, good + "," + evil, evil + "," + evil} { // the proxy's own value is the last one
		post, socket, page = attack(r, name, evil)
		require.Equal(t, "host_not_allowed", post.failure(t).Code, name)
		require.Equal(t, http.StatusMisdirectedRequest, socket, name)
		require.Equal(t, http.StatusMisdirectedRequest, page.status, name)
	}
	require.Equal(t, http.StatusOK, r.send(http.MethodGet, "/", nil, "X-Forwarded-Host", evil, "X-Forwarded-Host", good).status, "a second line is appended")
}

// TestClientCannotForwardForAnother is a proxy that appends with a second line, as HAProxy does.
func TestClientCannotForwardForAnother(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) {
		o.Config.MaxPerAddress, o.Config.TrustedProxies = 1, []string{"127.0.0.1"}
	})
	for i, claimed := range []string{"192.0.2.1", "192.0.2.2"} {
		ws, _, err := r.dial(r.portal.Addr(), http.Header{"X-Forwarded-For": {claimed, "198.51.100.1"}})
		require.NoError(t, err)
		_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)) // a refused one may be closed already
		_, _, err = ws.ReadMessage()
		require.Equal(t, i == 1, websocket.IsCloseError(err, fanout.CloseLimit), "%d: %v", i, err)
	}
}

func TestExportHoldsNoFormula(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "301": "301", "A栋": "A栋", " 301": " 301", "a=b": "a=b", "　": "　",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx",
		"＝1+1": "'＝1+1", "＋1": "'＋1", "－1": "'－1", "＠x": "'＠x",
		" =1": "' =1", "\n=1": "'\n=1", "\u3000＝1": "'\u3000＝1", "\u200b=1": "'\u200b=1", "\ufeff=1": "'\ufeff=1", "\x00=1": "'\x00=1",
	} {
		require.Equal(t, want, safe(text), "%q", text)
	}
}

// TestNoChangeComesFromAFormOrAForeignPage: every endpoint that changes something refuses what a browser sends without
// asking first, a form or text with JSON in it, and pages of other origins or of none.
func TestNoChangeComesFromAFormOrAForeignPage(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	changes := 0
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			if e.verb() == http.MethodGet {
				continue
			}
			changes++
			path := example(e.path)
			require.NotContains(t, path, "{")
			const by = `{"by":"x"}`
			for kind, body := range map[string]string{
				"": by, "text/plain": by, "text/plain; application/json": by, "application/x-www-form-urlencoded": by,
				"multipart/form-data; boundary=x": "--x\r\nContent-Disposition: form-data; name=\"by\"\r\n\r\nx\r\n--x--\r\n",
			} {
				a := r.ask(e.verb(), path, body, "Content-Type", kind)
				require.Equal(t, http.StatusUnsupportedMediaType, a.status, "%s %s as %q: %s", e.verb(), path, kind, a.body)
			}
			for _, origin := range []string{"null", "https://evil.example.com", "file://"} {
				a := r.ask(e.verb(), path, by, "Origin", origin)
				require.Equal(t, http.StatusForbidden, a.status, "%s %s from %s: %s", e.verb(), path, origin, a.body)
				require.Equal(t, "origin_not_allowed", a.failure(t).Code)
			}
		}
	}
	require.Greater(t, changes, 15)
}
