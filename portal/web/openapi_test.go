package web

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	a := r.get("/api/openapi.json")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.NoError(t, json.Unmarshal([]byte(a.body), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)

	documented := []string{}
	for path, item := range doc.Paths {
		for method := range item {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	others := []string{
		"GET /api/openapi.json", "GET /api/asyncapi.yaml", "GET " + r.cfg.WebSocketPath, "GET /*",
		"GET " + oidcPath, "GET " + oidcPath + "/callback", // for browsers
		"GET /prom/*", "POST /prom/*", // documented by Prometheus
		"GET /debug/loglevel", "PUT /debug/loglevel", // those of every program, in docs/operations.md
	}
	served := []string{}
	for _, route := range r.portal.app.GetRoutes(true) {
		if route.Method != http.MethodHead {
			served = append(served, route.Method+" "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}"))
		}
	}
	served = slices.DeleteFunc(served, func(s string) bool { return slices.Contains(others, s) })
	require.ElementsMatch(t, documented, served)
}

func TestDocumentIsConsistent(t *testing.T) {
	t.Parallel()
	k, err := theContract()
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			require.False(t, ids[e.id], e.id)
			ids[e.id] = true
			require.NotEmpty(t, e.summary, e.id)
			if e.body != nil {
				example, err := json.Marshal(e.example)
				require.NoError(t, err)
				require.NoError(t, k.checkTaken(e.verb(), &url.URL{Path: e.path}, example), e.id)
			}
			for _, name := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(e.path, -1) {
				require.True(t, slices.ContainsFunc(e.params, func(p parameter) bool { return p.name == name[1] }), "%s: %s", e.id, name[1])
			}
		}
	}
	every(k.doc, "", func(ptr string, v map[string]any) {
		if to, ok := v["$ref"].(string); ok {
			require.NotNil(t, k.at(strings.TrimPrefix(to, "#")), "%s leads nowhere", to)
		}
		if strings.HasSuffix(ptr, "/schema") || strings.Count(ptr, "/") == 3 && strings.HasPrefix(ptr, "/components/schemas/") {
			_, err := k.compile(ptr)
			require.NoError(t, err, ptr)
		}
		if strings.HasPrefix(ptr, "/components/schemas/") && v["properties"] != nil && !strings.Contains(ptr, "/Reading") && !strings.HasSuffix(ptr, "/Alert") {
			require.Equal(t, false, v["additionalProperties"], "%s takes any field", ptr)
		}
	})
}

// every calls f with each object in a document.
func every(v any, ptr string, f func(ptr string, v map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(ptr, v)
		for name, part := range v {
			every(part, ptr+"/"+pointer(name), f)
		}
	case []any:
		for i, part := range v {
			every(part, fmt.Sprint(ptr, "/", i), f)
		}
	}
}

func TestDescribedFieldsExist(t *testing.T) {
	s, err := newSchemas()
	require.NoError(t, err)
	s.document(endpoints()...)
	fields := map[string]bool{}
	for _, typ := range s.named {
		for _, f := range jsonFields(typ) {
			fields[f.key()] = true
		}
	}
	for _, names := range [][]string{
		slices.Collect(maps.Keys(fieldTexts)), slices.Collect(maps.Keys(fieldSchemas)), slices.Collect(maps.Keys(nullFields)),
	} {
		for _, name := range names {
			require.True(t, fields[name], "%s was renamed or removed", name)
		}
	}
}

func TestWrongAnswersAreDetected(t *testing.T) {
	k, err := theContract()
	require.NoError(t, err)
	const good = `{"time":1,"alert_id":"a","total":0,"complete":false,"items":[]}`
	for _, c := range []struct {
		name, method, path string
		status             int
		kind, body         string
		wrong              string // part of the complaint, "" for none
	}{
		{"good", "GET", "/api/v1/alerts/a/history", 200, "application/json", good, ""},
		{"one field more", "GET", "/api/v1/alerts/a/history", 200, "application/json", strings.Replace(good, "{", `{"colour":"red",`, 1), "colour"},
		{"one field less", "GET", "/api/v1/alerts/a/history", 200, "application/json", strings.Replace(good, `"total":0,`, "", 1), "total"},
		{"another type", "GET", "/api/v1/alerts/a/history", 200, "application/json", strings.Replace(good, "0", `"0"`, 1), "total"},
		{"null for a list", "GET", "/api/v1/alerts/a/history", 200, "application/json", strings.Replace(good, "[]", "null", 1), "items"},
		{"another status", "GET", "/api/v1/alerts/a/history", 201, "application/json", good, "status 201"},
		{"another content type", "GET", "/api/v1/alerts/a/history", 200, "text/html", good, "text/html"},
		{"no JSON", "GET", "/api/v1/alerts/a/history", 200, "application/json", "ok", "invalid character"},
		{"error", "GET", "/api/v1/alerts/a/history", 404, "application/json", `{"error":{"code":"alert_not_found","message":"x"}}`, ""},
		{"error of another address", "GET", "/api/v1/alerts/a/history", 404, "application/json", `{"error":{"code":"device_not_found","message":"x"}}`, "alert_not_found"},
		{"error of any address", "GET", "/api/v1/alerts/a/history", 500, "application/json", `{"error":{"code":"internal","message":"x"}}`, ""},
		{"unknown error code", "GET", "/api/v1/alerts/a/history", 500, "application/json", `{"error":{"code":"oops","message":"x"}}`, "code"},
		{"unknown key", "GET", "/api/v1/alerts/trend", 200, "application/json", `{"step_ms":1,"begins":0,"time":[],"critical":[],"high":[],"medium":[],"low":[],"worse":[]}`, "worse"},
		{"address that is not there", "GET", "/nothing", 404, "application/json", `{"error":"x"}`, "error"},
		{"error as text", "GET", "/nothing", 404, "text/plain", "not found", "text/plain"},
		{"file of the page", "GET", "/", 200, "text/html; charset=utf-8", "<!doctype html>", ""},
	} {
		err := k.check(c.method, &url.URL{Path: c.path}, c.status, c.kind, []byte(c.body))
		if c.wrong == "" {
			require.NoError(t, err, c.name)
			continue
		}
		require.ErrorContains(t, err, c.wrong, c.name)
	}
	command := &url.URL{Path: "/api/v1/alerts/commands"}
	require.NoError(t, k.checkTaken("POST", command, []byte(`{"action":"acknowledge","filter":{"state":["normal"],"floor":1}}`)))
	require.ErrorContains(t, k.checkTaken("POST", command, []byte(`{"action":"acknowledge","filter":{"colour":1}}`)), "colour")
	require.ErrorContains(t, k.checkTaken("POST", command, []byte(`{"filter":{}}`)), "action")
}

func TestClientFailsOnAWrongAnswer(t *testing.T) {
	body := `{"total":0,"count":0,"offset":0,"time":1,"items":[]}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	client := http.Client{Transport: checkedTransport(t)}
	defer client.CloseIdleConnections()
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v1/buildings", nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
		return err
	}
	require.NoError(t, ask())
	body = strings.Replace(body, "[]", `[{"building":"A栋"}]`, 1)
	err := ask()
	require.ErrorIs(t, err, errUndocumented)
	require.ErrorContains(t, err, "active_alerts")
}

func TestOnlyDocumentedParametersAreAccepted(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := populate(r)
	r.raise(alarm("a1", "a00", 1, telemetry.AlarmUnacknowledged))
	values := strings.NewReplacer("/devices/{id}", "/devices/a00", "/alerts/{id}", "/alerts/a1", "{name}", url.PathEscape("A栋"), "{action}", "acknowledge", "{note}", "n1", "{id}", "x")
	words := func(p parameter) (out []string) {
		for _, m := range p.schema {
			switch v := m.value.(type) {
			case []string:
				if m.name == "enum" {
					out = append(out, v...)
				}
			case object: // items
				out = append(out, strings.Join(kindWords(v), ","))
			}
		}
		switch {
		case p.schema[0].value == "boolean":
			out = append(out, "true", "false")
		case p.name == "from":
			out = append(out, fmt.Sprint(now-60_000))
		case p.name == "to":
			out = append(out, fmt.Sprint(now))
		case p.several:
		case p.example != nil:
			out = append(out, fmt.Sprint(p.example))
		}
		return out
	}
	for _, table := range endpoints() {
		for i := range table {
			e := &table[i]
			path := values.Replace(e.path)
			if !strings.HasPrefix(path, "/api/") {
				continue
			}
			if e.verb() != http.MethodGet {
				require.Equal(t, "bad_parameter", r.ask(e.verb(), path+"?colour=red", `{"by":"x"}`).failure(t).Code, path)
				continue
			}
			r.refused(path+"?colour=red", http.StatusBadRequest, "bad_parameter")
			for _, p := range e.query() {
				for _, word := range words(p) {
					require.NotEmpty(t, word, p.name)
					a := r.get(path + "?" + p.name + "=" + url.QueryEscape(word))
					require.NotEqual(t, http.StatusBadRequest, a.status, "%s %s=%s: %s", path, p.name, word, a.body)
				}
			}
		}
	}
}

// kindWords returns the words of the items of a list, "x" when they can be any.
func kindWords(items object) []string {
	for _, m := range items {
		if words, ok := m.value.([]string); ok && m.name == "enum" {
			return words
		}
	}
	return []string{"x"}
}
