package ca

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// verify checks the chain of a server by the authority in a directory.
func verify(t *testing.T, dir, server, name string, at time.Time) error {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(server+".pem", server+".key")
	require.NoError(t, err)
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	require.Len(t, pair.Certificate, 2, "the authority is sent, too")
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at})
	return err
}

func TestCertificatesOfAPlant(t *testing.T) {
	now := time.Now()
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, Init(dir, []string{"hub.example.com", "10.0.0.5"}, now))
	hub := filepath.Join(dir, Hub)
	for _, name := range []string{"hub.example.com", "10.0.0.5"} {
		require.NoError(t, verify(t, dir, hub, name, now))
		require.NoError(t, verify(t, dir, hub, name, now.Add(-30*time.Minute)), "a clock that is behind")
	}
	require.Error(t, verify(t, dir, hub, "evil.example.com", now))
	require.Error(t, verify(t, dir, hub, "hub.example.com", now.AddDate(1, 0, 1)), "a year is over")
	for _, name := range []string{"ca.key", "hub.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	before, err := HashOf(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	require.ErrorIs(t, Init(dir, []string{"x"}, now), ErrExists)
	require.NoError(t, Renew(dir, now.AddDate(1, 0, 0)))
	require.NoError(t, verify(t, dir, hub, "10.0.0.5", now.AddDate(1, 6, 0)))
	after, err := HashOf(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	require.Equal(t, before, after, "gateways go on trusting it")

	gateway := filepath.Join(t.TempDir(), "gw-c")
	require.NoError(t, Issue(dir, gateway, []string{"gw-c.example.com"}, now))
	require.NoError(t, verify(t, dir, gateway, "gw-c.example.com", now))
}

func TestBadUseIsNamed(t *testing.T) {
	empty := t.TempDir()
	require.ErrorContains(t, Issue(empty, filepath.Join(empty, "x"), nil, time.Now()), "-names")
	require.ErrorContains(t, Issue(empty, filepath.Join(empty, "x"), []string{"a"}, time.Now()), "bridge ca init makes it")
	require.ErrorContains(t, Renew(empty, time.Now()), "hub.pem")
	require.NoError(t, os.WriteFile(filepath.Join(empty, "hub.pem"), []byte("nonsense"), 0o600))
	require.ErrorContains(t, Renew(empty, time.Now()), "no CERTIFICATE in PEM")
}
