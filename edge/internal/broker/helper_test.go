package broker

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/wire"
)

const waitTimeout = 180 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func options(tb testing.TB) Options {
	tb.Helper()
	return Options{Gateway: "gw-a", Addr: "127.0.0.1:0", Dir: tb.TempDir(), BufferBytes: 64 << 20, Log: discard()}
}

func start(tb testing.TB, o Options) *Broker {
	tb.Helper()
	b, err := New(o)
	require.NoError(tb, err)
	tb.Cleanup(b.Shutdown)
	return b
}

// pack returns a pack of n bytes of payload.
func pack(epoch, counter uint64, n int) []byte {
	var b wire.PackBuilder
	b.Reset(epoch, counter)
	b.Add(wire.PackEntry{Device: "device_001", Received: 1, Payload: make([]byte, n)})
	return b.Finish()
}
