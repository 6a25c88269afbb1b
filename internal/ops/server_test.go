package ops_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server until the test ends and returns its base URL.
func serve(t *testing.T, o ops.ServerOptions) string {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	if o.Gatherer == nil {
		o.Gatherer = ops.NewRegistry()
	}
	s, err := ops.NewServer(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // ended by the cleanup, which reads the result
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, s.Close(), "closing again is harmless")
	})
	return "http://" + s.Addr()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(b)
}

func TestEndpoints(t *testing.T) {
	base := serve(t, ops.ServerOptions{})
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ready\n"} {
		status, body := get(t, base+path)
		require.Equal(t, http.StatusOK, status, path)
		require.Equal(t, want, body, path)
	}
	status, _ := get(t, base+"/elsewhere")
	require.Equal(t, http.StatusNotFound, status)
}

func TestReadyzTellsWhyNotAndLivezStaysUp(t *testing.T) {
	var why error
	base := serve(t, ops.ServerOptions{Ready: func() error { return why }})
	status, _ := get(t, base+"/readyz")
	require.Equal(t, http.StatusOK, status)
	_, metrics := get(t, base+"/metrics")
	require.Contains(t, metrics, "\niot_ready 1\n")

	why = errors.New("the hub cannot be reached")
	status, body := get(t, base+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready: the hub cannot be reached\n", body)
	_, metrics = get(t, base+"/metrics")
	require.Contains(t, metrics, "\niot_ready 0\n")

	status, _ = get(t, base+"/livez")
	require.Equal(t, http.StatusOK, status)
}

func TestMetricsOfTheContractAreServed(t *testing.T) {
	_, body := get(t, serve(t, ops.ServerOptions{})+"/metrics")
	for _, name := range []string{
		"iot_memory_usage_bytes", "iot_cpu_usage_percent", "iot_goroutines_total",
		`iot_build_info{version="` + ops.Version + `"} 1`, "go_goroutines", "process_resident_memory_bytes",
	} {
		require.Contains(t, body, "\n"+name)
	}
}

func TestTakenPortNamesTheVariable(t *testing.T) {
	ln, err := ops.Listen("127.0.0.1:0", "A_ADDR")
	require.NoError(t, err)
	defer func() { require.NoError(t, ln.Close()) }()

	_, err = ops.NewServer(ops.ServerOptions{Addr: ln.Addr().String(), AddrVar: "EDGE_HTTP_ADDR", Gatherer: ops.NewRegistry()})
	require.ErrorContains(t, err, "EDGE_HTTP_ADDR="+ln.Addr().String()+": another program uses this port")
}

func TestUnusableAddressNamesTheVariable(t *testing.T) {
	_, err := ops.Listen("127.0.0.1:seventy", "EDGE_HTTP_ADDR")
	require.ErrorContains(t, err, "EDGE_HTTP_ADDR=127.0.0.1:seventy: cannot listen there")
	_, err = ops.Listen("127.0.0.1:seventy", "")
	require.ErrorContains(t, err, "address=127.0.0.1:seventy")
}

func TestGathererIsRequired(t *testing.T) {
	_, err := ops.NewServer(ops.ServerOptions{Addr: "127.0.0.1:0"})
	require.ErrorContains(t, err, "Gatherer")
}

func TestServerThatWasNeverRunFreesItsPort(t *testing.T) {
	s, err := ops.NewServer(ops.ServerOptions{Addr: "127.0.0.1:0", Gatherer: ops.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	ln, err := ops.Listen(s.Addr(), "")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
}

func TestRunEndsWhenTheListenerIsGone(t *testing.T) {
	s, err := ops.NewServer(ops.ServerOptions{Addr: "127.0.0.1:0", Gatherer: ops.NewRegistry()})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Run(t.Context()), net.ErrClosed)
}

func TestStuckClientDoesNotHoldUpTheStop(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{})
	s, err := ops.NewServer(ops.ServerOptions{Addr: "127.0.0.1:0", Gatherer: ops.NewRegistry(), Ready: func() error {
		close(asked)
		<-release
		return nil
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = io.Copy(conn, strings.NewReader("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	<-asked

	cancel()
	require.NoError(t, <-done)
	close(release)
}

func TestTwoRegistriesInOneProcess(t *testing.T) {
	a, b := ops.NewRegistry(), ops.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "only_a_total", Help: "Only in a."})
	require.NoError(t, a.Register(counter))
	_, inA := get(t, serve(t, ops.ServerOptions{Gatherer: a})+"/metrics")
	_, inB := get(t, serve(t, ops.ServerOptions{Gatherer: b})+"/metrics")
	require.Contains(t, inA, "only_a_total")
	require.NotContains(t, inB, "only_a_total")
}
