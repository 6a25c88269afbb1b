package ops_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

func TestProfilesAreServedOnRequestOnly(t *testing.T) {
	for _, path := range []string{
		"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline",
		"/debug/pprof/symbol", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace?seconds=0.01",
	} {
		status, _ := get(t, serve(t, ops.ServerOptions{})+path)
		require.Equal(t, http.StatusNotFound, status, path)
		status, body := get(t, serve(t, ops.ServerOptions{Pprof: ops.PprofConfig{Pprof: true}})+path)
		require.Equal(t, http.StatusOK, status, path)
		require.NotEmpty(t, body, path)
	}
}

func TestProfilesAreForLoopbackAddressesOnly(t *testing.T) {
	on := ops.PprofConfig{Pprof: true}
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:9101", "edge.example.com:9101"} {
		_, err := ops.NewServer(ops.ServerOptions{Addr: addr, AddrVar: "EDGE_HTTP_ADDR", Gatherer: ops.NewRegistry(), Pprof: on})
		require.ErrorContains(t, err, "EDGE_HTTP_ADDR="+addr+" with OPS_PPROF=true")
		require.NoError(t, ops.PprofConfig{}.CheckPprof(addr, "EDGE_HTTP_ADDR"))
	}
	for _, addr := range []string{"127.0.0.1:0", "127.1.2.3:0", "[::1]:0", "localhost:0"} {
		require.NoError(t, on.CheckPprof(addr, "EDGE_HTTP_ADDR"))
	}
}
