package hub

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestClientsMeetAtTheHub(t *testing.T) {
	h, err := New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: quiet()})
	require.NoError(t, err)
	defer h.Shutdown()

	a, err := nats.Connect(h.URL())
	require.NoError(t, err)
	defer a.Close()
	b, err := h.Connect("b", quiet())
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, int64(MaxPayload), a.MaxPayload())

	sub, err := a.SubscribeSync("fresh.x")
	require.NoError(t, err)
	require.NoError(t, a.Flush())
	require.NoError(t, b.Publish("fresh.x", []byte("hello")))
	m, err := sub.NextMsg(30 * time.Second)
	require.NoError(t, err)
	require.Equal(t, "hello", string(m.Data))

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.LeafAddr())
	require.NoError(t, err, "the leaf port must be open")
	require.NoError(t, conn.Close())
	require.Zero(t, h.Leafs())
}

func TestTwoHubsFitInOneProcess(t *testing.T) {
	for range 2 {
		h, err := New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: quiet()})
		require.NoError(t, err)
		t.Cleanup(h.Shutdown)
		t.Cleanup(h.Shutdown) // twice does nothing
	}
}

func TestTakenPortNamesTheVariable(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()
	taken := ln.Addr().String()

	_, err = New(Options{Addr: taken, LeafAddr: "127.0.0.1:0", Log: quiet()})
	require.ErrorContains(t, err, "BRIDGE_HUB_ADDR="+taken)
	_, err = New(Options{Addr: "127.0.0.1:0", LeafAddr: taken, Log: quiet()})
	require.ErrorContains(t, err, "BRIDGE_LEAF_ADDR="+taken)
	_, err = New(Options{Addr: "4230", LeafAddr: "127.0.0.1:0", Log: quiet()})
	require.ErrorContains(t, err, "BRIDGE_HUB_ADDR=4230")
	_, err = New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:70000", Log: quiet()})
	require.ErrorContains(t, err, "BRIDGE_LEAF_ADDR=127.0.0.1:70000")
	_, err = New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "Log is required")
}

func TestPlainLinksAreNotCompressed(t *testing.T) {
	for name, plain := range map[string]bool{"off": true, "s2_uncompressed": false} {
		t.Run(name, func(t *testing.T) {
			h, err := New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: quiet(), PlainLinks: plain})
			require.NoError(t, err)
			t.Cleanup(h.Shutdown)
			leaf(t, h.LeafAddr(), "a", "gw-a", "")
			require.Eventually(t, func() bool { return h.Leafs() == 1 }, waitTimeout, time.Millisecond)
			z, err := h.srv.Leafz(nil)
			require.NoError(t, err)
			require.Len(t, z.Leafs, 1)
			require.Equal(t, plain, z.Leafs[0].Compression == server.CompressionOff, z.Leafs[0].Compression)
		})
	}
}
