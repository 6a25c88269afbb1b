package ops_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/ops"
)

// request sends a request with a body and headers to the operations port; Host may be among them.
func request(tb testing.TB, method, url, body string, header ...string) (status int, answer string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, strings.NewReader(body))
	require.NoError(tb, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp.StatusCode, string(b)
}

func TestTheLevelOfTheLogIsChangedOnTheMachineItself(t *testing.T) {
	var out bytes.Buffer
	log, err := ops.NewLogger(ops.LogConfig{Level: "warn", Format: "text"}, &out)
	require.NoError(t, err)
	const token = "0123456789abcdef"
	url := serve(t, ops.ServerOptions{Log: log, Pprof: ops.PprofConfig{OpsToken: token}}) + "/debug/loglevel"

	status, answer := request(t, http.MethodGet, url, "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "warn\n", answer)
	status, answer = request(t, http.MethodPut, url+"?for=1h", "debug\n")
	require.Equal(t, http.StatusOK, status, answer)
	require.Regexp(t, `^debug until 20\d\d-[^ ]+, then warn\n$`, answer)
	require.Equal(t, slog.LevelDebug, ops.LevelOf(log).Level())
	require.Contains(t, out.String(), "log level changed")

	for body, want := range map[string]string{"loud": `"loud": want debug`, "": `"": want debug`, strings.Repeat("x", 1000): "want debug"} {
		status, answer = request(t, http.MethodPut, url, body)
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, answer, want)
	}
	for _, hold := range []string{"soon", "0s", "25h"} {
		status, answer = request(t, http.MethodPut, url+"?for="+hold, "info")
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, answer, `for="`+hold+`": want a duration from 1s`)
	}
	for _, header := range [][]string{
		{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-For", "192.0.2.1", "Authorization", "Bearer " + token}, {"Host", "evil.example.com"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			status, _ = request(t, method, url, "error", header...)
			require.Equal(t, http.StatusForbidden, status, header)
		}
	}
	require.Equal(t, slog.LevelDebug, ops.LevelOf(log).Level(), "nothing of this changed it")
	status, _ = request(t, http.MethodPost, url, "error")
	require.Equal(t, http.StatusMethodNotAllowed, status)
}

func TestALogOfAnotherKindHasNoLevelToChange(t *testing.T) {
	status, _ := request(t, http.MethodGet, serve(t, ops.ServerOptions{})+"/debug/loglevel", "")
	require.Equal(t, http.StatusNotFound, status)
}
