package doctor

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/tlsfiles"
	"industrial-iot-monitor/test/freeport"
)

const waitTimeout = 180 * time.Second

// hub starts a hub, with the certificate of an authority or, for "", without TLS, and returns its address.
func hub(t *testing.T, authority string) string {
	t.Helper()
	so := &server.Options{ServerName: "the-hub", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true}
	so.LeafNode.Host, so.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	if authority != "" {
		c, err := tlsfiles.Server(filepath.Join(authority, "hub.pem"), filepath.Join(authority, "hub.key"), tls.VersionTLS13, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		so.LeafNode.TLSConfig, so.LeafNode.TLSTimeout = c, 5
	}
	srv, err := server.NewServer(so)
	require.NoError(t, err)
	srv.Start()
	require.True(t, srv.ReadyForConnections(waitTimeout))
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	varz, err := srv.Varz(nil)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", varz.LeafNode.Port)
}

// authority makes an authority and the certificate of a hub with a name, at a time.
func authority(t *testing.T, name string, at time.Time) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	require.NoError(t, ca.Init(dir, []string{name}, at))
	return dir
}

// other starts a server that is no hub.
func other(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = nc.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() { require.NoError(t, ln.Close()); <-done })
	return ln.Addr().String()
}

func TestTheWayToTheHubIsExaminedStepByStep(t *testing.T) {
	const host = "127.0.0.1"
	today := time.Now()
	right, foreign, misnamed := authority(t, host, today), authority(t, host, today), authority(t, "hub.example.com", today)
	expired, due := authority(t, host, today.AddDate(-2, 0, 0)), authority(t, host, today.AddDate(0, -11, -20))
	pem := func(dir string) string { return filepath.Join(dir, "ca.pem") }
	for name, tt := range map[string]struct {
		url, ca string
		want    []Verdict // of the hub, then of its certificate if that was seen
		says    string
	}{
		"in clear":         {"nats-leaf://" + hub(t, ""), "", []Verdict{OK}, "(the-hub) answers"},
		"TLS":              {"nats-leaf://" + hub(t, right), pem(right), []Verdict{OK, OK}, "TLS"},
		"TLS, due":         {"tls://" + hub(t, due), pem(due), []Verdict{OK, Warn}, "TLS"},
		"expired":          {"nats-leaf://" + hub(t, expired), pem(expired), []Verdict{Fail}, "expired"},
		"another one":      {"nats-leaf://" + hub(t, foreign), pem(right), []Verdict{Fail}, "another machine answers"},
		"another name":     {"nats-leaf://" + hub(t, misnamed), pem(misnamed), []Verdict{Fail}, "for another name"},
		"no TLS there":     {"nats-leaf://" + hub(t, ""), pem(right), []Verdict{Fail}, "the hub speaks no TLS"},
		"no TLS here":      {"nats-leaf://" + hub(t, right), "", []Verdict{Fail}, "speaks TLS alone"},
		"no file":          {"nats-leaf://" + hub(t, right), "/none.pem", []Verdict{Fail}, "/none.pem"},
		"another program":  {"nats-leaf://" + other(t), "", []Verdict{Fail}, "no NATS server"},
		"nothing there":    {"nats-leaf://" + freeport.Address(t), "", []Verdict{Fail}, "firewall"},
		"no such name":     {"nats-leaf://hub.invalid:7422", "", []Verdict{Fail}, "DNS"},
		"no URL":           {"hub", "", []Verdict{Fail}, "want nats-leaf://"},
		"WebSocket":        {"wss://" + host + ":443", "", []Verdict{Skip}, "not examined"},
		"the default port": {"nats-leaf://hub.invalid", "", []Verdict{Fail}, "hub.invalid:7422"},
	} {
		t.Run(name, func(t *testing.T) {
			got := examineHub(t.Context(), Options{HubURL: tt.url, HubCAFile: tt.ca, Now: today}, running{})
			require.Contains(t, got[0].Value+"; "+got[0].Advice, tt.says)
			require.Len(t, got, len(tt.want)+1, "%+v", got)
			for i, want := range tt.want {
				require.Equal(t, want, got[i].Verdict, "%+v", got[i])
			}
			require.Equal(t, Skip, got[len(got)-1].Verdict, "the link, without an id")
		})
	}
}

func TestTheLinkIsThatOfTheRunningGateway(t *testing.T) {
	g := func(connected, refused float64) running {
		return running{pid: 1, metrics: map[string]float64{"edge_hub_connected": connected, "edge_hub_refused": refused}}
	}
	o := Options{Gateway: "gw-a"} // without TryHub: it would fail if it was called
	verdicts(t, table{
		"connected": {judgeLink(t.Context(), o, g(1, 0), line{}), OK, "connected"},
		"refused":   {judgeLink(t.Context(), o, g(0, 1), line{}), Fail, "bridge gateway list"},
		"away":      {judgeLink(t.Context(), o, g(0, 0), line{}), Warn, "buffer"},
		"not known": {judgeLink(t.Context(), o, running{pid: 1}, line{}), Skip, "not known"},
		"no hub":    {judgeLink(t.Context(), o, running{}, line{err: net.ErrClosed}), Skip, "see the hub"},
	})
}
