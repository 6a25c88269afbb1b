package admin

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/portal/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCommands(t *testing.T) {
	topics := kafkatest.Topics(t)
	o := settings{store.Options{Path: filepath.Join(t.TempDir(), "portal.db")}, kafka.At(kafkatest.Brokers(t)...), topics.Specs().Security}
	command := func(code int, input string, args ...string) (out, errs string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Equal(t, code, run(t.Context(), o, args, Streams{strings.NewReader(input), &stdout, &stderr}), "%v: %s", args, &stderr)
		return stdout.String(), stderr.String()
	}
	const password = "correct horse 电池"
	_, errs := command(0, password+"\n", "user", "add", "Li", "-role", "admin")
	require.Contains(t, errs, "Li may sign in as admin, at portals with PORTAL_STORE="+o.store.Path)
	command(0, password+"\r\n", "user", "add", "-role", "operator", "王工")
	_, errs = command(1, password, "user", "add", "li", "-role", "viewer")
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

	out, _ = command(0, "", "audit", "verify")
	require.Regexp(t, `^2\d records of 1\d chains hold\n$`, out)
	records := readAudit(t, o)
	require.Equal(t, securityaudit.Begun, records[0].Outcome)
	first := records[1]
	require.Equal(t, []any{securityaudit.UserAdd, "Li", "admin", securityaudit.Done, "shell"}, []any{first.What, first.About, first.Detail, first.Outcome, first.Via})
	require.Contains(t, first.Who, "shell:")
	require.Equal(t, securityaudit.Failed, records[5].Outcome, "the name was taken")

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
		{"audit"},
		{"audit", "verify", "x"},
	} {
		_, errs := command(2, "", args...)
		require.Equal(t, usage, errs, "%v", args)
	}
	away := o
	away.cluster = kafka.At("127.0.0.1:1")
	var stderr bytes.Buffer
	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Equal(t, 1, run(brief, away, []string{"user", "enable", "王工"}, Streams{strings.NewReader(""), io.Discard, &stderr}))
	require.Contains(t, stderr.String(), "the security audit cannot be written")
	o.store = store.Options{}
	_, errs = command(1, "", "user", "list")
	require.Contains(t, errs, "PORTAL_STORE")
	o.store.URL = "mysql://x"
	command(1, "", "user", "list")
}

func readAudit(t *testing.T, o settings) (out []*securityaudit.Record) {
	t.Helper()
	r, err := kafkatest.NewReader(o.cluster.Brokers, o.topic.Name)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.CatchUp(t.Context(), func(m *kgo.Record) error {
		record, err := securityaudit.Decode(m.Value)
		out = append(out, record)
		return err
	}))
	return out
}
