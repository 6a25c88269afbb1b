package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/test/freeport"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("CLUSTER_TEST_SERVE"); addr != "" {
		serve(addr)
		return
	}
	goleak.VerifyTestMain(m)
}

// serve makes the test binary a program that is ready at once and serves two series.
func serve(addr string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP x y\nx_total{a=\"1\"} 2\nx_total{a=\"2\",b=\"3\"} 5\n")
	})
	srv := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: time.Second}
	fmt.Fprintln(os.Stderr, srv.ListenAndServe())
}

// newCluster returns a cluster whose programs are all this test binary.
func newCluster(t *testing.T) (*Cluster, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	bin := t.TempDir()
	for name := range packages {
		require.NoError(t, os.Symlink(self, filepath.Join(bin, name)))
	}
	p, err := New(t.Context(), Options{Dir: t.TempDir(), Bin: bin, Brokers: []string{"127.0.0.1:1"}, Suffix: "-x"})
	require.NoError(t, err)
	addr := freeport.Address(t)
	p.Add("served", Program{Binary: "sim", HTTP: addr, Env: map[string]string{"CLUSTER_TEST_SERVE": addr}})
	t.Cleanup(func() { _ = p.Close() }) // the test binary exits with an error code on SIGTERM
	return p, "served"
}

func TestLayout(t *testing.T) {
	p, _ := newCluster(t)
	require.Equal(t, []string{Bridge, "gw-a", "gw-b", "gw-c", Core, Portal, "served"}, p.Names())
	require.Equal(t, "device-data-x", p.Topics.DeviceData)
	require.Len(t, p.NATS(), 3)
	require.Len(t, p.MQTT(), p.Gateways())
	seen := map[string]bool{}
	for _, a := range append(p.NATS(), append(p.MQTT(), p.PortalURL(), p.WebSocketURL())...) {
		require.False(t, seen[a], a)
		seen[a] = true
	}
	_, err := New(t.Context(), Options{})
	require.Error(t, err)
}

func TestStartKillStartAgain(t *testing.T) {
	p, name := newCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.False(t, p.Running(name))
	require.NoError(t, p.Start(ctx, name))
	require.NoError(t, p.Start(ctx, name), "starting what runs does nothing")
	require.True(t, p.Running(name))

	m, err := p.Metrics(ctx, name)
	require.NoError(t, err)
	require.InDelta(t, 7, m.Sum("x_total"), 0)
	require.InDelta(t, 5, m.Sum("x_total", `b="3"`), 0)
	require.Zero(t, m.Sum("x"))

	first, err := p.Usage(name)
	require.NoError(t, err)
	require.Positive(t, first.MaxRSS)
	require.NoError(t, p.Suspend(name))
	hurry, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = p.Metrics(hurry, name)
	require.ErrorIs(t, err, context.DeadlineExceeded, "a suspended process does not answer")
	require.NoError(t, p.Signal(name, syscall.SIGCONT))
	_, err = p.Metrics(ctx, name)
	require.NoError(t, err)
	require.NoError(t, p.Suspend(name))
	require.NoError(t, p.Kill(name))
	require.False(t, p.Running(name))
	require.ErrorContains(t, p.Wait(ctx, name), "killed")
	require.ErrorContains(t, p.Stop(name), "is not running")

	require.NoError(t, p.Start(ctx, name))
	again, err := p.Usage(name)
	require.NoError(t, err)
	require.GreaterOrEqual(t, again.CPU, first.CPU, "usage adds up over starts")
	_, err = p.Logs(name)
	require.NoError(t, err)
}

func TestMemoryOfTheTesterIsNotThePrograms(t *testing.T) {
	p, name := newCluster(t)
	large := bytes.Repeat([]byte{1}, 256<<20)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, p.Start(ctx, name))
	runtime.KeepAlive(large)
	running, err := p.Usage(name)
	require.NoError(t, err)
	require.NoError(t, p.Kill(name))
	ended, err := p.Usage(name)
	require.NoError(t, err)
	require.Less(t, ended.MaxRSS, int64(len(large)))
	require.GreaterOrEqual(t, ended.MaxRSS, running.MaxRSS)
	require.Positive(t, ended.CPU)
}

func TestStartFailsWhenTheProgramExits(t *testing.T) {
	p, _ := newCluster(t)
	p.Add("fails", Program{Binary: "sim", Args: []string{"-no-such-flag"}, HTTP: "127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.ErrorContains(t, p.Start(ctx, "fails"), "exited while starting")
	require.NoError(t, ctx.Err())
}

func TestUnknownNames(t *testing.T) {
	p, _ := newCluster(t)
	require.Error(t, p.Start(t.Context(), "x"))
	require.Error(t, p.Stop("x"))
	require.Error(t, p.Kill("x"))
	require.Error(t, p.Suspend("x"))
	require.Error(t, p.Suspend(Bridge), "not started")
	require.Error(t, p.Signal("x", os.Interrupt))
	require.Error(t, p.Signal(Bridge, os.Interrupt), "not started")
	require.False(t, p.Running("x"))
	_, err := p.Usage("x")
	require.Error(t, err)
	_, err = p.Metrics(t.Context(), "x")
	require.Error(t, err)
}

func TestParseMetricsRefuses(t *testing.T) {
	for _, text := range []string{"novalue", "name x"} {
		_, err := parseMetrics(text)
		require.Error(t, err)
	}
}
