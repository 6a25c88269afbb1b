package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/freeport"
)

const waitTimeout = 180 * time.Second

// asProgram is the argument that makes the test binary run the program.
const asProgram = "as-edge"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asProgram {
		os.Exit(run(os.Args[2:])) //nolint:forbidigo // the test binary is the program here
	}
	m.Run()
}

// spawn starts edge as a separate process.
func spawn(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], asProgram)
	cmd.Dir, cmd.Env, cmd.Stderr = t.TempDir(), env, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func ready(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/readyz", nil)
		require.NoError(t, err)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, waitTimeout, 10*time.Millisecond)
}

// TestAckedReadingSurvivesKill kills the program three times while ten devices publish.
func TestAckedReadingSurvivesKill(t *testing.T) {
	hub, js := startHub(t)
	addr, ops := freeport.Address(t), freeport.Address(t)
	env := []string{
		"EDGE_GATEWAY_ID=gw-k", "EDGE_NATS_ADDR=" + addr, "EDGE_MQTT_ADDR=127.0.0.1:0", "EDGE_HTTP_ADDR=" + ops,
		"EDGE_HUB_URL=" + hub, "EDGE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "LOG_LEVEL=error",
	}
	acked := map[string]bool{}
	for round := range 3 {
		cmd := spawn(t, env...)
		ready(t, ops)
		more := publishUntilKilled(t, addr, round, func() { require.NoError(t, cmd.Process.Kill()) })
		_ = cmd.Wait()
		require.NotEmpty(t, more)
		for _, p := range more {
			acked[p] = true
		}
	}
	cmd := spawn(t, env...)
	ready(t, ops)
	have := stored(t, js)
	for p := range acked {
		require.Equal(t, 1, have[p], "acknowledged, and stored once: %s", p)
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "a normal stop is no error")
}

// publishUntilKilled publishes with ten devices, calls kill after 500 acknowledgements and
// returns the acknowledged payloads.
func publishUntilKilled(t *testing.T, addr string, round int, kill func()) []string {
	t.Helper()
	var mu sync.Mutex
	var acked []string
	var once sync.Once
	var wg sync.WaitGroup
	for d := range 10 {
		nc, err := nats.Connect(addr, nats.NoReconnect())
		require.NoError(t, err)
		wg.Go(func() {
			defer nc.Close()
			id := fmt.Sprintf("device_%03d", d)
			for n := 0; ; n++ {
				payload := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A"},"sensors":{"temperature":{"value":%d}}}`, id, 1640995200000+n, round)
				msg, err := nc.Request(wire.TelemetrySubject(id), []byte(payload), 5*time.Second)
				if err != nil {
					return
				}
				if r, err := wire.DecodeReply(msg.Data); err != nil || r.Error != nil {
					continue
				}
				mu.Lock()
				acked = append(acked, payload)
				enough := len(acked) > 500
				mu.Unlock()
				if enough {
					once.Do(kill)
				}
			}
		})
	}
	wg.Wait()
	return acked
}

func startHub(t *testing.T) (leafURL string, js jetstream.JetStream) {
	t.Helper()
	o := &server.Options{ServerName: "hub", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true}
	o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", -1
	srv, err := server.NewServer(o)
	require.NoError(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	require.True(t, srv.ReadyForConnections(waitTimeout))
	nc, err := nats.Connect(srv.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err = jetstream.NewWithDomain(nc, wire.Domain("gw-k"))
	require.NoError(t, err)
	v, err := srv.Varz(nil)
	require.NoError(t, err)
	return fmt.Sprintf("nats-leaf://127.0.0.1:%d", v.LeafNode.Port), js
}

// stored counts each payload in the gateway's stream.
func stored(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	var s jetstream.Stream
	require.Eventually(t, func() bool {
		var err error
		s, err = js.Stream(t.Context(), wire.PackStream("gw-k"))
		return err == nil
	}, waitTimeout, 10*time.Millisecond)
	have := map[string]int{}
	info := s.CachedInfo().State
	for seq := info.FirstSeq; seq <= info.LastSeq; seq++ {
		msg, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		p, err := wire.OpenPack(msg.Data)
		require.NoError(t, err)
		for e, ok := p.Next(); ok; e, ok = p.Next() {
			have[string(e.Payload)]++
		}
		require.NoError(t, p.Err())
	}
	return have
}

// The log at debug level, /metrics and /readyz are searched for the password of the hub,
// which is the instance id if the URL has none: with the hub connected, unreachable, and
// with an invalid URL.
func TestHubPasswordIsNotInTheLog(t *testing.T) {
	connected, _ := startHub(t)
	_, leaf, _ := strings.Cut(connected, "://")
	tests := []struct{ name, url, until string }{
		{"instance id", connected, "Leafnode connection created"},
		{"connected", "nats-leaf://user:hunter2@" + leaf, "Leafnode connection created"},
		{"unreachable", "nats-leaf://user:hunter2@127.0.0.1:1", "Error trying to connect as leafnode"},
		{"comma in the password", "nats-leaf://user:hunter2,hunter2@127.0.0.1:1", "Error trying to connect as leafnode"},
		{"no scheme", "user:hunter2@127.0.0.1:1", "want nats-leaf://host:port"},
		{"no URL", "nats-leaf://user:hunter2/@hunter2:x%@host", "want nats-leaf://host:port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ops := freeport.Address(t)
			ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], asProgram)
			cmd.Dir, cmd.Env = t.TempDir(), []string{
				"EDGE_GATEWAY_ID=gw-k", "EDGE_NATS_ADDR=127.0.0.1:0", "EDGE_MQTT_ADDR=127.0.0.1:0", "EDGE_HTTP_ADDR=" + ops,
				"EDGE_HUB_URL=" + tt.url, "LOG_LEVEL=debug",
			}
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			var log strings.Builder
			lines, served := bufio.NewScanner(io.TeeReader(stderr, &log)), false
			for lines.Scan() {
				if !strings.Contains(log.String(), tt.until) || served {
					continue
				}
				if served = strings.Contains(log.String(), "gateway started"); served {
					log.WriteString(get(t, ops, "/metrics") + get(t, ops, "/readyz"))
					require.NoError(t, cmd.Process.Signal(os.Interrupt))
				}
			}
			_ = cmd.Wait() // fails where the URL is refused
			require.Contains(t, log.String(), tt.until)
			require.Equal(t, strings.Contains(tt.url, "@"), strings.Contains(log.String(), "xxxxx@"), "the log names the hub")
			if instance, err := os.ReadFile(filepath.Join(cmd.Dir, "data", "edge", "gw-k", "instance")); err == nil {
				require.NotContains(t, log.String(), strings.TrimSpace(string(instance)))
			} else {
				require.NotContains(t, log.String(), "gateway started")
			}
			require.NotContains(t, log.String(), "hunter2")
		})
	}
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b)
}

func TestProgramNamesTheInvalidSetting(t *testing.T) {
	tests := []struct{ env, want string }{
		{"EDGE_GATEWAY_ID=a b", "EDGE_GATEWAY_ID"},
		{"LOG_LEVEL=loud", "LOG_LEVEL"},
		{"EDGE_LINGER=soon", "EDGE_LINGER"},
	}
	for _, tt := range tests {
		cmd := exec.CommandContext(t.Context(), os.Args[0], asProgram)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"EDGE_GATEWAY_ID=gw", tt.env} // the last one counts
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 2, cmd.ProcessState.ExitCode())
		require.Contains(t, string(out), tt.want)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], asProgram, "--help")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "EDGE_BUFFER_BYTES")
}

func TestMappingsAreTriedOnTheCommandLine(t *testing.T) {
	try := func(topic, payload string) (out string, code int) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], asProgram, "mappings", "test", "-f", "deploy/mappings/values.yaml", "-topic", topic)
		cmd.Dir, cmd.Env, cmd.Stdin = "..", []string{"EDGE_BUILDING=A栋"}, strings.NewReader(payload)
		data, _ := cmd.CombinedOutput()
		return string(data), cmd.ProcessState.ExitCode()
	}
	out, code := try("plant/press/oil_pressure", "4.2")
	require.Zero(t, code, out)
	require.Contains(t, out, `"sensors":{"oil_pressure":{"value":4.2,"unit":"bar"}}`)
	require.Contains(t, out, `"building":"A栋"`)
	out, code = try("elsewhere", "4.2")
	require.Equal(t, 1, code, out)
}

// TestGatewayBeyondLoopbackStartsOnlyWithInsecure: without authentication and TLS it ends with code 2 and
// names what to set; with INSECURE it starts, and shows that in its log, its metrics and its readiness.
func TestGatewayBeyondLoopbackStartsOnlyWithInsecure(t *testing.T) {
	ops := freeport.Address(t)
	env := []string{
		"EDGE_GATEWAY_ID=gw-k", "EDGE_HUB_URL=nats-leaf://127.0.0.1:1", "EDGE_NATS_ADDR=127.0.0.1:0", "EDGE_MQTT_ADDR=0.0.0.0:0", "EDGE_HTTP_ADDR=" + ops,
		"EDGE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
	}
	start := func(env []string) (*exec.Cmd, *logtest.Buffer) {
		out := &logtest.Buffer{}
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], asProgram)
		cmd.Dir, cmd.Env, cmd.Stderr = t.TempDir(), env, out
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd, out
	}
	cmd, out := start(env)
	require.Error(t, cmd.Wait())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, out.String(), "edge: EDGE_MQTT_ADDR=0.0.0.0:0 can be reached from other machines without authentication: set EDGE_DEVICE_AUTH=required, or INSECURE=anonymous")
	require.Contains(t, out.String(), "set EDGE_TLS_CERT_FILE and EDGE_TLS_KEY_FILE, or INSECURE=plaintext")
	require.NoDirExists(t, strings.TrimPrefix(env[len(env)-1], "EDGE_DATA_DIR="), "it has opened nothing")

	_, out = start(append(env, "INSECURE=anonymous,plaintext"))
	ready(t, ops)
	require.Contains(t, out.String(), "level=WARN msg=\"INSECURE is set")
	require.Contains(t, get(t, ops, "/readyz"), "INSECURE=anonymous,plaintext")
	for _, what := range []string{"anonymous", "plaintext"} {
		require.Contains(t, get(t, ops, "/metrics"), fmt.Sprintf("iot_insecure{what=%q} 1\n", what))
	}
}
