package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	environment "industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/internal/wire"
)

// process is a gateway in a process of its own: this test binary, see TestMain.
type process struct {
	pid              int
	nats, mqtt, http string
}

// childVariable makes this test binary a gateway.
const childVariable = "EDGE_BENCH_CHILD"

// startProcess starts a gateway with data in a directory, and more of the environment.
func startProcess(b *testing.B, dir string, env ...string) *process {
	b.Helper()
	h := startHub(b, -1)
	beats, err := h.nc.SubscribeSync(wire.StatusSubject("gw-a"))
	require.NoError(b, err)
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(cmd.Environ(), childVariable+"=1", "EDGE_GATEWAY_ID=gw-a", "EDGE_DATA_DIR="+dir, "EDGE_HUB_URL="+h.url(), "OPS_PPROF=true",
		"EDGE_NATS_ADDR=127.0.0.1:0", "EDGE_MQTT_ADDR=127.0.0.1:0", "EDGE_HTTP_ADDR=127.0.0.1:0", "EDGE_BUFFER_BYTES=17179869184")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close() // ends it
		_ = cmd.Wait()
	})
	p := &process{pid: cmd.Process.Pid}
	_, err = fmt.Fscan(out, &p.nats, &p.mqtt, &p.http)
	require.NoError(b, err)
	_, err = beats.NextMsg(waitTimeout)
	require.NoError(b, err)
	return p
}

// runChild runs a gateway with the settings of the environment, as the program does, until its
// input ends. It returns the exit code.
func runChild() int {
	load := func() (cfg Config, err error) { return cfg, environment.FromEnvironment(&cfg) }
	return program.Run("edge", load, func(cfg Config, _ *slog.Logger) (child, error) {
		g, err := New(Options{Config: cfg, Log: discard()})
		return child{g}, err
	})
}

// child is a gateway that says where it listens, and ends with its input.
type child struct{ *Gateway }

func (c child) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for c.Ready() != nil {
			<-time.After(time.Millisecond)
		}
		fmt.Fprintln(os.Stdout, c.NATSAddr(), c.MQTTAddr(), c.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return c.Gateway.Run(ctx)
}

// cpu returns the CPU time of the process, from its clock (clock_getcpuclockid(3)).
func (p *process) cpu(b *testing.B) time.Duration {
	b.Helper()
	var t unix.Timespec
	require.NoError(b, unix.ClockGettime(int32(^p.pid<<3|2), &t))
	return time.Duration(t.Nano())
}

func (p *process) rss(b *testing.B) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	require.NoError(b, err)
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	require.NoError(b, err)
	return float64(pages*os.Getpagesize()) / 1e6
}

// packs returns how many packs were stored.
func (p *process) packs(b *testing.B) float64 {
	b.Helper()
	text, err := p.get(b.Context(), "/metrics")
	require.NoError(b, err)
	for l := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(l, `edge_packs_total{gateway="gw-a"} `); ok {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(b, err)
			return n
		}
	}
	b.Fatal("no edge_packs_total")
	return 0
}

func (p *process) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.http+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Timeout: waitTimeout}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// profile starts a CPU profile of the gateway, if one is wanted; save waits for it.
func (p *process) profile(b *testing.B) (save func()) {
	b.Helper()
	dir := os.Getenv("EDGE_BENCH_PROFILE") //nolint:forbidigo // a benchmark has no other settings
	if dir == "" || b.N < 1000 {
		return func() {}
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := p.get(b.Context(), "/debug/pprof/profile?seconds=3")
		done <- result{data, err}
	}()
	return func() {
		r := <-done
		require.NoError(b, r.err)
		name := strings.ReplaceAll(strings.TrimPrefix(b.Name(), "BenchmarkCPU/"), "/", "-") + ".pprof"
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), r.data, 0o600))
	}
}
