package web

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/portal/internal/fanout"
	"industrial-iot-monitor/test/freeport"
)

func TestReadingAndAlertReachBothPorts(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	require.NotEqual(t, r.portal.Addr(), r.portal.WSAddr())
	for _, addr := range []string{r.portal.Addr(), r.portal.WSAddr()} {
		id := "device_" + addr[len(addr)-4:]
		ws := r.connect(addr)
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","device_ids":["`+id+`"]}`)))
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"?"}`)))
		require.Equal(t, "error", r.receive(ws).Type)
		e := reading(id, "A栋", r.portal.model.Now())
		r.publish("gw-a", reading("other", "A栋", 1), e)
		m := r.receive(ws)
		require.Equal(t, "device_data", m.Type)
		require.Equal(t, string(e.Payload), string(m.Payload))
		r.raise(alert("a"+id, id, telemetry.SeverityHigh, telemetry.AlertActive, 1))
		require.Equal(t, "alert", r.receive(ws).Type)
	}
}

func TestConnectionLimitIsOverBothPorts(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Config.MaxConnections = 2 })
	a, b := r.connect(r.portal.Addr()), r.connect(r.portal.WSAddr())
	for _, ws := range []*websocket.Conn{a, b} { // let in, not only connected
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{}`)))
		r.receive(ws)
	}
	r.closedWith(r.connect(r.portal.WSAddr()), fanout.CloseLimit)
	r.closedWith(r.connect(r.portal.Addr()), fanout.CloseLimit)
	metrics := r.get("/metrics").body
	require.Contains(t, metrics, "iot_websocket_connections_total 2")
	require.Contains(t, metrics, `portal_websocket_closes_total{code="4504"} 2`)
}

func TestShutdownClosesWith4001(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	ws := r.connect(r.portal.Addr())
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{}`)))
	r.receive(ws)
	done := make(chan struct{})
	go func() { defer close(done); r.stop() }()
	r.closedWith(ws, fanout.CloseShutdown)
	<-done
	_, _, err := r.dial(r.portal.Addr(), nil)
	require.Error(t, err, "the port is closed")
}

func TestOriginsThatMayConnect(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) {
		o.Config.AllowedOrigins, o.Config.Hosts = []string{"https://wall.example.com"}, []string{"plant.example.com"}
	})
	for _, c := range []struct {
		origin, host string
		allowed      bool
	}{
		{"", "", true},
		{"http://127.0.0.1:9999", "", true},
		{"http://localhost:3000", "", true},
		{"http://[::1]:3000", "", true},
		{"https://wall.example.com", "", true},
		{"https://WALL.example.com", "", true},
		{"https://wall.example.com:444", "", false},
		{"http://evil.example.com", "", false},
		{"null", "", false},
		{"file://", "", false},
		{"http://plant.example.com", "plant.example.com:8081", true},
		{"http://plant.example.com.evil.example", "plant.example.com:8081", false},
		{"http://localhost:3000", "plant.example.com:8081", false},
		{"http://user@127.0.0.1@evil.example", "", false},
		{"::", "", false},
	} {
		h := http.Header{}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		if c.host != "" {
			h.Set("Host", c.host)
		}
		ws, status, err := r.dial(r.portal.WSAddr(), h)
		if c.allowed {
			require.NoError(t, err, "%+v", c)
			require.NoError(t, ws.Close())
			continue
		}
		require.ErrorIs(t, err, websocket.ErrBadHandshake, "%+v", c)
		require.Equal(t, http.StatusForbidden, status, "%+v", c)
	}
	require.True(t, newOriginPolicy([]string{"*"}).allows("http://evil.example.com", "127.0.0.1"))
	require.True(t, newOriginPolicy([]string{"null"}).allows("null", "127.0.0.1"))
	require.False(t, newOriginPolicy(nil).allows("http://a", "b c"))
}

func TestWebSocketPathServesNothingElse(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.refused("/ws", http.StatusUpgradeRequired, "upgrade_required")
	a := r.get("/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Zero(t, r.portal.fanout.Stats().Clients)
}

func TestOperationsRoutes(t *testing.T) {
	t.Parallel()
	own := prometheus.NewRegistry()
	own.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "another_program", Help: "x"}))
	r := start(t, func(o *Options) { o.Registry = own })
	live := r.get("/livez")
	require.Equal(t, http.StatusOK, live.status)
	require.Equal(t, "ok\n", live.body)
	require.Equal(t, http.StatusOK, r.get("/readyz").status)
	body := r.get("/metrics").body
	for _, name := range []string{
		"iot_websocket_connections_total 0", "another_program", "portal_delivery_age_seconds_count 0", "portal_reading_age_seconds_count 0",
		`portal_decode_errors_total{source="live"} 0`, "portal_hub_connected 1", "portal_kafka_connected 1",
	} {
		require.Contains(t, body, name)
	}
	r.hub.Shutdown()
	r.eventually("not ready", func() bool { return r.get("/readyz").status == http.StatusServiceUnavailable })
}

func TestPageAndItsHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	a := r.get("/")
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.header.Get("Content-Type"), "text/html")
	require.Contains(t, a.body, "<title>")
	csp := a.header.Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'none'; script-src 'self'; style-src 'self';")
	require.Contains(t, csp, "connect-src 'self' ws://"+r.portal.Addr()+" wss://"+r.portal.Addr()+" ws://"+r.portal.WSAddr())
	require.NotContains(t, csp, "unsafe")
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
	require.Equal(t, http.StatusNotModified, r.get("/", "If-None-Match", a.header.Get("ETag")).status)
	a = r.get("/", "Host", "evil.example;script-src *")
	require.NotContains(t, a.header.Get("Content-Security-Policy"), "evil")
}

func TestNothingOutsideTheBundleIsServed(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, path := range []string{
		"/nothing", "/../main.go", "/..%2f..%2fgo.mod", "/%2e%2e/%2e%2e/etc/passwd", "/.gitkeep", "/.env", "//etc/passwd", "/index.html/", "/api", "/api/v2/devices",
	} {
		r.refused(path, http.StatusNotFound, "not_found")
	}
}

func TestErrorsRevealNoInternals(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	app := r.portal.newApp()
	app.Get("/panic", func(*fiber.Ctx) error { panic("secret") })
	app.Get("/fail", func(*fiber.Ctx) error { return net.ErrClosed })
	app.Get("/forbidden", r.portal.allow("open the doors"), func(*fiber.Ctx) error { return nil })
	for path, want := range map[string]struct {
		status int
		code   string
	}{"/panic": {500, "internal"}, "/fail": {500, "internal"}, "/forbidden": {403, "forbidden"}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+path, nil)
		require.NoError(t, err)
		resp, err := app.Test(req, -1)
		require.NoError(t, err)
		require.Equal(t, want.status, resp.StatusCode)
		var b strings.Builder
		require.NoError(t, resp.Write(&b))
		require.NoError(t, resp.Body.Close())
		require.Contains(t, b.String(), `"code":"`+want.code+`"`)
		require.NotContains(t, b.String(), "secret")
		require.NotContains(t, b.String(), "closed network")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.portal.Addr()+"/api/v1/devices", strings.NewReader(strings.Repeat("x", 100_000)))
	require.NoError(t, err)
	resp, err := r.client.Do(req)
	if err == nil { // the server may have hung up before everything was sent
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.portal.Addr()+"/api/v1/devices", nil)
	require.NoError(t, err)
	resp, err = r.client.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

func TestTakenPortsAreNamed(t *testing.T) {
	r := start(t, nil)
	cfg := r.cfg
	cfg.Addr = r.portal.Addr()
	_, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "PORTAL_ADDR")
	cfg.Addr = freeport.Address(t)
	_, port, err := net.SplitHostPort(r.portal.WSAddr())
	require.NoError(t, err)
	cfg.WebSocketPort, err = strconv.Atoi(port)
	require.NoError(t, err)
	_, err = New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "WEBSOCKET_PORT")
	cfg.WebSocketPort = 0
	p, err := New(Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}) // the first port was given back
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

func TestOnePortForBoth(t *testing.T) {
	addr := freeport.Address(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	r := start(t, func(o *Options) {
		o.Config.Addr = addr
		o.Config.WebSocketPort, _ = strconv.Atoi(port)
	})
	require.Equal(t, addr, r.portal.WSAddr())
	r.connect(addr)
}

func TestConfigNamesTheVariable(t *testing.T) {
	good := Config{Addr: "127.0.0.1:0", WebSocketPort: 0, WebSocketPath: "/ws", MaxConnections: 1, AuditEntries: 1, Topics: topology.Suffixed(""), Config: kafka.Config{Cluster: kafka.At("127.0.0.1:9092")}}
	require.NoError(t, good.Check())
	for name, change := range map[string]func(*Config){
		"PORTAL_ADDR":                   func(c *Config) { c.Addr = "nonsense" },
		"WEBSOCKET_PORT":                func(c *Config) { c.WebSocketPort = 70000 },
		"WEBSOCKET_PATH":                func(c *Config) { c.WebSocketPath = "ws" },
		"PORTAL_ADDR=0.0.0.0:80":        func(c *Config) { c.Addr, c.Pprof = "0.0.0.0:80", true },
		"KAFKA_TOPIC_ALARM_AUDIT":       func(c *Config) { c.Audit = "bad topic!" },
		"WEBSOCKET_MAX_CONNECTIONS":     func(c *Config) { c.MaxConnections = 0 },
		"PORTAL_STORE_RETENTION":        func(c *Config) { c.Retention = 1 },
		"PORTAL_AUDIT_ENTRIES":          func(c *Config) { c.AuditEntries = 0 },
		"DATABASE_URL":                  func(c *Config) { c.DatabaseURL = "localhost:5432" },
		"PORTAL_ALLOWED_ORIGINS":        func(c *Config) { c.AllowedOrigins = []string{"wall"} },
		"REDIS_URL":                     func(c *Config) { c.RedisURL = "localhost:6379" },
		"REDIS_PREFIX":                  func(c *Config) { c.RedisURL, c.RedisPrefix = "redis://h", "{a}" },
		"PORTAL_TLS_CERT_FILE":          func(c *Config) { c.TLSKeyFile = "portal.key" },
		"PORTAL_MAX_CONNECTIONS":        func(c *Config) { c.MaxConnections, c.MaxTCP = 5, 4 },
		"PORTAL_MAX_CONNECTIONS_PER_IP": func(c *Config) { c.MaxTCPPerIP = -1 },
		"PORTAL_REQUESTS_PER_SECOND":    func(c *Config) { c.RequestRate = -1 },
		"PORTAL_COMMANDS_PER_MINUTE":    func(c *Config) { c.CommandRate = -1 },
	} {
		c := good
		change(&c)
		require.ErrorContains(t, c.Check(), name)
		_, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler)})
		require.ErrorContains(t, err, name)
	}
	_, err := New(Options{})
	require.ErrorIs(t, err, errNoLog)
	for _, v := range config.Describe(&good) {
		require.NotEmpty(t, v.Help, v.Name)
	}
}

func TestPortalStopsInTimeWithRequestsOpen(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.portal.Addr())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: x")) // and never the rest
	require.NoError(t, err)
	from := time.Now()
	r.stop()
	require.Less(t, time.Since(from), 30*time.Second)
}

func TestBundleIsServedWithTypesAndCompressed(t *testing.T) {
	p, err := loadPage(fstest.MapFS{
		"index.html":    {Data: []byte("<!doctype html>" + strings.Repeat(" ", 500))},
		"app.js":        {Data: []byte("1")},
		"app.css":       {Data: []byte("a{}")},
		"img/icon.svg":  {Data: []byte("<svg/>")},
		"font.unknown9": {Data: []byte("x")},
		".gitkeep":      {Data: nil},
	})
	require.NoError(t, err)
	require.Equal(t, "text/javascript; charset=utf-8", p.files["/app.js"].kind)
	require.Equal(t, "text/css; charset=utf-8", p.files["/app.css"].kind)
	require.Equal(t, "image/svg+xml", p.files["/img/icon.svg"].kind)
	require.Equal(t, "application/octet-stream", p.files["/font.unknown9"].kind)
	require.Nil(t, p.files["/.gitkeep"])
	require.Nil(t, p.files["/app.js"].packed)
	app := fiber.New()
	app.Get("/*", p.serve)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.NoError(t, err)
	req.Header.Set("Accept-Encoding", "br, gzip")
	resp, err := app.Test(req, -1)
	require.NoError(t, err)
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	require.NoError(t, resp.Body.Close())
	empty, err := loadPage(fstest.MapFS{})
	require.NoError(t, err)
	require.Contains(t, string(empty.files["/"].body), "make web")
}
