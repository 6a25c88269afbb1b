package web

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/portal/internal/dashboard"
)

const tlsName = "portal.example.com"

// tlsRig is a portal with people and a certificate for tlsName and 127.0.0.1, and the settings of a client that
// trusts it.
func tlsRig(tb testing.TB) (*rig, *tls.Config) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "ca")
	require.NoError(tb, ca.Init(dir, []string{"hub"}, time.Now()))
	require.NoError(tb, ca.Issue(dir, filepath.Join(dir, "portal"), []string{tlsName, "127.0.0.1"}, time.Now()))
	client, err := tlsfiles.Client(filepath.Join(dir, "ca.pem"), tls.VersionTLS12)
	require.NoError(tb, err)
	r := signedInRig(tb, func(o *Options) {
		o.Config.TLSCertFile, o.Config.TLSKeyFile = filepath.Join(dir, "portal.pem"), filepath.Join(dir, "portal.key")
		o.Config.Hosts = []string{tlsName}
	})
	transport, ok := r.client.Transport.(checked)
	require.True(tb, ok)
	transport.TLSClientConfig = client.Clone()
	return r, client
}

// TestBrowsersReachThePortalByTLS, from the page to the WebSockets of both ports.
func TestBrowsersReachThePortalByTLS(t *testing.T) {
	t.Parallel()
	r, client := tlsRig(t)
	began := time.Now()
	silent := r.open(r.portal.Addr()) // closed at the end

	page := r.get("/", "Host", tlsName)
	require.Equal(t, http.StatusOK, page.status)
	require.Equal(t, "max-age=31536000", page.header.Get("Strict-Transport-Security"))
	require.Contains(t, page.header.Get("Content-Security-Policy"), " wss://"+tlsName+" ")
	require.Empty(t, r.get("/").header.Get("Strict-Transport-Security"), "not on this machine, where other programs are")
	require.Equal(t, http.StatusMisdirectedRequest, r.get("/api/v1/devices", "Host", "evil.example").status)

	require.Contains(t, r.get("/metrics").body, "\nportal_certificate_expiry_timestamp_seconds 1.")
	in := r.ask(http.MethodPost, sessionPath, `{"name":"admin","password":"`+goodPassword+`"}`)
	require.Equal(t, http.StatusOK, in.status, in.body)
	cookie, attributes, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
	require.True(t, strings.HasPrefix(cookie, "__Host-iot="), cookie)
	require.Contains(t, strings.ToLower(attributes), "secure")
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices", "Cookie", cookie).status)

	dial := func(addr, origin string) int {
		d := websocket.Dialer{HandshakeTimeout: waitTimeout, TLSClientConfig: client.Clone()}
		ws, resp, err := d.DialContext(t.Context(), "wss://"+addr+"/ws", http.Header{"Cookie": {cookie}, "Origin": {origin}})
		require.NotNil(t, resp, err)
		defer func() { _ = resp.Body.Close() }()
		if err == nil {
			require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
			require.NoError(t, ws.WriteJSON(map[string]string{"type": "ping"}))
			r.receive(ws)
			require.NoError(t, ws.Close())
		}
		return resp.StatusCode
	}
	for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
		require.Equal(t, http.StatusSwitchingProtocols, dial(addr, r.portal.URL()), addr)
		require.Equal(t, http.StatusForbidden, dial(addr, "http://"+r.portal.Addr()), "a page that came in clear")
		require.Equal(t, http.StatusForbidden, dial(addr, "https://127.0.0.1"), "another port")
	}

	_, _ = io.Copy(io.Discard, silent)
	require.GreaterOrEqual(t, time.Since(began), headWithin)
}

// TestPortalWithACertificateTakesNothingInClear, on either port, and nothing older than TLS 1.2.
func TestPortalWithACertificateTakesNothingInClear(t *testing.T) {
	t.Parallel()
	r, client := tlsRig(t)
	for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
		inClear := r.open(addr)
		_, err := io.WriteString(inClear, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		answer, _ := io.ReadAll(inClear)
		require.NotContains(t, string(answer), "ok")
		require.NotContains(t, string(answer), "HTTP/1.1 200")

		old := client.Clone()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		_, err = (&tls.Dialer{Config: old}).DialContext(t.Context(), "tcp", addr)
		require.ErrorContains(t, err, "protocol version")

		foreign := &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
		_, err = foreign.DialContext(t.Context(), "tcp", addr)
		require.Error(t, err, "a client that does not trust the authority")
	}
	require.Equal(t, http.StatusOK, r.get("/livez").status)
}

// TestUnusableCertificateStopsThePortal: it does not fall back to plain HTTP.
func TestUnusableCertificateStopsThePortal(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	cfg := r.cfg
	cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(t.TempDir(), "no.pem"), "no.key"
	_, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "PORTAL_TLS_CERT_FILE")
	require.ErrorContains(t, err, "no.pem")
}

// TestHelloHasInsecure, if it is set.
func TestHelloHasInsecure(t *testing.T) {
	t.Parallel()
	for name, words := range map[string][]string{"none": nil, "both": {listen.Anonymous, listen.Plaintext}} {
		r := start(t, func(o *Options) { o.Config.Insecure = words })
		ws, _, err := r.dial(r.portal.Addr(), http.Header{"Sec-Websocket-Protocol": {dashboard.Subprotocol}})
		require.NoError(t, err, name)
		require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
		var hello struct {
			Type     string
			Insecure []string
		}
		require.NoError(t, ws.ReadJSON(&hello), name)
		require.Equal(t, "hello", hello.Type)
		require.Equal(t, words, hello.Insecure, name)
	}
}
