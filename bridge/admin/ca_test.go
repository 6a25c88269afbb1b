package admin

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
)

func TestCertificatesOnTheCommandLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	run := func(args ...string) (code int, out, errs string) {
		var o, e bytes.Buffer
		code = CACommand(args, &o, &e)
		return code, o.String(), e.String()
	}
	code, out, errs := run("init", "-dir", dir, "-names", "hub.example.com, 10.0.0.5")
	require.Zero(t, code, errs)
	require.Contains(t, out, "BRIDGE_TLS_CERT_FILE="+dir+"/hub.pem BRIDGE_TLS_KEY_FILE="+dir+"/hub.key")
	_, err := ca.HashOf(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	code, _, errs = run("init", "-dir", dir, "-names", "x")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "exists already; bridge ca renew")
	code, out, errs = run("renew", "-dir", dir)
	require.Zero(t, code, errs)
	require.Contains(t, out, "another year")
	gateway := filepath.Join(t.TempDir(), "gw-c")
	code, out, errs = run("issue", "-dir", dir, "-names", "gw-c.example.com", "-out", gateway)
	require.Zero(t, code, errs)
	require.Contains(t, out, "EDGE_TLS_CERT_FILE="+gateway+".pem")
	pump := filepath.Join(t.TempDir(), "pump-1")
	code, out, errs = run("issue", "-dir", dir, "-device", "pump-1", "-out", pump)
	require.Zero(t, code, errs)
	require.Contains(t, out, "EDGE_TLS_CLIENT_CA_FILE="+dir+"/ca.pem")
	code, _, errs = run("issue", "-dir", dir, "-device", "pump 1", "-out", pump)
	require.Equal(t, 1, code)
	require.Contains(t, errs, "want the device's id")
	for _, args := range [][]string{{}, {"init"}, {"fly", "-dir", dir}, {"issue", "-dir", dir, "-names", "a"}, {"issue", "-dir", dir, "-names", "a", "-device", "b", "-out", "c"}, {"init", "-dir", dir, "more"}} {
		code, _, errs = run(args...)
		require.Equal(t, 2, code, args)
		require.Contains(t, errs, "usage:")
	}
	code, _, errs = run("init", "-dir", t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, errs, "-names")
}
