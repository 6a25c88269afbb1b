package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/test/freeport"
)

// alertmanagers are the names under which distributions ship it.
var alertmanagers = []string{"prometheus-alertmanager", "alertmanager"}

// findAlertmanager returns the program. A machine without it passes these tests, except
// where CI is set: there they have to run.
func findAlertmanager(t *testing.T) (string, bool) {
	t.Helper()
	for _, name := range alertmanagers {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	require.Empty(t, os.Getenv("CI"), "%s is required here: apt-get install prometheus-alertmanager", alertmanagers[0]) //nolint:forbidigo // whether a test may do without a program is the machine's to say
	t.Logf("not tested: none of %v is installed", alertmanagers)
	return "", false
}

// router is a running Alertmanager.
type router struct {
	t          *testing.T
	path, addr string
	dir        string
	kill       func()
}

// startRouter runs an Alertmanager that forwards alerts to a webhook.
func startRouter(t *testing.T, path, webhook string) *router {
	t.Helper()
	r := &router{t: t, path: path, addr: freeport.Address(t), dir: t.TempDir()}
	conf := fmt.Sprintf(`route:
  receiver: ours
  group_by: [building]
  group_wait: 100ms
  group_interval: 500ms
  repeat_interval: 1h
receivers:
- name: ours
  webhook_configs:
  - url: %s
    send_resolved: true
`, webhook)
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "alertmanager.yml"), []byte(conf), 0o600))
	r.start()
	t.Cleanup(func() { r.kill() })
	return r
}

func (r *router) start() {
	r.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(r.path, "--config.file="+filepath.Join(r.dir, "alertmanager.yml"), "--storage.path="+filepath.Join(r.dir, "data"), //nolint:noctx // ended by kill
		"--web.listen-address="+r.addr, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(r.t, cmd.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // it is killed
	}()
	r.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-exited
		if r.t.Failed() {
			r.t.Log(out.String())
		}
	})
	require.Eventually(r.t, func() bool {
		res, err := r.get("/-/ready")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, waitTimeout, 50*time.Millisecond)
}

func (r *router) get(path string) (*http.Response, error) {
	c := &http.Client{Timeout: waitTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}

// shown is an alert as Alertmanager's API shows it.
type shown struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	Fingerprint         string
	GeneratorURL        string
}

// alerts returns the alerts that fire at Alertmanager, by alert_id.
func (r *router) alerts() map[string]shown {
	r.t.Helper()
	res, err := r.get("/api/v2/alerts")
	require.NoError(r.t, err)
	defer res.Body.Close()
	var list []shown
	require.NoError(r.t, json.NewDecoder(res.Body).Decode(&list))
	out := map[string]shown{}
	for _, a := range list {
		out[a.Labels["alert_id"]] = a
	}
	return out
}

// TestAlertmanagerRoutesAnAlarm goes the whole way: the alarm is in the topic, then at
// Alertmanager, then at the receiver that Alertmanager calls.
func TestAlertmanagerRoutesAnAlarm(t *testing.T) {
	path, ok := findAlertmanager(t)
	if !ok {
		return
	}
	e := newEndpoint(t, nil)
	r := startRouter(t, path, e.URL)
	cfg := fast(t)
	cfg.AlertmanagerURLs, cfg.ResendInterval = []string{"http://" + r.addr + "/"}, 500*time.Millisecond
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)

	a := alarm("device_001", "temperature_high")
	p.produce(a)
	require.Eventually(t, func() bool { return r.alerts()[a.AlertID].Fingerprint != "" }, waitTimeout, often)
	got := r.alerts()[a.AlertID]
	want := newNotice(a, 0, time.Now(), 1)
	require.Equal(t, want.labels(), got.Labels)
	require.Equal(t, want.fingerprint, got.Fingerprint, "the same as Alertmanager's")
	require.Equal(t, want.annotations(form{externalURL: cfg.ExternalURL}.link(a.AlertID)), got.Annotations)
	require.Equal(t, a.RaisedAt, got.StartsAt.UnixMilli())
	e.await(t, a.AlertID, "firing")

	// It holds, so it keeps firing beyond the endsAt of its first request.
	require.Eventually(t, func() bool { return r.alerts()[a.AlertID].EndsAt.After(got.EndsAt.Add(time.Second)) }, waitTimeout, 50*time.Millisecond)
	require.Equal(t, []string{"firing"}, compact(e.statuses(t, a.AlertID)))

	p.produce(cleared(a))
	e.await(t, a.AlertID, "firing", "resolved")
	require.NotContains(t, r.alerts(), a.AlertID)
}

// TestNextIncidentIsNotTakenForTheLast: both come within one group interval. Were they one
// alarm to Alertmanager, no notification would go out for the second one.
func TestNextIncidentIsNotTakenForTheLast(t *testing.T) {
	path, ok := findAlertmanager(t)
	if !ok {
		return
	}
	e := newEndpoint(t, nil)
	r := startRouter(t, path, e.URL)
	cfg := fast(t)
	cfg.AlertmanagerURLs = []string{"http://" + r.addr}
	p := newPlant(t, cfg)
	p.start().ready(t, 3)
	a := alarm("device_001", "temperature_high")
	p.produce(a)
	e.await(t, a.AlertID, "firing")
	b := a
	b.AlertID += "-next"
	p.produce(cleared(a), b)
	e.await(t, a.AlertID, "firing", "resolved")
	e.await(t, b.AlertID, "firing")

	worse := then(b, telemetry.EventEscalated, func(a *telemetry.Alert) { a.Severity = telemetry.SeverityCritical })
	p.produce(worse)
	require.Eventually(t, func() bool { return r.alerts()[b.AlertID].Labels["severity"] == "critical" }, waitTimeout, often)
	p.produce(cleared(worse))
	require.Eventually(t, func() bool { return len(r.alerts()) == 0 }, waitTimeout, often)
}

// TestAlertsAreResentToARestartedAlertmanager: it keeps alerts in memory alone.
func TestAlertsAreResentToARestartedAlertmanager(t *testing.T) {
	path, ok := findAlertmanager(t)
	if !ok {
		return
	}
	e := newEndpoint(t, nil)
	r := startRouter(t, path, e.URL)
	cfg := fast(t)
	cfg.AlertmanagerURLs, cfg.ResendInterval = []string{"http://" + r.addr}, time.Second
	p := newPlant(t, cfg)
	n := p.start()
	n.ready(t, 3)
	a, b := alarm("device_001", "temperature_high"), alarm("device_002", "temperature_high")
	p.produce(a, b)
	e.await(t, a.AlertID, "firing")
	r.kill()
	p.produce(cleared(b))
	require.Eventually(t, func() bool { return n.value(t, "core_notifications_total", kindAlertmanager, "failed") > 0 }, waitTimeout, often)
	r.start()
	require.Eventually(t, func() bool {
		alerts := r.alerts()
		_, ended := alerts[b.AlertID]
		return alerts[a.AlertID].Fingerprint != "" && !ended
	}, waitTimeout, often)
}
