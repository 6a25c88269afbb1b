package tlsfiles

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
)

// handshake connects a client to a server and returns the certificate that the server has shown.
func handshake(t *testing.T, server, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	a, b := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Server(a, server).HandshakeContext(t.Context()) // the client's side is looked at
		_ = a.Close()
	}()
	c := tls.Client(b, client)
	err := c.HandshakeContext(t.Context())
	_ = b.Close()
	<-done
	if err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

// TestARenewedCertificateNeedsNoRestart, and one that is damaged changes nothing.
func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "ca")
		require.NoError(t, ca.Init(dir, []string{"hub"}, time.Now()))
		cert, key := filepath.Join(dir, "hub.pem"), filepath.Join(dir, "hub.key")
		var log bytes.Buffer
		server, err := Server(cert, key, tls.VersionTLS13, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		client, err := Client(filepath.Join(dir, "ca.pem"), tls.VersionTLS12)
		require.NoError(t, err)
		client.ServerName = "hub"
		first, err := handshake(t, server, client)
		require.NoError(t, err)
		require.NoError(t, ca.Renew(dir, time.Now()))
		time.Sleep(lookEvery) //nolint:forbidigo // the clock of the bubble
		second, err := handshake(t, server, client)
		require.NoError(t, err)
		require.NotEqual(t, first.SerialNumber, second.SerialNumber)
		require.InDelta(t, second.NotAfter.Unix(), testutil.ToFloat64(Expiry("x_seconds", server)), 0, "the metric knows the renewed one")
		for _, bad := range []string{"nonsense", ""} {
			require.NoError(t, os.WriteFile(cert, []byte(bad), 0o600))
			time.Sleep(lookEvery) //nolint:forbidigo // likewise
			third, err := handshake(t, server, client)
			require.NoError(t, err)
			require.Equal(t, second.SerialNumber, third.SerialNumber)
			require.Contains(t, log.String(), "keeping those of before")
		}
		old := client.Clone()
		old.MaxVersion = tls.VersionTLS12
		_, err = handshake(t, server, old)
		require.ErrorContains(t, err, "protocol version")
	})
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	dir := t.TempDir()
	_, err := Server(filepath.Join(dir, "no.pem"), filepath.Join(dir, "no.key"), tls.VersionTLS13, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "no.pem")
	_, err = Client(filepath.Join(dir, "no.pem"), tls.VersionTLS13)
	require.ErrorContains(t, err, "no.pem")
	empty := filepath.Join(dir, "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = Client(empty, tls.VersionTLS13)
	require.ErrorIs(t, err, ErrNoCertificate)
}
