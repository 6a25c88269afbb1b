//go:build redis

package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/portal/internal/dashboard"
	"industrial-iot-monitor/test/faults/tcpline"
	"industrial-iot-monitor/test/redistest"
)

// beside starts a portal at the hub, the Kafka and the Redis of another.
func (r *rig) beside(change func(*Options)) *rig {
	r.tb.Helper()
	return start(r.tb, func(o *Options) {
		o.Config.HubURL, o.Config.Brokers, o.Config.Topics = r.cfg.HubURL, r.cfg.Brokers, r.cfg.Topics
		o.Config.RedisURL, o.Config.RedisPrefix = r.cfg.RedisURL, r.cfg.RedisPrefix
		if change != nil {
			change(o)
		}
	})
}

func withRedis(addr string) func(*Options) {
	return func(o *Options) {
		o.Config.RedisURL, o.Config.RedisPrefix = "redis://"+addr, "plant"
		o.Config.TrustedProxies = []string{"127.0.0.1"}
		o.Config.CommandRate, o.Config.RequestRate = 6, 500
	}
}

func (r *rig) redis() (f struct {
	Up                       bool
	Loaded, Written, Pending int64
},
) {
	r.tb.Helper()
	var s struct {
		Redis *struct {
			Up                       bool
			Loaded, Written, Pending int64
		}
	}
	r.getJSON("/api/v1/stats", &s)
	require.NotNil(r.tb, s.Redis)
	return *s.Redis
}

func (r *rig) redisSettled() {
	r.tb.Helper()
	r.eventually("redis", func() bool { f := r.redis(); return f.Up && f.Pending == 0 })
}

// devices returns the answer to GET /devices without its times.
func (r *rig) devices() string {
	r.tb.Helper()
	var a map[string]any
	r.getJSON("/api/v1/devices?limit=1000", &a)
	delete(a, "time")
	items, _ := a["items"].([]any)
	for _, item := range items {
		if d, ok := item.(map[string]any); ok {
			delete(d, "age_ms")
		}
	}
	text, err := json.Marshal(a)
	require.NoError(r.tb, err)
	return string(text)
}

// balancer hands requests to portals in turn, as one in front of them does.
func balancer(tb testing.TB, rigs ...*rig) *httptest.Server {
	tb.Helper()
	var next atomic.Int64
	var proxies []*httputil.ReverseProxy
	for _, r := range rigs {
		to := &url.URL{Scheme: "http", Host: r.portal.Addr()}
		proxies = append(proxies, &httputil.ReverseProxy{Transport: r.client.Transport, Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"] // the test says who asks
		}})
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		proxies[next.Add(1)%int64(len(proxies))].ServeHTTP(w, q)
	}))
	tb.Cleanup(s.Close)
	return s
}

func containsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}

// TestTwoPortalsBehindABalancerShareARedis has devices that send once, and a portal that starts after that.
func TestTwoPortalsBehindABalancerShareARedis(t *testing.T) {
	server := redistest.Start(t)
	first := start(t, withRedis(server.Addr()))
	now := time.Now().UnixMilli()
	for i := range 300 {
		first.publish("gw-a", reading(fmt.Sprintf("d%03d", i), "A栋", now-int64(i)))
	}
	first.eventually("all", func() bool { return first.portal.model.Totals().Readings == 300 })
	first.redisSettled()
	second := first.beside(withRedis(server.Addr()))
	second.eventually("loaded", func() bool { return second.redis().Loaded == 300 })
	require.Equal(t, first.devices(), second.devices())
	require.Contains(t, second.devices(), `"d299"`)

	// Who is at the screens of either is seen at both.
	screens := map[string]*rig{"李工": first, "王工": second}
	for name, r := range screens {
		ws := r.dashboard()
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"present","name":%q}`, name)))
	}
	b := balancer(t, first, second)
	seen := func() (names []string) {
		var a struct {
			Items []struct{ Name, Portal string }
		}
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/api/v1/operators", http.NoBody)
		require.NoError(t, err)
		resp, err := b.Client().Do(q)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
		for _, o := range a.Items {
			names = append(names, o.Name+" "+o.Portal)
		}
		return names
	}
	want := []string{"李工 " + first.portal.operators.Portal(), "王工 " + second.portal.operators.Portal()}
	for range 2 { // each portal in turn
		first.eventually("the operators", func() bool { return slices.Equal(seen(), want) })
		first.eventually("the operators, at the other one", func() bool { return slices.Equal(seen(), want) })
	}

	// A limit holds over both: six commands a minute, whichever portal they go to.
	command := func() int {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, b.URL+"/api/v1/devices/unknown", http.NoBody)
		require.NoError(t, err)
		q.Header.Set("X-Operator", "x")
		q.Header.Set("X-Forwarded-For", "192.0.2.7")
		resp, err := b.Client().Do(q)
		require.NoError(t, err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests {
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
		}
		return resp.StatusCode
	}
	allowed := 0
	for range 12 {
		if command() == http.StatusNotFound {
			allowed++
		}
	}
	require.Less(t, allowed, 12, "each alone would have allowed 6")
	require.GreaterOrEqual(t, allowed, 6)

	// A removed device is gone everywhere, and stays gone for a portal that starts.
	kafkatest.Produce(t, first.brokers, first.cfg.DeviceState, -1, kafkatest.Record{Key: []byte("d007")})
	for _, r := range []*rig{first, second} {
		r.eventually("removed", func() bool { return r.get("/api/v1/devices/d007").status == http.StatusNotFound })
	}
	first.eventually("removed in Redis", func() bool {
		third := first.beside(nil)
		defer third.stop()
		third.eventually("loaded", func() bool { return third.redis().Loaded >= 299 })
		return third.get("/api/v1/devices/d007").status == http.StatusNotFound
	})
}

// TestNothingElseSuffersFromRedis kills, suspends and delays it under load: live values and alarms come, requests are
// answered, a portal starts.
func TestNothingElseSuffersFromRedis(t *testing.T) {
	server := redistest.Start(t)
	line, err := tcpline.New(server.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, line.Close()) })
	r := start(t, withRedis(line.Addr()))
	ws := r.dashboard()
	require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","topics":["device/d0","alerts"]}`)))
	messages := make(chan string, 1000)
	go func() {
		defer close(messages)
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				return
			}
			messages <- string(data)
		}
	}()
	n := 0
	// measure returns the longest times from a reading to a client, and of a request.
	measure := func() (live, rest time.Duration) {
		for range 40 {
			n++
			mark := fmt.Sprintf(`"extra":"%d"`, n)
			now := time.Now()
			e := reading("d0", "A栋", now.UnixMilli())
			e.Payload = fmt.Appendf(nil, `{"device_id":"d0","timestamp":%d,"location":{"building":"A栋"},"sensors":{},%s}`, now.UnixMilli(), mark)
			more := []wire.FrameEntry{e}
			for i := range 200 {
				more = append(more, reading(fmt.Sprint("x", i), "A栋", now.UnixMilli()))
			}
			r.publish("gw-a", more...)
			for text := range messages {
				if containsAll(text, mark) {
					break
				}
			}
			live = max(live, time.Since(now))
			now = time.Now()
			require.Equal(t, http.StatusOK, r.get("/api/v1/devices/d0", "X-Forwarded-For", "192.0.2.9").status)
			rest = max(rest, time.Since(now))
		}
		r.raise(telemetry.Alert{AlertID: fmt.Sprint("a", n), DeviceID: "d0", AlertType: "t", Severity: telemetry.SeverityHigh, Status: telemetry.AlertActive, Timestamp: 1})
		return live, rest
	}
	measure() // connections and caches
	live, rest := measure()
	t.Logf("%-20s a reading takes %v, a request %v at most", "with Redis:", live, rest)
	for name, fault := range map[string]struct{ breakIt, mend func() }{
		"slow":      {func() { line.Slow(300 * time.Millisecond) }, func() { line.Slow(0) }},
		"silent":    {line.Silence, func() {}},
		"suspended": {func() { require.NoError(t, server.Pause()) }, func() { require.NoError(t, server.Resume()) }},
		"killed":    {server.Kill, func() { require.NoError(t, server.Restart(t.Context())) }},
	} {
		t.Run(name, func(t *testing.T) {
			fault.breakIt()
			live, rest := measure()
			t.Logf("%-20s a reading takes %v, a request %v at most", name+":", live, rest)
			require.Less(t, live, 2*time.Second) // loose: the machine is shared
			require.Less(t, rest, 2*time.Second)
			require.Equal(t, http.StatusOK, r.get("/readyz").status)
			began := time.Now()
			second := r.beside(nil)
			t.Logf("%-20s a portal starts in %v", name+":", time.Since(began))
			second.stop()
			fault.mend()
			require.NoError(t, line.Restore())
			r.redisSettled()
		})
	}
	third := r.beside(nil)
	third.eventually("it has all", func() bool { return third.redis().Loaded == 201 })
	require.Equal(t, r.devices(), third.devices())
	_ = ws.Close()
	for range messages { // until the reader has ended
		continue
	}
}

// TestRedisLimitsCommandsOverTheWebSocket counts them with those over REST.
func TestRedisLimitsCommandsOverTheWebSocket(t *testing.T) {
	server := redistest.Start(t)
	r := start(t, withRedis(server.Addr()))
	dialer := websocket.Dialer{HandshakeTimeout: waitTimeout, Subprotocols: []string{dashboard.Subprotocol}}
	ws, resp, err := dialer.DialContext(t.Context(), "ws://"+r.portal.WSAddr()+"/ws", http.Header{"X-Forwarded-For": {"192.0.2.8"}, "X-Operator": {"李工"}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	t.Cleanup(func() { _ = ws.Close() })
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(waitTimeout)))
	for limited := false; !limited; {
		require.NoError(t, ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"command","id":"1","command":{"action":"acknowledge","alert_id":"unknown"}}`)))
		for {
			_, data, err := ws.ReadMessage()
			require.NoError(t, err)
			if containsAll(string(data), `"command_result"`) {
				limited = containsAll(string(data), `"rate_limited"`, `429`)
				break
			}
		}
	}
}
