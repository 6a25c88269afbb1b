package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitCodeFollowsTheAnswer(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not ready: no hub", status)
	}))
	defer s.Close()

	var out bytes.Buffer
	require.Equal(t, 0, run([]string{s.URL + "/readyz"}, &out))

	status = http.StatusServiceUnavailable
	out.Reset()
	require.Equal(t, 1, run([]string{s.URL + "/readyz"}, &out))
	require.Equal(t, "not ready: no hub\n", out.String(), "the reason is shown")
}

// TestProgramWithTLSIsHealthy: the images name http://, whatever a container's environment sets.
func TestProgramWithTLSIsHealthy(t *testing.T) {
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"hangs up":    func(ln net.Listener) net.Listener { return concealed{ln} },
		"answers 400": func(ln net.Listener) net.Listener { return ln },
	} {
		s := httptest.NewTLSServer(nil) // for a certificate
		settings := s.TLS.Clone()
		s.Close()
		settings.NextProtos = nil
		s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready")) }))
		s.Listener = wrap(tls.NewListener(s.Listener, settings))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.Start()
		var out bytes.Buffer
		require.Equal(t, 0, run([]string{"http://" + s.Listener.Addr().String() + "/readyz"}, &out), "%s: %s", name, &out)
		require.Equal(t, "ready", out.String(), name)
		s.Close()
	}
}

// concealed is a listener whose server does not see that it speaks TLS; fasthttp does not look, either.
type concealed struct{ net.Listener }

func (l concealed) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return struct{ net.Conn }{nc}, err
}

func TestNoAnswerIsUnhealthy(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	url := s.URL
	s.Close()
	for _, args := range [][]string{{url}, {"://"}, {}, {"a", "b"}} {
		var out bytes.Buffer
		require.Equal(t, 1, run(args, &out), "%q", args)
		require.NotEmpty(t, out.String(), "%q", args)
	}
}
