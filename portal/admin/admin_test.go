package admin

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/portal/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCommands(t *testing.T) {
	o := store.Options{Path: filepath.Join(t.TempDir(), "portal.db")}
	command := func(code int, input string, args ...string) (out, errs string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Equal(t, code, run(t.Context(), o, args, Streams{strings.NewReader(input), &stdout, &stderr}), "%v: %s", args, &stderr)
		return stdout.String(), stderr.String()
	}
	const password = "correct horse 电池"
	command(0, password+"\n", "user", "add", "Li", "-role", "admin")
	command(0, password+"\r\n", "user", "add", "-role", "operator", "王工")
	_, errs := command(1, password, "user", "add", "li", "-role", "viewer")
	require.Contains(t, errs, "taken")
	_, errs = command(1, "short", "user", "add", "x", "-role", "viewer")
	require.Contains(t, errs, "password: want")
	_, errs = command(1, "", "user", "disable", "Li")
	require.Contains(t, errs, "no administrator left")
	_, errs = command(1, "", "user", "disable", "nobody")
	require.Contains(t, errs, "there is no")
	command(0, "", "user", "role", "王工", "-role", "engineer")
	command(0, "another password\n", "user", "passwd", "王工")
	command(0, "", "user", "disable", "王工")
	out, _ := command(0, "", "user", "list")
	require.Regexp(t, `(?m)^Li +admin +enabled +never +shell:`, out)
	require.Regexp(t, `(?m)^王工 +engineer +disabled +never +shell:`, out)
	command(0, "", "user", "enable", "王工")
	out, _ = command(0, "", "user", "list")
	require.NotContains(t, out, "disabled")

	secret, _ := command(0, "", "token", "add", "ci", "-role", "viewer", "-ttl", "30d")
	require.Regexp(t, `^iotp_[A-Za-z0-9_-]{43}\n$`, secret)
	out, _ = command(0, "", "token", "list")
	require.Regexp(t, `(?m)^[0-9a-f]{12} +ci +viewer +valid `, out)
	require.NotContains(t, out, strings.TrimSpace(secret))
	command(0, "", "token", "revoke", regexp.MustCompile(`[0-9a-f]{12}`).FindString(out))
	out, _ = command(0, "", "token", "list")
	require.Contains(t, out, "revoked")
	command(1, "", "token", "revoke", "0123456789ab")

	for _, args := range [][]string{
		{},
		{"user"},
		{"user", "add"},
		{"user", "add", "x"},
		{"user", "fly", "x"},
		{"user", "list", "x"},
		{"user", "passwd", "a", "b"},
		{"token", "add", "x"},
		{"token", "add", "x", "-role", "viewer", "-ttl", "soon"},
		{"token", "list", "x"},
		{"token", "revoke"},
	} {
		_, errs := command(2, "", args...)
		require.Equal(t, usage, errs, "%v", args)
	}
	o = store.Options{}
	_, errs = command(1, "", "user", "list")
	require.Contains(t, errs, "PORTAL_STORE")
	o.URL = "mysql://x"
	command(1, "", "user", "list")
}
