package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	"github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/stretchr/testify/require"
)

// startPrometheus is a historian that answers with what it was asked.
func startPrometheus(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := r.ParseForm(); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.Form.Get("query") == "bad(" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"no"}`)
			return
		}
		text, err := json.Marshal([]any{1, r.Method + " " + r.URL.Path + " " + r.Form.Encode()})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"string","result":%s}}`, text)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestPortalIsAPrometheus: what Prometheus' client sends reaches the historian as it is, and the answer
// comes back.
func TestPortalIsAPrometheus(t *testing.T) {
	t.Parallel()
	h := startPrometheus(t)
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	a := r.get("/prom/api/v1/query?query=sum%28x%29&time=5")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.JSONEq(t, `{"status":"success","data":{"resultType":"string","result":[1,"GET /prom/api/v1/query query=sum%28x%29&time=5"]}}`, a.body)
	require.Contains(t, r.get("/prom/api/v1/label/a%20b/values").body, "GET /prom/api/v1/label/a b/values")
	a = r.get("/prom/api/v1/query?query=bad(")
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.JSONEq(t, `{"status":"error","errorType":"execution","error":"no"}`, a.body)

	post := func(kind, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.portal.Addr()+"/prom/api/v1/query_range", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", kind)
		resp, err := r.client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	status, body := post("application/x-www-form-urlencoded", url.Values{"query": {"rate(x[5m])"}, "step": {"15"}}.Encode())
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "POST /prom/api/v1/query_range query=rate%28x%5B5m%5D%29\\u0026step=15")
	status, body = post("application/json", `{}`)
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	require.Contains(t, body, "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusMisdirectedRequest, r.get("/prom/api/v1/query?query=1", "Host", "evil.example").status)
	// Nothing else of the historian can be reached.
	for _, path := range []string{"/prom/../history/v1/export", "/prom/%2e%2e/history/v1/export", "/prom/..%2fhistory/v1/export"} {
		require.NotContains(t, r.get(path).body, "history/v1", path)
	}
}

// TestPortalWithoutHistorian: the errors are such as clients of Prometheus understand.
func TestPortalWithoutHistorian(t *testing.T) {
	t.Parallel()
	h := startPrometheus(t)
	off, away := start(t, nil), start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	h.Close()
	for name, r := range map[string]*rig{"PORTAL_HISTORY_URL is empty": off, "is the core that keeps it": away} {
		c, err := api.NewClient(api.Config{Address: "http://" + r.portal.Addr() + "/prom", Client: r.client})
		require.NoError(t, err)
		_, _, _, err = v1.NewAPI(c).Query(t.Context(), "1", time.Now())
		require.Error(t, err)
		a := r.get("/prom/api/v1/query?query=1")
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		var e promError
		require.NoError(t, json.Unmarshal([]byte(a.body), &e))
		require.Equal(t, "unavailable", e.ErrorType)
		require.Contains(t, e.Error, name)
	}
}
