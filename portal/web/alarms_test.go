package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// with returns a modified copy of an alarm.
func with(a telemetry.Alert, change func(*telemetry.Alert)) telemetry.Alert {
	change(&a)
	return a
}

// several fills the model with one alarm of each kind.
func several(r *rig) {
	r.tb.Helper()
	prio := func(p int, s telemetry.Severity, raised int64) func(*telemetry.Alert) {
		return func(a *telemetry.Alert) { a.Priority, a.Severity, a.RaisedAt = p, s, raised }
	}
	r.raise(
		with(alarm("unack3", "d1", 1, telemetry.AlarmUnacknowledged), prio(3, "medium", 5000)),
		with(alarm("unack1", "d1", 1, telemetry.AlarmUnacknowledged), prio(1, "critical", 1000)),
		with(alarm("unack1new", "d2", 1, telemetry.AlarmReturned), prio(1, "critical", 2000)),
		with(alarm("acked", "d2", 2, telemetry.AlarmAcknowledged), prio(1, "critical", 9000)),
		with(alarm("shelved", "d3", 2, telemetry.AlarmUnacknowledged), func(a *telemetry.Alert) {
			a.Shelved = &telemetry.Shelved{By: "李工", Until: 1}
			a.Location = telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}
		}),
		with(alarm("suppressed", "d4", 2, telemetry.AlarmUnacknowledged), func(a *telemetry.Alert) {
			a.Suppressed, a.AlertType, a.Source = &telemetry.Suppressed{ByAlarm: "gw"}, "device_offline", telemetry.SourceWatchdog
			a.Location = telemetry.Location{Building: "A栋", Floor: 4}
		}),
		with(alarm("off", "d4", 2, telemetry.AlarmAcknowledged), func(a *telemetry.Alert) {
			a.OutOfService, a.Assignee = &telemetry.OutOfService{By: "x"}, "Zhang"
		}),
		with(alarm("over", "d5", 4, telemetry.AlarmNormal), func(a *telemetry.Alert) { a.Timestamp, a.ClearedAt = 3000, 3000 }),
		with(alarm("late", "d5", 1, telemetry.AlarmReturned), func(a *telemetry.Alert) {
			a.Historical, a.Timestamp, a.ClearedAt, a.RaisedAt = true, 800, 800, 700
		}),
		alert("old", "d6", telemetry.SeverityLow, telemetry.AlertActive, 400), // from before there were revisions
	)
}

func TestAlarmsAreFilteredByWhatTheyAre(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	several(r)
	type alertsAnswer struct {
		Total, Count int
		Items        []telemetry.Alert
	}
	for query, want := range map[string][]string{
		"":                                  {"unack1new", "unack1", "unack3", "old", "acked", "off", "shelved", "suppressed", "over", "late"},
		"state=unacknowledged":              {"unack1", "unack3", "old", "shelved", "suppressed"},
		"state=returned_unacknowledged":     {"unack1new", "late"},
		"state=acknowledged,normal":         {"acked", "off", "over"},
		"status=cleared":                    {"unack1new", "over", "late"},
		"severity=low,medium":               {"unack3", "old"},
		"device_id=d4":                      {"off", "suppressed"},
		"building=" + url.QueryEscape("A栋"): {"shelved", "suppressed"},
		"floor=4":                           {"suppressed"},
		"alert_type=device_offline":         {"suppressed"},
		"source=watchdog":                   {"suppressed"},
		"source=rule&shelved=true":          {"shelved"},
		"shelved=false&suppressed=false&out_of_service=false&historical=false&state=unacknowledged": {"unack1", "unack3", "old"},
		"out_of_service=true":               {"off"},
		"historical=true":                   {"late"},
		"q=" + url.QueryEscape("ZHANG"):     {"off"},
		"q=301":                             {"shelved"},
		"from=900&to=1500&historical=false": {"unack1", "old", "off", "shelved", "suppressed", "over"},
		"from=3500&status=cleared":          {"unack1new"},
		"to=500":                            {"old"},
		"sort=priority&limit=3":             {"acked", "unack1new", "unack1"},
		"sort=-raised_at&limit=2":           {"acked", "unack3"},
		"sort=raised_at&limit=1":            {"old"},
		"sort=-device_id&limit=1":           {"old"},
		"limit=2&offset=9":                  {"late"},
	} {
		var a alertsAnswer
		r.getJSON("/api/v1/alerts?"+query, &a)
		got := []string{}
		for _, v := range a.Items {
			got = append(got, v.AlertID)
		}
		require.Equal(t, want, got, query)
		require.Len(t, got, a.Count)
	}
	var a alertsAnswer
	r.getJSON("/api/v1/alerts?limit=2", &a)
	require.Equal(t, 10, a.Total)
	for path, field := range map[string]string{
		"state=open": "state", "severity=high,bad": "severity", "source=me": "source", "shelved=1": "shelved", "floor=x": "floor",
		"from=yesterday": "from", "from=5&to=5": "to", "sort=colour": "sort", "colour=red": "colour",
	} {
		e := r.get("/api/v1/alerts?" + path)
		require.Equal(t, http.StatusBadRequest, e.status, path)
		require.Equal(t, field, e.failure(t).Field, path)
	}

	var one struct{ Alert telemetry.Alert }
	r.getJSON("/api/v1/alerts/shelved", &one)
	require.Equal(t, "李工", one.Alert.Shelved.By)
	r.refused("/api/v1/alerts/unknown", http.StatusNotFound, "alert_not_found")
	r.refused("/api/v1/alerts/unknown/history", http.StatusNotFound, "alert_not_found")
	r.refused("/api/v1/alerts/unknown/explain", http.StatusNotFound, "alert_not_found")

	var s stats
	r.getJSON("/api/v1/stats", &s)
	require.Equal(t, 4, s.Alerts.Active)
	require.Equal(t, 5, s.Alerts.Attention, "alarms that are set aside do not count")
	require.Equal(t, 4, s.Alerts.Unacknowledged)
	require.Equal(t, 3, s.Alerts.Aside)
	require.Equal(t, map[string]int{"critical": 3, "high": 0, "medium": 1, "low": 1}, s.Alerts.Severity)
	require.Equal(t, 10, s.Alerts.Kept)
}

func TestSummaryCoversTheOperatorsView(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := r.portal.model.Now()
	for i := range 12 {
		r.raise(with(alarm(string(rune('a'+i)), "d1", 1, telemetry.AlarmUnacknowledged), func(a *telemetry.Alert) {
			a.RaisedAt, a.DetectedAt, a.Timestamp = now-int64(i)*1000, now-int64(i)*1000, now
			a.Location = telemetry.Location{Building: "A栋", Floor: 1}
			a.Chattering = i == 0
		}))
	}
	several(r)
	var s summaryAnswer
	r.getJSON("/api/v1/alerts/summary", &s)
	require.Equal(t, map[string]int{"unacknowledged": 17, "acknowledged": 2, "returned_unacknowledged": 1, "normal": 1}, s.ByState)
	require.Equal(t, 17, s.Attention)
	require.Equal(t, 16, s.Unacknowledged)
	require.Equal(t, 1, s.Shelved)
	require.Equal(t, 1, s.Suppressed)
	require.Equal(t, 1, s.OutOfService)
	require.Equal(t, 1, s.Historical)
	require.Equal(t, []buildingAlarms{{"", 5, 4, "critical"}, {"A栋", 12, 12, "high"}}, s.Buildings)
	require.True(t, s.Flood.Active)
	require.Equal(t, 12, s.Flood.New)
	require.Equal(t, now-11_000, s.Flood.FirstAt)
	require.Equal(t, now-1_000, s.Flood.Since, "when the eleventh came up")
	require.Equal(t, 12, s.Flood.Alarms)
	require.Equal(t, 5, s.Flood.EndsBelow)
	require.Equal(t, []chatterer{{"d1", "temperature_high", "a", 12}}, s.Chattering)
	require.Equal(t, "old", s.Stale[0].AlertID)
	require.Len(t, s.BadActors, 1, "what came up long ago does not count")
	require.Equal(t, 12, s.BadActors[0].Occurrences)

	r.raise(with(alarm("gone", "d1", 1, telemetry.AlarmNormal), func(a *telemetry.Alert) { a.Status = telemetry.AlertCleared }))
	kept := r.portal.summaries
	kept.mu.Lock()
	for key, k := range kept.kept {
		k.at = k.at.Add(-summaryFor)
		kept.kept[key] = k
	}
	kept.mu.Unlock()
	r.getJSON("/api/v1/alerts/summary", &s)
	require.Equal(t, 2, s.ByState["normal"], "a summary is kept for a moment only")

	r.getJSON("/api/v1/alerts/summary?building="+url.QueryEscape("A栋")+"&floor=4&window=1m", &s)
	require.Zero(t, s.Attention)
	require.Equal(t, 1, s.Suppressed)
	require.False(t, s.Flood.Active)
	require.Equal(t, int64(60_000), s.WindowMS)
	require.Contains(t, r.refused("/api/v1/alerts/summary?window=1s", http.StatusBadRequest, "bad_parameter"), "window")
	r.refused("/api/v1/alerts/summary?floor=first", http.StatusBadRequest, "bad_parameter")
	r.refused("/api/v1/alerts/summary?state=normal", http.StatusBadRequest, "bad_parameter")
}

func TestHistoryAndAuditTrail(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(alarm("a1", "d1", 2, telemetry.AlarmAcknowledged))
	r.audited(
		telemetry.AuditEntry{Time: 1, DeviceID: "d1", AlertType: "t", AlertID: "a1", Revision: 1, Event: telemetry.EventRaised, To: telemetry.AlarmUnacknowledged},
		telemetry.AuditEntry{Time: 2, DeviceID: "d1", AlertType: "t", AlertID: "a1", Revision: 2, Event: telemetry.EventAcknowledged, By: "李工", CommandID: "c1", Action: "acknowledge", Outcome: "applied"},
		telemetry.AuditEntry{Time: 3, DeviceID: "d2", AlertType: "t", AlertID: "a2", By: "Zhang", CommandID: "c2", Action: "shelve", Outcome: "refused", Reason: "no"},
	)
	r.eventually("entries", func() bool { return r.portal.trail.Figures().Kept == 3 })
	var h historyAnswer
	r.getJSON("/api/v1/alerts/a1/history", &h)
	require.Equal(t, 2, h.Total)
	require.True(t, h.Complete)
	require.Equal(t, telemetry.EventRaised, h.Items[0].Event)
	require.Equal(t, "李工", h.Items[1].By)
	require.Positive(t, h.Items[1].RecordedAt)
	r.getJSON("/api/v1/alerts/a2/history", &h)
	require.False(t, h.Complete, "it does not begin at the beginning")

	for query, want := range map[string][]int64{
		"": {3, 2, 1}, "sort=recorded_at": {1, 2, 3}, "device_id=d1": {2, 1}, "alert_id=a2": {3}, "by=" + url.QueryEscape("李工"): {2},
		"action=shelve,comment": {3}, "outcome=applied": {2}, "command_id=c2": {3}, "from=1": {3, 2, 1}, "to=5": {}, "limit=1&offset=1": {2}, "alert_type=x": {},
	} {
		var a auditAnswer
		r.getJSON("/api/v1/audit?"+query, &a)
		got := []int64{}
		for _, e := range a.Items {
			got = append(got, e.Time)
		}
		require.Equal(t, want, got, query)
		require.Zero(t, a.Since, "it is whole")
	}
	for _, query := range []string{"action=look", "outcome=maybe", "from=x", "sort=by", "who=x", "limit=0"} {
		r.refused("/api/v1/audit?"+query, http.StatusBadRequest, "bad_parameter")
	}
}

func TestExplainAsksCore(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	require.Contains(t, r.refused("/api/v1/alerts/a1/explain", http.StatusServiceUnavailable, "explain_unavailable"), "unreachable")
	mute, err := r.nc.Subscribe(wire.ExplainSubject, func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, r.nc.Flush())
	r.portal.explainWithin = 100 * time.Millisecond
	require.Contains(t, r.refused("/api/v1/alerts/a1/explain", http.StatusServiceUnavailable, "explain_unavailable"), "in time")
	require.NoError(t, mute.Unsubscribe())
	r.portal.explainWithin = waitTimeout

	reply := []byte("nonsense")
	_, err = r.nc.Subscribe(wire.ExplainSubject, func(m *nats.Msg) {
		var q wire.ExplainRequest
		if json.Unmarshal(m.Data, &q) == nil && q.Alert.AlertID == "a1" {
			_ = m.Respond(reply)
		}
	})
	require.NoError(t, err)
	require.NoError(t, r.nc.Flush())
	r.refused("/api/v1/alerts/a1/explain", http.StatusServiceUnavailable, "explain_unavailable")
	v := 92.0
	want := wire.Explanation{
		AlertID: "a1", Rule: "temperature_high", Conditions: []wire.Condition{{Parameter: "temperature", Operator: ">", Limit: 80}},
		Samples: []wire.Sample{{Time: 1, Values: []*float64{&v}, Holds: []bool{true}, State: telemetry.AlarmUnacknowledged, Event: telemetry.EventRaised}},
	}
	reply, err = json.Marshal(want)
	require.NoError(t, err)
	var got explainAnswer
	r.getJSON("/api/v1/alerts/a1/explain", &got)
	require.Equal(t, want, got.Explanation)
}

// TestOneExplanationAtATimeForACaller: who asks for fifty at once gets one, and others get theirs meanwhile.
func TestOneExplanationAtATimeForACaller(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.Config.TrustedProxies = []string{"127.0.0.1"} })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged), alarm("a2", "d1", 1, telemetry.AlarmUnacknowledged))
	r.portal.explainWithin = waitTimeout
	held := make(chan *nats.Msg, 50) // requests to explain a1
	_, err := r.nc.Subscribe(wire.ExplainSubject, func(m *nats.Msg) {
		var q wire.ExplainRequest
		if json.Unmarshal(m.Data, &q) == nil && q.Alert.AlertID == "a1" {
			held <- m
			return
		}
		_ = m.Respond([]byte("{\"conditions\":[],\"samples\":[]}"))
	})
	require.NoError(t, err)
	require.NoError(t, r.nc.Flush())
	explain := func(id, from string) answer { return r.get("/api/v1/alerts/"+id+"/explain", "X-Forwarded-For", from) }

	statuses := make(chan int, 50)
	for range 50 {
		go func() { statuses <- explain("a1", "192.0.2.1").status }()
	}
	for range 49 {
		require.Equal(t, http.StatusTooManyRequests, <-statuses)
	}
	a := explain("a2", "192.0.2.1")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "explain_busy", a.failure(t).Code)
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, explain("a2", "192.0.2.2").status, "others go on")
	require.NoError(t, (<-held).Respond([]byte("{\"conditions\":[],\"samples\":[]}")))
	require.Equal(t, http.StatusOK, <-statuses)
	require.Equal(t, http.StatusOK, explain("a2", "192.0.2.1").status, "one after the other")
	require.Empty(t, held)
}

func TestGatewaysShowTheirLedger(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	send := func(subject string, data []byte, err error) {
		t.Helper()
		require.NoError(t, err)
		require.NoError(t, r.nc.Publish(subject, data))
	}
	hb, err := wire.GatewayStatus{Gateway: "gw-a", Time: r.portal.model.Now(), BufferBytes: 50, BufferLimit: 100, BytesPerSecond: 10, HorizonSeconds: 5400, BufferFull: true}.Encode()
	send(wire.StatusSubject("gw-a"), hb, err)
	l, err := wire.GatewayLedger{
		Gateway: "gw-a", Difference: 7, Duplicate: "gw-a at 10.0.0.9", Total: wire.LedgerCounts{Accepted: 100, Committed: 90},
		Epochs: []wire.EpochLedger{{Epoch: "0001", LedgerCounts: wire.LedgerCounts{Damaged: 3}}},
	}.Encode()
	send(wire.LedgerSubject("gw-a"), l, err)
	l, err = wire.GatewayLedger{Gateway: "gw-b"}.Encode() // alone: its gateway is away
	send(wire.LedgerSubject("gw-b"), l, err)
	send(wire.LedgerSubject("gw-c"), []byte("{"), nil)
	var g struct{ Items []gateway }
	r.eventually("both", func() bool {
		g.Items = nil
		r.getJSON("/api/v1/gateways", &g)
		return len(g.Items) == 2 && g.Items[0].Ledger != nil && g.Items[0].AgeMS != nil
	})
	a, b := g.Items[0], g.Items[1]
	require.InDelta(t, 1.5, *a.HorizonHours, 0.001)
	require.Equal(t, uint64(90), a.Ledger.Total.Committed)
	require.GreaterOrEqual(t, a.Ledger.AgeMS, int64(0))
	require.Equal(t, []string{"buffer_full", "horizon", "duplicate", "difference", "damaged"}, a.Trouble)
	require.Equal(t, "gw-b", b.Gateway)
	require.Nil(t, b.AgeMS)
	require.True(t, b.Silent)
	require.Equal(t, []string{"silent"}, b.Trouble)
	r.eventually("counted", func() bool {
		body := r.get("/metrics").body
		for _, want := range []string{
			`portal_gateway_buffer_horizon_seconds{gateway="gw-a"} 5400`, `portal_gateway_buffer_used_ratio{gateway="gw-a"} 0.5`,
			`portal_decode_errors_total{source="ledger"} 1`,
		} {
			require.Contains(t, body, want)
		}
		return true
	})
}
