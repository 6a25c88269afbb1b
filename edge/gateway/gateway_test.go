package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// stamps makes every reading of send one of its own: a repeated one would be a resend.
var stamps atomic.Int64

// send publishes readings of several devices concurrently, one at a time per device, and
// returns the acknowledged payloads by device, in order.
func send(t *testing.T, g *Gateway, devices, each int) map[string][]string {
	t.Helper()
	acked := make(map[string][]string, devices)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for d := range devices {
		id := fmt.Sprintf("device_%03d", d)
		nc := dial(t, g)
		wg.Go(func() {
			for range each {
				// Pretty-printed, to show that it is kept byte for byte.
				payload := strings.ReplaceAll(string(reading(id, 1640995200000+stamps.Add(1))), ",", ",\n\t")
				msg, err := nc.Request(wire.TelemetrySubject(id), []byte(payload), waitTimeout)
				if err != nil {
					continue
				}
				if r, err := wire.DecodeReply(msg.Data); err == nil && r.Error == nil {
					mu.Lock()
					acked[id] = append(acked[id], payload)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return acked
}

// requireStored checks that exactly the acknowledged readings are stored, once, byte for
// byte and in order.
func requireStored(t *testing.T, acked map[string][]string, all []stored) {
	t.Helper()
	got := map[string][]string{}
	for _, e := range all {
		require.Nil(t, e.Refusal)
		got[e.Device] = append(got[e.Device], string(e.Payload))
	}
	require.Equal(t, acked, got)
}

func TestAckedReadingsAreInTheStreamInOrderAndUnchanged(t *testing.T) {
	g, h := startWithHub(t)
	acked := send(t, g, 10, 50)
	all := h.entries(t, g.cfg.ID)
	require.Len(t, all, 500)
	requireStored(t, acked, all)
	require.Equal(t, uint64(500), g.collector.Stats().Accepted)
}

func TestPlainPublishIsStoredWithoutAPromise(t *testing.T) {
	g, h := startWithHub(t)
	nc := dial(t, g)
	for n := range 20 {
		require.NoError(t, nc.Publish(wire.TelemetrySubject("device_001"), reading("device_001", 1640995200000+int64(n))))
	}
	require.NoError(t, nc.Publish(wire.TelemetrySubject("device_001"), []byte("bad")))
	require.Eventually(t, func() bool {
		s := g.collector.Stats()
		return s.Accepted == 20 && s.Unpromised == 20 && s.Refused == 1
	}, waitTimeout, 5*time.Millisecond)
	require.Len(t, h.entries(t, g.cfg.ID), 21)
}

func TestFullBufferRefusesUntilTheHubTrims(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL, cfg.BufferBytes = h.url(), 1<<20
	g := start(t, cfg)
	nc := dial(t, g)
	publish := func() wire.Reply {
		msg, err := nc.Request(wire.TelemetrySubject("device_001"), pad(string(reading("device_001", 1640995200000+stamps.Add(1))), 60<<10), waitTimeout)
		require.NoError(t, err)
		r, err := wire.DecodeReply(msg.Data)
		require.NoError(t, err)
		return r
	}
	acked := 0
	var r wire.Reply
	for r = publish(); r.Error == nil; r = publish() {
		acked++
	}
	require.Equal(t, telemetry.ReasonBufferFull, r.Error.Reason)
	require.Equal(t, 503, r.Error.Code)
	require.ErrorContains(t, g.Ready(), "buffer_full")
	require.Len(t, h.entries(t, cfg.ID), acked, "no stored pack was dropped")

	require.NoError(t, h.stream(t, cfg.ID).Purge(t.Context()))
	require.Eventually(t, func() bool { return publish().Error == nil }, waitTimeout, 50*time.Millisecond)
	require.NoError(t, g.Ready())
}

// pad enlarges a reading with an unknown field.
func pad(reading string, n int) []byte {
	return []byte(`{"x":"` + strings.Repeat("x", n-len(reading)-7) + `",` + reading[1:])
}

func TestRestartKeepsEverythingAndStartsANewEpoch(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	g, stop := run(t, cfg)
	before := send(t, g, 3, 10)
	stop()
	first := g.Epoch()

	g, stop = run(t, cfg)
	defer stop()
	require.NotEqual(t, first, g.Epoch())
	for id, payloads := range send(t, g, 3, 10) {
		before[id] = append(before[id], payloads...)
	}
	all := h.entries(t, cfg.ID)
	requireStored(t, before, all)
	epochs := map[string]bool{}
	last := map[uint64]uint64{}
	for i, e := range all {
		epochs[fmt.Sprintf("%016x", e.Epoch)] = true
		if i > 0 && all[i-1].Seq != e.Seq {
			require.Equal(t, last[e.Epoch]+1, e.Counter, "counters have no gaps")
		}
		last[e.Epoch] = e.Counter
	}
	require.Equal(t, map[string]bool{first: true, g.Epoch(): true}, epochs)
}

func TestStopUnderLoadLosesNoAckedReading(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	g, stop := run(t, cfg)
	nc := dial(t, g)
	inbox := nats.NewInbox()
	var mu sync.Mutex
	var acked []int64
	_, err := nc.Subscribe(inbox+".*", func(m *nats.Msg) {
		if r, err := wire.DecodeReply(m.Data); err == nil && r.Error == nil {
			var n int64
			if _, err := fmt.Sscanf(m.Subject, inbox+".%d", &n); err == nil {
				mu.Lock()
				acked = append(acked, n)
				mu.Unlock()
			}
		}
	})
	require.NoError(t, err)
	sending := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; nc.IsConnected(); n++ {
			_ = nc.PublishRequest(wire.TelemetrySubject("device_001"), fmt.Sprintf("%s.%d", inbox, n), reading("device_001", 1640995200000+int64(n)))
			if n == 5000 {
				close(sending)
			}
		}
	})
	<-sending
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) > 0 }, waitTimeout, time.Millisecond)
	asked := time.Now()
	stop()
	require.Less(t, time.Since(asked), waitTimeout)
	wg.Wait()
	nc.Close()

	g2, stop := run(t, cfg)
	defer stop()
	have := map[string]bool{}
	for _, e := range h.entries(t, g2.cfg.ID) {
		have[string(e.Payload)] = true
	}
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, acked)
	for _, n := range acked {
		require.True(t, have[string(reading("device_001", 1640995200000+n))], "reading %d was acknowledged", n)
	}
}

func TestPortInUseNamesTheVariable(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	reg := prometheus.NewRegistry()
	for variable, set := range map[string]func(c *Config, addr string){
		"EDGE_NATS_ADDR": func(c *Config, addr string) { c.NATSAddr = addr },
		"EDGE_MQTT_ADDR": func(c *Config, addr string) { c.MQTTAddr = addr },
		"EDGE_HTTP_ADDR": func(c *Config, addr string) { c.HTTPAddr = addr },

		"EDGE_MQTT_WS_ADDR": func(c *Config, addr string) { c.MQTTWSAddr = addr },
	} {
		cfg := config(t)
		set(&cfg, ln.Addr().String())
		_, err := New(Options{Config: cfg, Log: discard(), Registry: reg})
		require.ErrorContains(t, err, variable+"="+ln.Addr().String())
	}
	g, err := New(Options{Config: config(t), Log: discard(), Registry: reg})
	require.NoError(t, err, "a failed start leaves nothing behind")
	require.NoError(t, g.Close())
}

func TestUnusableConfiguration(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"EDGE_GATEWAY_ID=\"\"":                            func(c *Config) { c.ID = "" },
		"EDGE_GATEWAY_ID=\"a b\"":                         func(c *Config) { c.ID = "a b" },
		"EDGE_GATEWAY_ID=\"xxx":                           func(c *Config) { c.ID = strings.Repeat("x", 33) },
		"EDGE_NATS_ADDR is empty":                         func(c *Config) { c.NATSAddr = "" },
		"EDGE_MQTT_ADDR is empty":                         func(c *Config) { c.MQTTAddr = "" },
		"EDGE_MQTT_WS_ORIGINS: \"wall":                    func(c *Config) { c.MQTTWSOrigins = []string{"*", "https://wall.example", "wall.example"} },
		"EDGE_MQTT_WS_ORIGINS: \"https://wall.example/\"": func(c *Config) { c.MQTTWSOrigins = []string{"https://wall.example/"} },
		"EDGE_LINGER=-1s":                                 func(c *Config) { c.Linger = -time.Second },
		"EDGE_HUB_URL=nowhere":                            func(c *Config) { c.HubURL = "nowhere" },
		"EDGE_BUFFER_BYTES=0":                             func(c *Config) { c.BufferBytes = 0 },
		"another gateway is using":                        func(c *Config) {},
	} {
		cfg := config(t)
		change(&cfg)
		if strings.HasPrefix(want, "another") {
			start(t, cfg)
		}
		_, err := New(Options{Config: cfg, Log: discard()})
		require.ErrorContains(t, err, want)
	}
}

func TestSeveralGatewaysShareAProcessAndARegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, id := range []string{"gw-a", "gw-b", "gw-c"} {
		cfg := config(t)
		cfg.ID, cfg.HTTPAddr = id, ""
		g, err := New(Options{Config: cfg, Log: discard(), Registry: reg})
		require.NoError(t, err)
		require.Empty(t, g.Addr())
		t.Cleanup(func() { require.NoError(t, g.Close()) })
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		require.True(t, strings.HasPrefix(f.GetName(), "edge_"), f.GetName())
		require.Zero(t, len(f.GetMetric())%3)
	}
}

func TestOperationsServer(t *testing.T) {
	g := start(t, config(t))
	transport := &http.Transport{DisableKeepAlives: true}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.Addr()+path, nil)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	cfg := config(t)
	cfg.MaxConnections = 3
	g := start(t, cfg)
	for range 3 {
		device, err := nats.Connect(g.NATSAddr(), nats.NoReconnect())
		require.NoError(t, err)
		t.Cleanup(device.Close)
	}
	_, err := nats.Connect(g.NATSAddr(), nats.NoReconnect())
	require.Error(t, err, "one too many is closed, whether it hears why or not")

	for range 4 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.MQTTAddr())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
	}
	require.Eventually(t, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.Addr()+"/metrics", nil)
		require.NoError(t, err)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return strings.Contains(string(text), `edge_mqtt_connections_refused_total{gateway="gw-a",reason="total"} 1`)
	}, waitTimeout, 5*time.Millisecond, "one too many is closed and counted")
}

func TestBadConnectionLimitsAreRefused(t *testing.T) {
	for variable, change := range map[string]func(*Config){
		"EDGE_MAX_CONNECTIONS=0":        func(c *Config) { c.MaxConnections = 0 },
		"EDGE_MAX_CONNECTIONS_PER_IP=0": func(c *Config) { c.MaxPerIP = 0 },
	} {
		cfg := config(t)
		change(&cfg)
		require.ErrorContains(t, cfg.Check(), variable)
	}
}
