package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/edge/internal/devices"
)

// waitTimeout bounds every wait of these tests, which also run on small, busy machines.
const waitTimeout = 180 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" { //nolint:forbidigo // says what this process is
		if code := runChild(); code != 0 {
			panic(code)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startWithHub starts a hub and a gateway linked to it.
func startWithHub(t *testing.T) (*Gateway, *hub) {
	t.Helper()
	h := startHub(t, -1)
	cfg := config(t)
	cfg.HubURL = h.url()
	return start(t, cfg), h
}

// config returns the settings of a gateway of its own, on free ports, without a hub.
func config(tb testing.TB) Config {
	tb.Helper()
	return Config{
		ID: "gw-a", Building: "A栋", NATSAddr: "127.0.0.1:0", MQTTAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0",
		DataDir: tb.TempDir(), BufferBytes: 1 << 30, Linger: 3 * time.Millisecond, MaxConnections: 10_000, MaxPerIP: 1_000, DeviceAuth: devices.Off, TLSMode: tlsRequired,
		MaxDevices: 1000,
	}
}

// start runs a gateway until the test ends.
func start(tb testing.TB, cfg Config) *Gateway {
	tb.Helper()
	g, stop := run(tb, cfg)
	tb.Cleanup(stop)
	return g
}

// run runs a gateway until stop is called, which fails the test if the gateway failed.
func run(tb testing.TB, cfg Config) (g *Gateway, stop func()) {
	tb.Helper()
	// On a busy machine a sync takes its time, which is not what these tests are about.
	g, err := New(Options{Config: cfg, Log: discard(), StallAfter: waitTimeout})
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context())) // cleanups come after the test's context
	done := make(chan error, 1)
	running := g
	go func() { done <- running.Run(ctx) }()
	require.Eventually(tb, func() bool { return running.Ready() == nil }, waitTimeout, 5*time.Millisecond)
	stopped := false
	return g, func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			require.NoError(tb, err)
		case <-time.After(waitTimeout):
			require.Fail(tb, "the gateway did not stop")
		}
	}
}

// reading returns the contract's sample reading of one device.
func reading(id string, timestamp int64) []byte {
	return fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
		`"sensors":{"temperature":{"value":25.6,"unit":"°C","status":"normal"},"humidity":{"value":65.2,"unit":"%%","status":"normal"},`+
		`"pressure":{"value":1013.25,"unit":"hPa","status":"normal"},"switch_status":{"value":true,"status":"on"},`+
		`"current":{"value":2.5,"unit":"A","status":"normal"}},`+
		`"device_info":{"model":"IOT-SENSOR-V2","firmware":"1.2.3","battery":85,"signal_strength":-45}}`, id, timestamp)
}
