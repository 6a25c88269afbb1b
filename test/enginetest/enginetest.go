// Package enginetest starts real time-series engines for tests, each as a process of its own on
// loopback. The programs come from the variables VICTORIAMETRICS and INFLUXD, which make test-history
// sets.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/freeport"
)

// Kinds of engines, as in HISTORY.
const (
	VictoriaMetrics = "victoriametrics"
	InfluxDB        = "influxdb"
)

// Engine is a real engine in a process of its own.
type Engine struct {
	Kind string // for HISTORY
	URL  string // for HISTORY_URL

	t       *testing.T
	command []string
	ready   string
	cmd     *exec.Cmd
}

// program returns the path in a variable, which make test-history sets.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	require.NotEmpty(t, path, "%s is not set: run make test-history", variable)
	return path
}

// Start starts an engine with an empty database and further flags, which ends with the test.
func Start(t *testing.T, kind string, flags ...string) *Engine {
	t.Helper()
	e := &Engine{t: t, Kind: kind}
	dir, addr := t.TempDir(), freeport.Address(t)
	e.URL = "http://" + addr
	switch kind {
	case VictoriaMetrics:
		e.command = []string{
			program(t, "VICTORIAMETRICS"), "-storageDataPath=" + dir, "-httpListenAddr=" + addr, "-dedup.minScrapeInterval=1ms",
			"-retentionPeriod=100y", "-memory.allowedBytes=200MB", "-loggerLevel=ERROR",
		}
		e.command = append(e.command, flags...) // the last one counts
		e.ready = e.URL + "/health"
	case InfluxDB:
		file := filepath.Join(dir, "influxdb.conf")
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, influxConfig, freeport.Address(t), dir, addr), 0o600))
		e.command = []string{program(t, "INFLUXD"), "run", "-config", file}
		e.ready = e.URL + "/query?q=show+databases"
	}
	e.Restart()
	t.Cleanup(e.Kill)
	if kind == InfluxDB {
		e.InfluxQL("create database plant")
		e.URL += "?db=plant"
	}
	return e
}

const influxConfig = `
reporting-disabled = true
bind-address = "%[1]s"
[meta]
dir = "%[2]s/meta"
[data]
dir = "%[2]s/data"
wal-dir = "%[2]s/wal"
index-version = "tsi1"
max-series-per-database = 0
max-values-per-tag = 0
query-log-enabled = false
[http]
bind-address = "%[3]s"
log-enabled = false
`

// Restart starts the process after Kill.
func (e *Engine) Restart() {
	e.t.Helper()
	e.cmd = exec.Command(e.command[0], e.command[1:]...) //nolint:noctx // it ends with Kill
	e.cmd.Env = append(os.Environ(), "INFLUXDB_LOGGING_LEVEL=error")
	require.NoError(e.t, e.cmd.Start())
	require.Eventually(e.t, func() bool {
		return e.ask(context.Background(), e.ready, nil) == nil
	}, 30*time.Second, 20*time.Millisecond)
}

// Kill ends the process at once, as a power cut does.
func (e *Engine) Kill() {
	if e.cmd.ProcessState == nil {
		_ = e.cmd.Process.Kill()
		_ = e.cmd.Wait()
	}
}

// Pause stops the process, which then answers nothing.
func (e *Engine) Pause() {
	require.NoError(e.t, e.cmd.Process.Signal(syscall.SIGSTOP))
}

// Resume continues after Pause.
func (e *Engine) Resume() {
	require.NoError(e.t, e.cmd.Process.Signal(syscall.SIGCONT))
}

// InfluxQL puts a statement to InfluxDB.
func (e *Engine) InfluxQL(query string) {
	e.t.Helper()
	require.NoError(e.t, e.ask(e.t.Context(), strings.TrimSuffix(e.URL, "?db=plant")+"/query", url.Values{"q": {query}, "db": {"plant"}}))
}

// Settle makes what was written visible to questions.
func (e *Engine) Settle(ctx context.Context) {
	e.t.Helper()
	if e.Kind != VictoriaMetrics {
		return
	}
	require.NoError(e.t, e.ask(ctx, e.URL+"/internal/force_flush", nil))
}

var (
	client    = &http.Client{Timeout: 30 * time.Second}
	errStatus = errors.New("the engine answered")
)

// ask posts a form and wants an answer of 2xx.
func (e *Engine) ask(ctx context.Context, to string, form url.Values) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Close = true // no idle connection outlives a test
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%w: %s", errStatus, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
