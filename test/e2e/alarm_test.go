//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/fleet"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/viewer"
)

const (
	alarmDevices = 300
	alarmFaults  = 60 // a minute
	// alarmLeft is how long an excursion must last after its alarm was raised, for everything
	// the test does meanwhile.
	alarmLeft = 22 * time.Second
	alarmSim  = "sim-alarms"
)

// pager is a receiver of notifications: a webhook as Alertmanager calls it.
type pager struct {
	*httptest.Server
	mu       sync.Mutex
	received map[string][]string // by alert_id: firing, resolved
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{received: map[string][]string{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *pager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Version string `json:"version"`
		Alerts  []struct {
			Status string            `json:"status"`
			Labels map[string]string `json:"labels"`
		} `json:"alerts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Version != "4" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range m.Alerts {
		id := a.Labels["alert_id"]
		if list := p.received[id]; len(list) == 0 || list[len(list)-1] != a.Status {
			p.received[id] = append(list, a.Status)
		}
	}
}

// last returns the newest status of an alarm.
func (p *pager) last(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.received[id]; len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

func (p *pager) all(id string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.received[id]...)
}

// screen is a WebSocket client that keeps every alert.
type screen struct {
	mu     sync.Mutex
	alerts []telemetry.Alert
}

func openScreen(t *testing.T, url string) *screen {
	t.Helper()
	s := &screen{}
	v, err := viewer.Dial(t.Context(), url)
	require.NoError(t, err)
	require.NoError(t, v.SubscribeAll())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := v.Read()
			if err != nil {
				return
			}
			var a telemetry.Alert
			if m.Type == viewer.TypeAlert && json.Unmarshal(m.Payload, &a) == nil {
				s.mu.Lock()
				s.alerts = append(s.alerts, a)
				s.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = v.Close() // the portal may be gone already
		<-done
	})
	return s
}

// find waits for an alert for which ok returns true.
func (s *screen) find(t *testing.T, what string, ok func(*telemetry.Alert) bool) telemetry.Alert {
	t.Helper()
	var found telemetry.Alert
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range s.alerts {
			if ok(&s.alerts[i]) {
				found = s.alerts[i]
				return true
			}
		}
		return false
	}, waitTimeout, pollInterval, what)
	return found
}

// request sends a request to the portal's API and decodes the answer into out.
func (r *run) request(t *testing.T, method, path string, body, out any) int {
	t.Helper()
	var in io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.PortalURL()+path, in)
	require.NoError(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if out != nil && res.StatusCode < http.StatusBadRequest {
		require.NoError(t, json.Unmarshal(b, out), "%s", b)
	}
	return res.StatusCode
}

// alarm gets an alarm from the API.
func (r *run) alarm(t *testing.T, id string) telemetry.Alert {
	t.Helper()
	var out struct {
		Alert telemetry.Alert `json:"alert"`
	}
	require.Equal(t, http.StatusOK, r.request(t, http.MethodGet, "/api/v1/alerts/"+id, nil, &out))
	return out.Alert
}

// acknowledgement is the body of an acknowledge command.
type acknowledgement struct {
	CommandID string `json:"command_id"`
	By        string `json:"by"`
	Note      string `json:"note"`
}

// acknowledge sends the command until its outcome is known.
func (r *run) acknowledge(t *testing.T, id string, c acknowledgement) telemetry.Outcome {
	t.Helper()
	var out struct {
		Result struct {
			Outcome telemetry.Outcome `json:"outcome"`
		} `json:"result"`
	}
	require.Eventually(t, func() bool {
		return r.request(t, http.MethodPost, "/api/v1/alerts/"+id+"/acknowledge", c, &out) == http.StatusOK
	}, waitTimeout, pollInterval, "an outcome")
	return out.Result.Outcome
}

// newAlarmRun starts all programs, with notifications to a pager, and defines the simulator.
func newAlarmRun(t *testing.T) (*run, *pager) {
	t.Helper()
	page := newPager(t)
	r := &run{Cluster: startCluster(t), dir: t.TempDir()}
	require.NoError(t, r.Stop(cluster.Core))
	require.NoError(t, r.SetEnv(cluster.Core, map[string]string{
		"NOTIFY_WEBHOOK_URL": page.URL, "NOTIFY_GROUP_WAIT": "500ms", "NOTIFY_GROUP_INTERVAL": "500ms", "NOTIFY_MAX_ALERTS": "1000",
	}))
	r.restart(t, cluster.Core)
	r.requirePagerReady(t)
	f, err := fleet.New(fleet.Options{
		Devices: alarmDevices, Seed: 1, Variance: 0.1, Interval: interval, Faults: alarmFaults, Mixed: true,
		Buildings: []string{cluster.Building(0), cluster.Building(1), cluster.Building(2)},
	})
	require.NoError(t, err)
	r.fleets = []*fleet.Fleet{f}
	sim := fleetPart{name: alarmSim, protocol: "nats"}
	r.Add(sim.name, cluster.Program{Binary: "sim", Args: []string{
		"-http=", "-protocol=nats", "-nats=" + strings.Join(r.NATS(), ","),
		"-devices=" + strconv.Itoa(alarmDevices), "-interval=" + interval.String(), "-excursions=" + strconv.Itoa(alarmFaults),
		"-ledger=" + sim.ledger(r.dir), "-progress=1s",
	}})
	r.from = time.Now().UnixMilli()
	return r, page
}

// requirePagerReady waits until core notifies the pager of every alarm: a first start sends no
// notifications for alarms that cleared before it.
func (r *run) requirePagerReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		m, err := r.Metrics(t.Context(), cluster.Core)
		return err == nil && m.Sum("core_notify_partitions") == topology.AlertPartitions
	}, waitTimeout, pollInterval)
}

// restart starts a program and waits until it is ready.
func (r *run) restart(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	require.NoError(t, r.Start(ctx, name))
}

// label returns the labelled excursion that an alarm was raised for.
func (r *run) label(a *telemetry.Alert) (fleet.Label, bool) {
	for _, f := range r.fleets {
		for _, l := range f.Labels(a.RaisedAt, a.RaisedAt) {
			if l.Device == a.DeviceID && l.Type == a.AlertType {
				return l, true
			}
		}
	}
	return fleet.Label{}, false
}

// TestAlarmFromExcursionToResolution follows one alarm: a simulated excursion raises it, two
// screens and the API show it, an operator acknowledges it, core is killed, it is still
// acknowledged, it clears, and the pager received both notifications.
func TestAlarmFromExcursionToResolution(t *testing.T) {
	r, page := newAlarmRun(t)
	first, second := openScreen(t, r.WebSocketURL()), openScreen(t, r.WebSocketURL())
	require.NoError(t, r.Start(t.Context(), alarmSim))

	raised := first.find(t, "an alarm for a long excursion", func(a *telemetry.Alert) bool {
		l, ok := r.label(a)
		return ok && a.Event == telemetry.EventRaised && time.Until(time.UnixMilli(l.End)) > alarmLeft
	})
	id := raised.AlertID
	require.Equal(t, telemetry.AlarmUnacknowledged, raised.State)
	require.EqualValues(t, 1, raised.Revision)
	shown := r.alarm(t, id)
	require.Equal(t, raised.AlertID, shown.AlertID)
	require.Equal(t, telemetry.AlertActive, shown.Status)

	command := acknowledgement{CommandID: "e2e-" + id[:8], By: "control room", Note: "on the way"}
	require.Equal(t, telemetry.OutcomeApplied, r.acknowledge(t, id, command))
	acked := second.find(t, "the other screen sees it acknowledged", func(a *telemetry.Alert) bool {
		return a.AlertID == id && a.Event == telemetry.EventAcknowledged
	})
	require.Equal(t, telemetry.AlarmAcknowledged, acked.State)
	require.Equal(t, &telemetry.Ack{By: "control room", At: acked.Ack.At, Note: "on the way"}, acked.Ack)

	require.NoError(t, r.Kill(cluster.Core))
	require.Equal(t, acked.Ack, r.alarm(t, id).Ack, "without core")
	r.restart(t, cluster.Core)
	require.Equal(t, acked.Ack, r.alarm(t, id).Ack, "with the next one")
	require.Equal(t, telemetry.OutcomeApplied, r.acknowledge(t, id, command), "a repeated command gets the same answer")

	cleared := second.find(t, "it clears", func(a *telemetry.Alert) bool { return a.AlertID == id && a.Status == telemetry.AlertCleared })
	require.Equal(t, acked.Ack, cleared.Ack)
	require.Equal(t, telemetry.AlarmNormal, cleared.State, "an acknowledged alarm returns to normal")
	l, ok := r.label(&raised)
	require.True(t, ok)
	require.GreaterOrEqual(t, cleared.ClearedAt, l.End-interval.Milliseconds())
	r.requireExplained(t, id)
	r.requireHistory(t, id, command)

	require.NoError(t, r.Stop(alarmSim))
	require.Eventually(t, func() bool { return page.last(id) == "resolved" }, waitTimeout, pollInterval)
	require.Equal(t, []string{"firing", "resolved"}, page.all(id))
	r.requireRevisions(t, page)
}

// requireExplained checks the explanation of an alarm.
func (r *run) requireExplained(t *testing.T, id string) {
	t.Helper()
	var out struct {
		Explanation wire.Explanation `json:"explanation"`
	}
	require.Equal(t, http.StatusOK, r.request(t, http.MethodGet, "/api/v1/alerts/"+id+"/explain", nil, &out))
	e := out.Explanation
	require.Empty(t, e.Error)
	require.NotEmpty(t, e.Conditions)
	require.NotEmpty(t, e.RuleVersion)
	raised := 0
	for _, s := range e.Samples {
		require.Len(t, s.Values, len(e.Conditions))
		if s.Event == telemetry.EventRaised {
			raised++
			require.True(t, s.Holds[0])
		}
	}
	require.Positive(t, raised, "the reading that raised it is among the %d samples", len(e.Samples))
}

// requireHistory checks the audit trail of an alarm.
func (r *run) requireHistory(t *testing.T, id string, c acknowledgement) {
	t.Helper()
	var out struct {
		Complete bool                   `json:"complete"`
		Items    []telemetry.AuditEntry `json:"items"`
	}
	require.Eventually(t, func() bool {
		require.Equal(t, http.StatusOK, r.request(t, http.MethodGet, "/api/v1/alerts/"+id+"/history", nil, &out))
		return len(out.Items) >= 3
	}, waitTimeout, pollInterval)
	require.True(t, out.Complete)
	var events []telemetry.AlarmEvent
	for _, e := range out.Items {
		events = append(events, e.Event)
		if e.Event == telemetry.EventAcknowledged {
			require.Equal(t, c.By, e.By)
			require.Equal(t, c.CommandID, e.CommandID)
		}
	}
	require.Equal(t, []telemetry.AlarmEvent{telemetry.EventRaised, telemetry.EventAcknowledged, telemetry.EventCleared}, events)
}

// requireRevisions checks that the revisions of every alarm in the topic are 1, 2, 3, …, each
// once, and that the pager received its final status.
func (r *run) requireRevisions(t *testing.T, page *pager) {
	t.Helper()
	newest := map[string]telemetry.Alert{}
	for _, a := range r.alerts(t) {
		require.Equal(t, newest[a.AlertID].Revision+1, a.Revision, "alarm %s: %s after %s", a.AlertID, a.Event, newest[a.AlertID].Event)
		newest[a.AlertID] = a
	}
	require.Greater(t, len(newest), 10, "several alarms")
	for id, a := range newest {
		paged := !a.Historical && a.Suppressed == nil
		if !paged {
			continue
		}
		want := map[telemetry.AlertStatus]string{telemetry.AlertActive: "firing", telemetry.AlertCleared: "resolved"}[a.Status]
		delivered := func() bool { return page.last(id) == want }
		if !delivered() && !assert.Eventually(t, delivered, waitTimeout, pollInterval) {
			require.FailNow(t, "the pager misses the final status of an alarm", "alarm %s of %s, %s, %s: received %v", id, a.DeviceID, a.AlertType, a.Status, page.all(id))
		}
	}
	t.Logf("%d alarms", len(newest))
}
