package ops_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/listen"
	"industrial-iot-monitor/internal/ops"
)

// TestOtherMachinesSeeOnlyWhetherAProgramIsReady unless they have the token; metrics and reasons name gateways and addresses.
func TestOtherMachinesSeeOnlyWhetherAProgramIsReady(t *testing.T) {
	const far, near = "192.0.2.7:4000", "127.0.0.1:4000"
	for name, c := range map[string]struct {
		from, header, value, token string
		full                       bool
	}{
		"this machine":                 {near, "", "", "", true},
		"this machine by IPv6":         {"[::1]:4000", "", "", "t", true},
		"this machine, mapped":         {"[::ffff:127.0.0.1]:4000", "", "", "t", true},
		"another":                      {far, "", "", "t", false},
		"another, without a token":     {far, "", "", "", false},
		"an empty one is none":         {far, "Authorization", "Bearer ", "", false},
		"the token":                    {far, "Authorization", "Bearer t", "t", true},
		"a wrong one":                  {far, "Authorization", "Bearer tt", "t", false},
		"another scheme":               {far, "Authorization", "Basic t", "t", false},
		"a proxy on this machine":      {near, "X-Forwarded-For", "192.0.2.7", "t", false},
		"a proxy that says near":       {near, "X-Forwarded-For", "127.0.0.1", "t", false},
		"a proxy that says nothing":    {near, "X-Forwarded-For", "", "t", false},
		"a proxy by the standard":      {near, "Forwarded", "for=192.0.2.7", "t", false},
		"a stranger claims to be near": {far, "X-Forwarded-For", "127.0.0.1", "t", false},
		"nonsense":                     {"pipe", "", "", "t", false},
	} {
		t.Run(name, func(t *testing.T) {
			var why error
			h := ops.Handler(ops.NewRegistry(), func() error { return why }, ops.PprofConfig{OpsToken: config.Secret(c.token), Pprof: true}, slog.New(slog.DiscardHandler))
			ask := func(path string) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
				r.RemoteAddr = c.from
				if c.header != "" {
					r.Header.Set(c.header, c.value)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			ready, notReady := "ok\n", "not ready\n"
			if c.full {
				ready, notReady = "ready\n", "not ready: gateway gw-7 at 10.0.0.7\n"
			}
			require.Equal(t, ready, ask("/readyz").Body.String())
			require.Equal(t, "ok\n", ask("/livez").Body.String())
			for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline"} {
				w := ask(path)
				if c.full {
					require.Equal(t, http.StatusOK, w.Code, path)
					continue
				}
				require.Equal(t, http.StatusUnauthorized, w.Code, path)
				require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
				require.NotContains(t, w.Body.String(), "iot_")
			}
			insecure := ops.PprofConfig{OpsToken: config.Secret(c.token), Rule: listen.Rule{Insecure: []string{"plaintext"}}}
			h = ops.Handler(ops.NewRegistry(), func() error { return why }, insecure, slog.New(slog.DiscardHandler))
			if c.full {
				ready = "ready, INSECURE=plaintext\n"
				require.Contains(t, ask("/metrics").Body.String(), "iot_insecure{what=\"plaintext\"} 1\n")
			}
			require.Equal(t, ready, ask("/readyz").Body.String())
			why = errors.New("gateway gw-7 at 10.0.0.7")
			w := ask("/readyz")
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Equal(t, notReady, w.Body.String())
		})
	}
}
