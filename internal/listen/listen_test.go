package listen_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLoopbackIsWhatOnlyThisMachineReaches(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:80", "127.255.0.9:0", "[::1]:80", "[::ffff:127.0.0.1]:80", "localhost:80", "LocalHost:80"} {
		require.True(t, listen.Loopback(addr), addr)
	}
	for _, addr := range []string{
		":80", "0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "192.0.2.1:80", "[fe80::1%eth0]:80", "10.127.0.0:1", "128.0.0.1:80",
		"gw-a:80", "edge.example.com:80", "localhost.example.com:80", "127.1:80", "0:80", "*:80", "127.0.0.1", "",
	} {
		require.False(t, listen.Loopback(addr), addr)
	}
}

func TestRuleNamesEveryPortAndWhatToSet(t *testing.T) {
	ports := []listen.Port{
		{Variable: "A_ADDR", Addr: "0.0.0.0:1", Proof: "A_AUTH=required", Encryption: "A_CERT"},
		{Variable: "B_ADDR", Addr: ":2", Encryption: "B_CERT"},
		{Variable: "C_ADDR", Addr: "[::]:3", Proof: "C_TOKEN"},
		{Variable: "D_ADDR", Addr: "plant:4"},
		{Variable: "E_ADDR", Addr: "127.0.0.1:5", Proof: "E_AUTH", Encryption: "E_CERT"},
		{Variable: "F_ADDR", Addr: "", Proof: "F_AUTH", Encryption: "F_CERT"},
	}
	const (
		aAnonymous = "A_ADDR=0.0.0.0:1 can be reached from other machines without authentication: set A_AUTH=required, or INSECURE=anonymous to allow it"
		aPlain     = "A_ADDR=0.0.0.0:1 can be reached from other machines without TLS: set A_CERT, or INSECURE=plaintext to allow it"
		bPlain     = "B_ADDR=:2 can be reached from other machines without TLS: set B_CERT, or INSECURE=plaintext to allow it"
		cAnonymous = "C_ADDR=[::]:3 can be reached from other machines without authentication: set C_TOKEN, or INSECURE=anonymous to allow it"
	)
	for name, c := range map[string]struct {
		insecure []string
		want     []string
	}{
		"neither":   {nil, []string{aAnonymous, aPlain, bPlain, cAnonymous}},
		"anonymous": {[]string{"anonymous"}, []string{aPlain, bPlain}},
		"plaintext": {[]string{"plaintext"}, []string{aAnonymous, cAnonymous}},
		"both":      {[]string{"plaintext", "anonymous"}, nil},
		"a typo":    {[]string{"anonymous", "plain"}, []string{"INSECURE=anonymous,plain: want some of anonymous, plaintext"}},
	} {
		err := listen.Rule{Insecure: c.insecure}.CheckPorts(ports...)
		if c.want == nil {
			require.NoError(t, err, name)
			continue
		}
		require.EqualError(t, err, strings.Join(c.want, "\n"), name)
	}
}

func TestInsecureIsSeenInMetricsAndLog(t *testing.T) {
	const head = "# HELP iot_insecure 1 for each word of INSECURE: what other machines may do where the program listens beyond loopback.\n# TYPE iot_insecure gauge\n"
	for words, want := range map[string]string{
		"":                    head + "iot_insecure{what=\"anonymous\"} 0\niot_insecure{what=\"plaintext\"} 0\n",
		"plaintext":           head + "iot_insecure{what=\"anonymous\"} 0\niot_insecure{what=\"plaintext\"} 1\n",
		"anonymous,plaintext": head + "iot_insecure{what=\"anonymous\"} 1\niot_insecure{what=\"plaintext\"} 1\n",
	} {
		r := listen.Rule{Insecure: strings.FieldsFunc(words, func(c rune) bool { return c == ',' })}
		require.NoError(t, testutil.GatherAndCompare(r.Gatherer(prometheus.NewRegistry()), strings.NewReader(want), "iot_insecure"))
		var log bytes.Buffer
		r.Warn(slog.New(slog.NewTextHandler(&log, nil)))
		require.Equal(t, words != "", strings.Contains(log.String(), "level=WARN") && strings.Contains(log.String(), "insecure="+words), log.String())
	}
}
