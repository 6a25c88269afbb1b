package hub

import (
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/natsconn"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/internal/wire"
)

// TestProgramsReachTheHubByTLSAlone: with the right authority they do; without one, with another one, in
// clear or with an old TLS they do not. The hub's own connections go on.
func TestProgramsReachTheHubByTLSAlone(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "ca"), filepath.Join(t.TempDir(), "ca")
	for _, d := range []string{dir, other} {
		require.NoError(t, ca.Init(d, []string{"127.0.0.1"}, time.Now()))
	}
	log := slog.New(slog.DiscardHandler)
	settings, err := tlsfiles.Server(filepath.Join(dir, "hub.pem"), filepath.Join(dir, "hub.key"), tls.VersionTLS13, log)
	require.NoError(t, err)
	h, err := New(Options{Addr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Log: log, TLS: settings})
	require.NoError(t, err)
	defer h.Shutdown()
	own, err := h.Connect("bridge", log)
	require.NoError(t, err)
	defer own.Close()
	connect := func(authority string, extra ...nats.Option) error {
		o := natsconn.Options{URL: h.URL(), Name: "core", Log: log, MustConnect: true, Extra: extra}
		if authority != "" {
			o.CAFile = filepath.Join(authority, "ca.pem")
		}
		nc, err := natsconn.Connect(o)
		if err != nil {
			return err
		}
		defer nc.Close()
		sub, err := own.SubscribeSync(wire.StatusSubjects)
		require.NoError(t, err)
		require.NoError(t, own.Flush())
		require.NoError(t, nc.Publish(wire.StatusSubject("gw-a"), []byte("{}")))
		_, err = sub.NextMsg(waitTimeout)
		return err
	}
	require.NoError(t, connect(dir))
	require.ErrorContains(t, connect(other), "certificate signed by unknown authority")
	require.ErrorContains(t, connect(""), "certificate signed by unknown authority")
	require.ErrorContains(t, connect(dir, func(o *nats.Options) error { o.TLSConfig.MaxVersion = tls.VersionTLS12; return nil }), "protocol version")
}
