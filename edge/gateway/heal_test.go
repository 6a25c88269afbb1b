package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestRateCoversTheLastMinutes(t *testing.T) {
	var r rate
	now := time.Unix(1000, 0)
	_, known := r.perSecond(now, 0)
	require.False(t, known)
	bytes := uint64(0)
	for range 600 {
		now, bytes = now.Add(time.Second), bytes+1000
		r.add(now, bytes)
	}
	got, known := r.perSecond(now, bytes)
	require.True(t, known)
	require.InDelta(t, 1000, got, 1)
	for range 700 {
		now = now.Add(time.Second)
		r.add(now, bytes)
	}
	got, _ = r.perSecond(now, bytes)
	require.Zero(t, got)
	require.LessOrEqual(t, len(r.samples), int(rateWindow/rateStep)+2)
}

func TestHorizon(t *testing.T) {
	require.EqualValues(t, 10, horizon(500, 1500, 100))
	require.EqualValues(t, 0, horizon(1500, 1500, 100))
	require.EqualValues(t, 0, horizon(2000, 1500, 100))
	require.EqualValues(t, noHorizon, horizon(500, 1500, 0))
	require.Positive(t, horizon(0, 1<<60, 1e-9), "bounded")
}

func TestHeartbeatHoldsTheTotals(t *testing.T) {
	g, h := startWithHub(t)
	ch := h.heartbeats(t)
	next(t, ch) // the rate is measured from a heartbeat on
	send(t, g, 2, 5)
	_, err := dial(t, g).Request(wire.TelemetrySubject("device_001"), []byte("bad"), waitTimeout)
	require.NoError(t, err)
	var s wire.GatewayStatus
	require.Eventually(t, func() bool {
		s = next(t, ch)
		return s.Packed == wire.PackTotals{Readings: 10, Refused: 1} && s.HorizonSeconds > 0
	}, waitTimeout, time.Millisecond)
	require.Len(t, s.Instance, 16)
	require.Equal(t, s.LastSeq, s.Counter)
	require.Positive(t, s.BytesPerSecond)
	require.Zero(t, s.StoreRestarts)
	require.InDelta(t, float64(s.HorizonSeconds), value(t, g.metrics.horizon), float64(s.HorizonSeconds))
}

// A stream that stopped responding, as after a full disk, is restarted without the
// process; no acknowledged reading is lost.
func TestGatewayHealsItself(t *testing.T) {
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	g, stop := runWith(t, Options{Config: cfg, Log: discard(), StallAfter: time.Second})
	defer stop()
	acked := send(t, g, 3, 10)
	addr, mqtt := g.NATSAddr(), connectMQTT(t, g)

	require.NoError(t, g.broker.StopStore())
	nc := dial(t, g)
	require.Eventually(t, func() bool {
		msg, err := nc.Request(wire.TelemetrySubject("device_009"), reading("device_009", 1640995200000), 3*time.Second)
		if err != nil {
			return false
		}
		r, err := wire.DecodeReply(msg.Data)
		return err == nil && r.Error == nil
	}, waitTimeout, 50*time.Millisecond)
	require.NoError(t, g.Ready())
	require.Equal(t, addr, g.NATSAddr())
	require.True(t, mqtt.IsConnectionOpen(), "MQTT clients do not notice")
	require.Eventually(t, func() bool { return value(t, g.metrics.storeRestarts) >= 1 }, waitTimeout, time.Millisecond, "it is counted after it has worked")
	require.NotZero(t, g.restarts.Load())

	acked["device_009"] = nil
	for id, more := range send(t, g, 3, 10) {
		acked[id] = append(acked[id], more...)
	}
	got := map[string][]string{}
	for _, e := range h.entries(t, cfg.ID) {
		got[e.Device] = append(got[e.Device], string(e.Payload))
	}
	require.NotEmpty(t, got["device_009"])
	acked["device_009"] = got["device_009"]
	require.Equal(t, acked, got)
}

// runWith is run with options.
func runWith(tb testing.TB, o Options) (g *Gateway, stop func()) {
	tb.Helper()
	g, err := New(o)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	running := g
	go func() { done <- running.Run(ctx) }()
	require.Eventually(tb, func() bool { return running.Ready() == nil }, waitTimeout, 5*time.Millisecond)
	return g, func() {
		cancel()
		require.NoError(tb, <-done)
	}
}

// Readiness means progress: a pending write or an unresponsive stream ends it before
// devices are refused.
func TestNotReadyWithoutProgress(t *testing.T) {
	long := time.Now().Add(-time.Minute)
	require.NoError(t, readiness(nil, &long, time.Time{}, time.Minute*2))
	require.ErrorContains(t, readiness(nil, &long, time.Time{}, probeMaxAge), "not responded for 1m0s")
	now := time.Now()
	require.ErrorContains(t, readiness(nil, &now, long, probeMaxAge), "pending for 1m0s")
	require.ErrorContains(t, readiness(nil, nil, time.Time{}, probeMaxAge), "starting")
}

func TestClockStepIsDetected(t *testing.T) {
	const year = 365 * 24 * time.Hour
	require.Zero(t, clockStep(time.Hour, time.Hour+3*time.Second, 0), "drift")
	require.Equal(t, -time.Hour, clockStep(2*time.Hour, time.Hour, 0))
	require.Zero(t, clockStep(3*time.Hour, 2*time.Hour, -time.Hour), "reported already")
	require.Equal(t, 10*year, clockStep(3*time.Hour, 10*year+2*time.Hour, -time.Hour))
}

// guardedHub admits one instance of a gateway, as the bridge's hub does.
type guardedHub struct{ instance string }

// Check implements server.Authentication.
func (h *guardedHub) Check(c server.ClientAuthentication) bool {
	return c.Kind() == 0 || c.GetOpts().Password == h.instance
}

func TestSecondGatewayWithTheSameIDReportsItsRefusal(t *testing.T) {
	guard := &guardedHub{}
	o := &server.Options{ServerName: "hub", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, CustomClientAuthentication: guard}
	o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", -1
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	cfg := config(t)
	dir := filepath.Join(cfg.DataDir, cfg.ID)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	guard.instance = "00000000000000aa"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "instance"), []byte(guard.instance), 0o600))
	srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	cfg.HubURL = fmt.Sprintf("nats-leaf://127.0.0.1:%d", leafPort(t, srv))
	first := start(t, cfg)
	require.Eventually(t, first.HubConnected, waitTimeout, 10*time.Millisecond)

	cfg.DataDir = t.TempDir()
	second := start(t, cfg)
	require.Eventually(t, func() bool { return value(t, second.metrics.hubRefused) == 1 }, waitTimeout, 10*time.Millisecond)
	require.False(t, second.HubConnected())
	require.NotZero(t, value(t, second.metrics.hubRefusals))
	require.NoError(t, second.Ready(), "it accepts readings")
	send(t, second, 1, 2)
	require.True(t, first.HubConnected())
}

func leafPort(t *testing.T, srv *server.Server) int {
	t.Helper()
	v, err := srv.Varz(nil)
	require.NoError(t, err)
	return v.LeafNode.Port
}

// A plain nats-server without users admits a leaf that sends one.
func TestHubWithoutUsersAdmitsTheGateway(t *testing.T) {
	g, h := startWithHub(t) // its hub has no users
	require.Eventually(t, g.HubConnected, waitTimeout, 10*time.Millisecond)
	leafs, err := h.srv.Leafz(nil)
	require.NoError(t, err)
	require.Len(t, leafs.Leafs, 1)
}

// value returns the value of a gauge or counter.
func value(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	m := families[0].GetMetric()[0]
	return m.GetGauge().GetValue() + m.GetCounter().GetValue()
}
