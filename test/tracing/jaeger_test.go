//go:build tracing

package tracing

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/tracing"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/freeport"
)

// jaegerConfig is a Jaeger that takes OTLP by HTTP, keeps traces in memory and answers questions.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], processors: [], exporters: [jaeger_storage_exporter]}
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
extensions:
  jaeger_storage:
    backends:
      memory: {memory: {max_traces: 1000}}
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "%[1]s"}
    grpc: {endpoint: "%[2]s"}
receivers:
  otlp: {protocols: {http: {endpoint: "%[3]s"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`

// startJaeger starts the Jaeger that make test-tracing has built, until the test ends.
func startJaeger(t *testing.T) (api, collector string) {
	t.Helper()
	program := os.Getenv("JAEGER")
	require.NotEmpty(t, program, "JAEGER is not set: run make test-tracing")
	addrs := [3]string{freeport.Address(t), freeport.Address(t), freeport.Address(t)}
	file := filepath.Join(t.TempDir(), "jaeger.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, jaegerConfig, addrs[0], addrs[1], addrs[2]), 0o600))
	var out logtest.Buffer
	cmd := exec.Command(program, "--config", file) //nolint:noctx // it ends with the test
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Jaeger said: %s", out.String())
		}
	})
	api = "http://" + addrs[0]
	require.Eventually(t, func() bool { _, err := get(t, api+"/api/services"); return err == nil }, waitTimeout, 50*time.Millisecond)
	return api, "http://" + addrs[2]
}

// get returns the answer of Jaeger's API.
func get(t *testing.T, url string) (a answer, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %s", url, res.Status)
	}
	return a, json.NewDecoder(res.Body).Decode(&a)
}

// answer is what Jaeger says of a trace.
type answer struct {
	Data json.RawMessage `json:"data"`
}

// spans returns the spans of the only trace in the answer, each as "service name".
func (a answer) spans(t assert.TestingT) (names []string) {
	var traces []struct {
		Spans []struct {
			OperationName string `json:"operationName"`
			ProcessID     string `json:"processID"`
		} `json:"spans"`
		Processes map[string]struct {
			ServiceName string `json:"serviceName"`
		} `json:"processes"`
	}
	if !assert.NoError(t, json.Unmarshal(a.Data, &traces)) || !assert.Len(t, traces, 1) {
		return nil
	}
	for _, s := range traces[0].Spans {
		names = append(names, traces[0].Processes[s.ProcessID].ServiceName+" "+s.OperationName)
	}
	return names
}

func TestJaegerShowsTheWayOfAReading(t *testing.T) {
	api, collector := startJaeger(t)
	c := start(t, tracing.Config{Endpoint: collector, Protocol: "http/protobuf", Sampler: "parentbased_always_off"})
	publishMQTT(t, c.addr(1883), wire.TelemetryTopic("traced"), reading("traced"), map[string]string{"traceparent": parent})
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		a, err := get(t, api+"/api/traces/"+traceID)
		if assert.NoError(ct, err) {
			assert.ElementsMatch(ct, hops, a.spans(ct))
		}
	}, waitTimeout, 100*time.Millisecond)
}
