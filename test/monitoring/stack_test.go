//go:build monitoring

package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
)

const (
	waitTimeout  = 180 * time.Second // for an expected event: long, for a busy machine
	pollInterval = 200 * time.Millisecond
	deploy       = "../../deploy/prometheus"
)

var client = &http.Client{Timeout: 30 * time.Second}

// notice is an alert as Alertmanager sends it.
type notice struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	receiver    string
}

// has reports whether a notice has these labels.
func (n notice) has(want map[string]string) bool {
	for k, v := range want {
		if n.Labels[k] != v {
			return false
		}
	}
	return true
}

// webhook keeps what Alertmanager sent.
type webhook struct {
	*httptest.Server

	mu   sync.Mutex
	got  []notice
	errs []error
}

func startWebhook(t *testing.T) *webhook {
	t.Helper()
	w := &webhook{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var message struct{ Alerts []notice }
		err := json.NewDecoder(r.Body).Decode(&message)
		w.mu.Lock()
		defer w.mu.Unlock()
		if err != nil {
			w.errs = append(w.errs, err)
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, n := range message.Alerts {
			n.receiver = strings.TrimPrefix(r.URL.Path, "/")
			w.got = append(w.got, n)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

// notices returns what came.
func (w *webhook) notices(t *testing.T) []notice {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.errs)
	return slices.Clone(w.got)
}

// last returns the newest notice of an alert with these labels.
func (w *webhook) last(t *testing.T, labels map[string]string) (notice, bool) {
	t.Helper()
	for _, n := range slices.Backward(w.notices(t)) {
		if n.has(labels) {
			return n, true
		}
	}
	return notice{}, false
}

// run starts a program of Debian that ends with the test, and waits until it answers.
func run(t *testing.T, ready, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "make test-monitoring installs it")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.Command(path, args...) //nolint:noctx // it ends with the test
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, err := os.ReadFile(log.Name())
			t.Logf("%s (%v): %s", name, err, text)
		}
		_ = log.Close()
	})
	require.Eventually(t, func() bool { return get(t, ready, nil) == nil }, waitTimeout, pollInterval, name)
}

// get asks for a page, and reads it as JSON into v, if that is not nil.
func get(t *testing.T, address string, v any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true // no idle connection outlives a test
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, resp.Status) //nolint:err113 // a test's
	}
	if v == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// prometheus is a running one with the shipped rules.
type prometheus struct{ url string }

// watch starts Alertmanager and Prometheus for a cluster. Alerts go to the webhook.
func watch(t *testing.T, c *cluster.Cluster, to *webhook) prometheus {
	t.Helper()
	dir, manager, addr := t.TempDir(), freeport.Address(t), freeport.Address(t)
	config := shortened(t, t.TempDir(), filepath.Join(deploy, "alertmanager.yml"), alertDurations, "http://127.0.0.1:9099", to.URL)
	run(t, "http://"+manager+"/-/ready", "prometheus-alertmanager", "--config.file="+config, "--storage.path="+filepath.Join(dir, "am"),
		"--web.listen-address="+manager, "--cluster.listen-address=", "--log.level=warn")

	rules, err := filepath.Glob(filepath.Join(deploy, "rules", "*.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, rules)
	for _, file := range rules {
		shortened(t, dir, file, ruleDurations)
	}
	scrape := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(scrape, []byte(scrapes(c, manager, dir)), 0o600))
	run(t, "http://"+addr+"/-/ready", "prometheus", "--config.file="+scrape, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"),
		"--web.listen-address="+addr, "--log.level=warn")
	return prometheus{"http://" + addr}
}

// scrapes returns the settings of Prometheus: a job for each program, a sample a second.
func scrapes(c *cluster.Cluster, manager, rules string) string {
	targets := map[string][]string{
		"bridge": {c.Env(cluster.Bridge, "BRIDGE_HTTP_ADDR")}, "core": {c.Env(cluster.Core, "CORE_HTTP_ADDR")}, "portal": {c.Env(cluster.Portal, "PORTAL_ADDR")},
	}
	for i := range c.Gateways() {
		targets["edge"] = append(targets["edge"], c.Env(cluster.Gateway(i), "EDGE_HTTP_ADDR"))
	}
	if addr := c.Env(elsewhere, "CORE_HTTP_ADDR"); addr != "" {
		targets["core"] = append(targets["core"], addr)
	}
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%s/*.yml]\n"+
		"alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\nscrape_configs:\n", rules, manager)
	for _, job := range slices.Sorted(maps.Keys(targets)) {
		text += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%s]}]}\n", job, strings.Join(targets[job], ", "))
	}
	return text
}

// query returns the number of series that an expression has now.
func (p prometheus) query(t *testing.T, expr string) int {
	t.Helper()
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	require.NoError(t, get(t, p.url+"/api/v1/query?query="+url.QueryEscape(expr), &answer))
	return len(answer.Data.Result)
}

// requireRulesWork fails if a rule cannot be evaluated on what the programs really export.
func (p prometheus) requireRulesWork(t *testing.T) {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	require.NoError(t, get(t, p.url+"/api/v1/rules", &answer))
	rules := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			rules++
			require.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
		}
	}
	require.Greater(t, rules, 90)
}
