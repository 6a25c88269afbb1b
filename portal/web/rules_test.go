package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// answers makes core answer questions on a subject.
func answers[Q, A any](r *rig, subject string, f func(Q) A) *nats.Subscription {
	r.tb.Helper()
	sub, err := r.nc.Subscribe(subject, func(m *nats.Msg) {
		var q Q
		if json.Unmarshal(m.Data, &q) != nil {
			return
		}
		if data, err := json.Marshal(f(q)); err == nil {
			_ = m.Respond(data)
		}
	})
	require.NoError(r.tb, err)
	require.NoError(r.tb, r.nc.Flush())
	return sub
}

func TestRulesComeFromCore(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := time.Now().UnixMilli()
	r.publish("gw-a", reading("d1", "A栋", now), reading("d2", "B栋", now))
	r.eventually("devices", func() bool {
		n := 0
		r.portal.model.View(func() { n = len(r.portal.model.Devices()) })
		return n == 2
	})
	require.Contains(t, r.refused("/api/v1/rules", http.StatusServiceUnavailable, "core_unavailable"), "unreachable")
	r.refused("/api/v1/rules?device=d1", http.StatusServiceUnavailable, "core_unavailable")
	r.refused("/api/v1/rules?device=nobody", http.StatusNotFound, "device_not_found")
	r.refused("/api/v1/rules?devices=d1", http.StatusBadRequest, "bad_parameter")

	limit := 75.0
	core := answers(r, wire.RulesSubject, func(q wire.RulesRequest) wire.RulesAnswer {
		hot := wire.Rule{ID: "hot", Type: "hot", Severity: telemetry.SeverityHigh, RuleCondition: wire.RuleCondition{Kind: "high", Parameter: "temperature", Operator: ">", Limit: &limit}}
		quiet := wire.Rule{ID: "quiet", Type: "quiet", Severity: telemetry.SeverityLow, RuleCondition: wire.RuleCondition{Kind: "stuck", Parameter: "humidity", Operator: "=", ForMS: 60_000}}
		for _, d := range q.Devices {
			if d.Building == "B栋" && d.Floor == 2 && d.Model == "IOT-SENSOR-V2" {
				hot.Devices++
			}
			quiet.Devices++
		}
		return wire.RulesAnswer{Version: "abc", Rules: []wire.Rule{hot, quiet}}
	})
	a := alarm("a1", "d2", 1, telemetry.AlarmUnacknowledged)
	a.Rule, a.RaisedAt = "hot", now-1000
	late := alarm("a2", "d1", 2, telemetry.AlarmAcknowledged)
	late.Rule, late.RaisedAt = "hot", now-2*dayMS
	r.raise(a, late)

	var all rulesJSON
	r.getJSON("/api/v1/rules", &all)
	require.Equal(t, "abc", all.Version)
	require.False(t, all.Stale)
	require.False(t, all.Complete, "without a database")
	require.Len(t, all.Rules, 2)
	require.Equal(t, 1, all.Rules[0].Devices)
	require.Equal(t, 2, all.Rules[1].Devices)
	require.Equal(t, "d2", all.Rules[0].Sample)
	require.Equal(t, &ruleDay{Raised: 1, Standing: 1, Share: 1, Severities: map[telemetry.Severity]int{a.Severity: 1}}, all.Rules[0].Day)
	require.Zero(t, all.Rules[1].Day.Raised)

	var one rulesJSON
	r.getJSON("/api/v1/rules?device=d2", &one)
	require.Len(t, one.Rules, 2)
	require.InDelta(t, 75, *one.Rules[0].Limit, 0)
	r.getJSON("/api/v1/rules?device=d1", &one)
	require.Len(t, one.Rules, 1)

	require.NoError(t, core.Unsubscribe())
	require.NoError(t, r.nc.Flush())
	r.getJSON("/api/v1/rules?device=d1", &one)
	require.True(t, one.Stale)
	require.Len(t, one.Rules, 1)
	r.eventually("the list is stale", func() bool {
		r.getJSON("/api/v1/rules", &all)
		return all.Stale
	})
	require.Positive(t, all.AgeMS)
}

func TestDryRunAsksCore(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	post := func(body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.portal.Addr()+"/api/v1/rules/dryrun", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := r.client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var out json.RawMessage
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
		return resp.StatusCode, string(out)
	}
	for body, want := range map[string]string{
		`{`: "bad_json", `{}`: "bad_field", `{"rule":"hot","hours":0.5}`: "bad_field", `{"rule":"hot","hours":169}`: "bad_field",
		`{"rule":"hot","change":{"limit":1},"yaml":"- id: hot"}`: "bad_field", `{"rule":"hot","limit":1}`: "bad_field", `{"rule":"hot","change":{"limit":"x"}}`: "bad_field",
		`{"yaml":"` + strings.Repeat("x", maxRuleText+1) + `"}`: "bad_field",
	} {
		status, got := post(body)
		require.Equal(t, http.StatusBadRequest, status, got)
		require.Contains(t, got, want)
	}
	status, got := post(`{"rule":"hot"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, got, "core_unavailable")

	var reply wire.DryRunAnswer
	answers(r, wire.DryRunSubject, func(q wire.DryRunRequest) wire.DryRunAnswer {
		if q.Rule != "hot" || q.Change == nil || *q.Change.Limit != 78 || time.Now().UnixMilli()-q.From < 2*3_600_000 {
			return wire.DryRunAnswer{Error: "not what was asked"}
		}
		return reply
	})
	const question = `{"rule":"hot","change":{"limit":78},"hours":2}`
	reply = wire.DryRunAnswer{Busy: true}
	status, got = post(question)
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, got, "dry_run_busy")
	reply = wire.DryRunAnswer{Error: "Kafka is unavailable at the moment"}
	status, _ = post(question)
	require.Equal(t, http.StatusServiceUnavailable, status)
	reply = wire.DryRunAnswer{
		Rule: "hot", HeldSince: 5, Before: wire.DryRunAlarms{Total: 253, Alarms: []wire.DryRunAlarm{}}, After: wire.DryRunAlarms{Total: 14, Alarms: []wire.DryRunAlarm{{DeviceID: "d1", Severity: telemetry.SeverityHigh, RaisedAt: 7}}},
	}
	status, got = post(question)
	require.Equal(t, http.StatusOK, status)
	var answer ruleTrial
	require.NoError(t, json.Unmarshal([]byte(got), &answer))
	require.Equal(t, reply, answer.DryRun)
}
