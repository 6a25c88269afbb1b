package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/freeport"
)

// Prometheus is the kind of StartPrometheus. It is no engine of the product.
const Prometheus = "prometheus"

// StartPrometheus starts a Prometheus with samples in the text format of OpenMetrics in its database. The
// program is PROMETHEUS. It ends with the test.
func StartPrometheus(t *testing.T, samples []byte, flags ...string) *Engine {
	t.Helper()
	dir, addr := t.TempDir(), freeport.Address(t)
	file, config := filepath.Join(dir, "samples"), filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, samples, 0o600))
	require.NoError(t, os.WriteFile(config, nil, 0o600))
	Promtool(t, "tsdb", "create-blocks-from", "openmetrics", file, dir)
	e := &Engine{t: t, Kind: Prometheus, URL: "http://" + addr}
	e.command = append([]string{
		program(t, "PROMETHEUS"), "--config.file=" + config, "--storage.tsdb.path=" + dir, "--storage.tsdb.retention.time=100y",
		"--web.listen-address=" + addr, "--log.level=error",
	}, flags...)
	e.ready = e.URL + "/api/v1/query?query=1"
	e.Restart()
	t.Cleanup(e.Kill)
	return e
}

// Promtool runs Prometheus' own command line client, the program PROMTOOL, and returns what it printed.
func Promtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, "PROMTOOL"), args...).CombinedOutput()
	require.NoError(t, err, "promtool %q: %s", args, out)
	return string(out)
}
