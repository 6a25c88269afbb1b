package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// alarm returns an alarm as the engine writes it.
func alarm(id, device string, revision int64, state telemetry.AlarmState) telemetry.Alert {
	a := alert(id, device, telemetry.SeverityHigh, telemetry.AlertActive, 1000+revision)
	a.Revision, a.State, a.Priority, a.RaisedAt, a.DetectedAt, a.OccurrenceCount = revision, state, 2, 1000, 1000, 1
	a.Event, a.Source = telemetry.EventRaised, telemetry.SourceRule
	if state == telemetry.AlarmNormal || state == telemetry.AlarmReturned {
		a.Status, a.ClearedAt = telemetry.AlertCleared, a.Timestamp
	}
	if revision > 1 {
		a.Event = telemetry.EventAcknowledged
	}
	return a
}

// reply is the response to a background request.
type reply struct {
	answer
	err error
}

// post sends a body as JSON; header holds names and values in turn.
func (r *rig) post(path, body string, header ...string) answer {
	r.tb.Helper()
	got := <-r.posting(path, body, header...)
	require.NoError(r.tb, got.err)
	return got.answer
}

// posting does it in the background.
func (r *rig) posting(path, body string, header ...string) <-chan reply {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), http.MethodPost, "http://"+r.portal.Addr()+path, bytes.NewReader([]byte(body)))
	require.NoError(r.tb, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	out := make(chan reply, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err != nil {
			out <- reply{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		out <- reply{answer{resp.StatusCode, resp.Header, string(text)}, err}
	}()
	return out
}

// failure decodes an error.
func (a answer) failure(tb testing.TB) errorBody {
	tb.Helper()
	var e errorAnswer
	require.NoError(tb, json.Unmarshal([]byte(a.body), &e), a.body)
	require.NotEmpty(tb, e.Error.Message)
	return e.Error
}

// commands waits for want commands in Kafka and returns all of them.
func (r *rig) commands(want int) ([]kafkatest.Record, []telemetry.AlarmCommand) {
	r.tb.Helper()
	records := kafkatest.ReadAll(r.tb, r.brokers, r.cfg.Commands, want, waitTimeout)
	out := make([]telemetry.AlarmCommand, len(records))
	for i, rec := range records {
		require.NoError(r.tb, json.Unmarshal(rec.Value, &out[i]))
		require.NoError(r.tb, out[i].Check())
		require.Equal(r.tb, out[i].DeviceID, string(rec.Key))
	}
	return records, out
}

// audited writes to the audit trail as core does.
func (r *rig) audited(entries ...telemetry.AuditEntry) {
	r.tb.Helper()
	for _, e := range entries {
		raw, err := json.Marshal(e)
		require.NoError(r.tb, err)
		kafkatest.Produce(r.tb, r.brokers, r.cfg.Audit, -1, kafkatest.Record{Key: []byte(e.DeviceID), Value: raw})
	}
}

// outcome returns core's answer to a command.
func outcome(c telemetry.AlarmCommand, o telemetry.Outcome, revision int64) telemetry.AuditEntry {
	return telemetry.AuditEntry{
		Time: c.At, DeviceID: c.DeviceID, AlertType: c.AlertType, AlertID: c.AlertID, Revision: revision, By: c.By,
		CommandID: c.CommandID, Action: c.Action, Outcome: o,
	}
}

func TestCommandReachesKafkaAndItsOutcomeComesBack(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { // more partitions than usual: commands follow the readings
		c := o.Config
		require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), c.Cluster, kafka.Topic{Name: c.DeviceData, Partitions: 13}))
	})
	r.raise(alarm("a1", "device_001", 1, telemetry.AlarmUnacknowledged))
	got := r.posting("/api/v1/alerts/a1/acknowledge", `{"by":"李工","note":"on my way","command_id":"c-1"}`)
	records, commands := r.commands(1)
	require.Len(t, commands, 1)
	c := commands[0]
	require.Equal(t, telemetry.AlarmCommand{
		Actor:     telemetry.Actor{Address: "127.0.0.1"},
		CommandID: "c-1", DeviceID: "device_001", AlertType: "temperature_high", AlertID: "a1", Action: telemetry.ActionAcknowledge,
		By: "李工", At: c.At, Note: "on my way",
	}, c)
	kafkatest.Produce(t, r.brokers, r.cfg.DeviceData, -1, kafkatest.Record{Key: []byte("device_001"), Value: []byte("{}")})
	reading := kafkatest.ReadAll(t, r.brokers, r.cfg.DeviceData, 1, waitTimeout)
	require.Equal(t, reading[0].Partition, records[0].Partition, "a device's commands lie beside its readings")

	r.audited(outcome(c, telemetry.OutcomeApplied, 2)) // before the alarm itself
	acked := alarm("a1", "device_001", 2, telemetry.AlarmAcknowledged)
	acked.Ack = &telemetry.Ack{By: c.By, At: c.At, Note: c.Note}
	r.raise(acked)
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var out struct {
		Result commandResult
		Alert  telemetry.Alert
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &out))
	require.Equal(t, telemetry.OutcomeApplied, out.Result.Outcome)
	require.Equal(t, "c-1", out.Result.CommandID)
	require.Equal(t, acked, out.Alert, "the alarm is as it is after the command")

	again := r.post("/api/v1/alerts/a1/acknowledge", `{"by":"李工","note":"on my way","command_id":"c-1"}`)
	require.Equal(t, http.StatusOK, again.status, "sent again, with the same answer")
	other := r.post("/api/v1/alerts/a1/comment", `{"by":"李工","note":"x","command_id":"c-1"}`)
	require.Equal(t, http.StatusConflict, other.status)
	e := other.failure(t)
	require.Equal(t, "command_id_reused", e.Code)
	require.Equal(t, "command_id", e.Field)
	_, commands = r.commands(1)
	require.Len(t, commands, 1, "a command with a known outcome is not sent again")
	require.Contains(t, r.get("/metrics").body, `portal_alarm_commands_total{outcome="applied"} 2`)
}

func TestCommandWithoutAnswerIsPending(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.AnswerWithin = 50 * time.Millisecond })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	const body = `{"by":"x","command_id":"c-1"}`
	a := r.post("/api/v1/alerts/a1/acknowledge", body)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	require.Contains(t, a.body, `"command_id":"c-1"`)
	require.Contains(t, a.body, `"outcome":"pending"`)
	require.Contains(t, a.body, `"state":"unacknowledged"`)
	require.Equal(t, http.StatusAccepted, r.post("/api/v1/alerts/a1/acknowledge", body).status)
	_, commands := r.commands(2)
	require.Equal(t, commands[0].CommandID, commands[1].CommandID, "core applies it once")
	refused := outcome(commands[0], telemetry.OutcomeRefused, 0)
	refused.Reason = "it is shelved"
	r.audited(refused)
	r.eventually("outcome", func() bool { return r.portal.trail.Outcome("c-1") != nil })
	a = r.post("/api/v1/alerts/a1/acknowledge", body)
	require.Equal(t, http.StatusConflict, a.status)
	e := a.failure(t)
	require.Equal(t, errorBody{Code: "command_refused", Message: "it is shelved", CommandID: "c-1"}, e)
}

func TestCommandsWithoutKafkaAreRefused(t *testing.T) {
	dir := t.TempDir()
	broker := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	r := start(t, func(o *Options) { o.Config.Brokers, o.AnswerWithin = []string{broker.Addr()}, time.Millisecond })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	require.NoError(t, broker.Close())
	a := r.post("/api/v1/alerts/a1/acknowledge", `{"by":"x"}`)
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
	e := a.failure(t)
	require.Equal(t, "kafka_unavailable", e.Code)
	require.NotEmpty(t, e.CommandID, "to send it again")
	require.NotContains(t, a.body, broker.Addr())
	a = r.post("/api/v1/alerts/commands", `{"by":"x","action":"acknowledge","filter":{}}`)
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
	kafkatest.Embedded(t, devkafka.Options{Addr: broker.Addr(), DataDir: dir})
	r.audited(telemetry.AuditEntry{
		DeviceID: "d1", AlertType: "temperature_high", CommandID: "again", Action: telemetry.ActionAcknowledge, Outcome: telemetry.OutcomeNothing,
	})
	r.eventually("the audit trail is read again", func() bool { return r.portal.trail.Outcome("again") != nil })
	require.Equal(t, http.StatusOK, r.post("/api/v1/alerts/a1/acknowledge", `{"by":"x","command_id":"again"}`).status)
	r.eventually("commands are taken again", func() bool {
		return r.post("/api/v1/alerts/a1/comment", `{"by":"x","note":"y"}`).status == http.StatusAccepted
	})
}

func TestManyAlarmsAreCommandedAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	shelved := alarm("s1", "d3", 1, telemetry.AlarmUnacknowledged)
	shelved.Shelved = &telemetry.Shelved{By: "x", Until: 1}
	r.raise(
		alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged), alarm("a2", "d2", 1, telemetry.AlarmReturned),
		alarm("a3", "d1", 2, telemetry.AlarmAcknowledged), alarm("a4", "d1", 4, telemetry.AlarmNormal), shelved,
	)
	got := r.posting("/api/v1/alerts/commands", `{"action":"acknowledge","by":"x","command_id":"all","filter":{"shelved":false,"severity":["high","low"]}}`)
	_, commands := r.commands(2)
	require.Len(t, commands, 2, "acknowledged and closed alarms are left alone")
	for _, c := range commands {
		require.Equal(t, partID("all", c.AlertID), c.CommandID)
	}
	refused := outcome(commands[1], telemetry.OutcomeRefused, 0)
	refused.Reason = "no"
	r.audited(outcome(commands[0], telemetry.OutcomeNothing, 0), refused)
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var out commandsAnswer
	require.NoError(t, json.Unmarshal([]byte(a.body), &out))
	require.Equal(t, 2, out.Total)
	require.Equal(t, map[telemetry.Outcome]int{"nothing_to_do": 1, "refused": 1}, out.Outcomes)
	for _, item := range out.Items {
		require.Equal(t, item.AlertID == commands[1].AlertID, item.Reason == "no")
	}

	got = r.posting("/api/v1/alerts/commands", `{"action":"shelve","duration":"1h","by":"x","note":"filter change","alert_ids":["a1","unknown","a1"]}`)
	_, commands = r.commands(3)
	c := commands[len(commands)-1]
	for _, v := range commands {
		if v.Action == telemetry.ActionShelve {
			c = v
		}
	}
	require.Equal(t, c.At+3_600_000, c.Until)
	r.audited(outcome(c, telemetry.OutcomeApplied, 0))
	a = <-got
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &out))
	require.Len(t, out.Items, 2)
	require.Equal(t, "unknown", out.Items[1].AlertID)
	require.Equal(t, outcomeNotFound, out.Items[1].Outcome)

	got = r.posting("/api/v1/alerts/commands", `{"action":"in_service","by":"x","device_id":"d9","alert_type":"door_open","command_id":"d9"}`)
	r.commands(4)
	r.audited(telemetry.AuditEntry{DeviceID: "d9", AlertType: "door_open", CommandID: "d9", Action: "in_service", Outcome: telemetry.OutcomeApplied})
	a = <-got
	require.Equal(t, http.StatusOK, a.status, a.body)
}

func TestTooManyAlarmsAreNotCommanded(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for i := range mostCommands + 1 {
		raw, err := json.Marshal(alarm(fmt.Sprintf("a%04d", i), "d1", 1, telemetry.AlarmUnacknowledged))
		require.NoError(t, err)
		a, err := state.ParseAlert(raw)
		require.NoError(t, err)
		r.portal.model.ApplyAlert(a, true)
	}
	a := r.post("/api/v1/alerts/commands", `{"action":"acknowledge","by":"x","filter":{"status":"active"}}`)
	require.Equal(t, http.StatusBadRequest, a.status)
	e := a.failure(t)
	require.Equal(t, "too_many_alerts", e.Code)
	require.Contains(t, e.Message, "1001")
	r.eventually("the topic is there", func() bool { return r.portal.feed.Ready() == nil })
	_, commands := r.commands(0)
	require.Empty(t, commands)
}

func TestBadCommandsNameTheField(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	long := strings.Repeat("x", 2000)
	for _, c := range []struct {
		path, body  string
		status      int
		code, field string
	}{
		{"a1/acknowledge", `{`, 400, "bad_json", ""},
		{"a1/acknowledge", `[]`, 400, "bad_json", ""},
		{"a1/acknowledge", `null`, 400, "bad_json", ""},
		{"a1/acknowledge", `{"by":null}`, 400, "bad_field", "by"},
		{"a1/acknowledge", ``, 400, "operator_missing", "by"},
		{"a1/acknowledge", `{"by":"  "}`, 400, "operator_missing", "by"},
		{"a1/acknowledge", `{"by":5}`, 400, "bad_field", "by"},
		{"a1/acknowledge", `{"by":"x","why":"y"}`, 400, "bad_field", "why"},
		{"a1/acknowledge", `{"by":"x","action":"shelve"}`, 400, "bad_field", "action"},
		{"a1/shelve", `{"by":"x","duration":"1h"}`, 400, "bad_field", "note"},
		{"a1/shelve", `{"by":"x","duration":"1h","note":" \n"}`, 400, "bad_field", "note"},
		{"commands", `{"by":"x","duration":"1h","action":"shelve","alert_ids":["a1"]}`, 400, "bad_field", "note"},
		{"a1/acknowledge", `{"by":"` + long + `"}`, 400, "bad_field", "by"},
		{"a1/acknowledge", `{"by":"x","note":"` + long + `"}`, 400, "bad_field", "note"},
		{"a1/acknowledge", `{"by":"x","command_id":"a b"}`, 400, "bad_field", "command_id"},
		{"a1/acknowledge", `{"by":"x","duration":"1h"}`, 400, "bad_field", "duration"},
		{"a1/acknowledge", `{"by":"x","until":1}`, 400, "bad_field", "until"},
		{"a1/acknowledge", `{"by":"x","assignee":"y"}`, 400, "bad_field", "assignee"},
		{"a1/shelve", `{"by":"x"}`, 400, "bad_field", "until"},
		{"a1/shelve", `{"by":"x","until":1}`, 400, "bad_field", "until"},
		{"a1/shelve", `{"by":"x","until":"soon"}`, 400, "bad_field", "until"},
		{"a1/shelve", `{"by":"x","until":1,"duration":"1h"}`, 400, "bad_field", "duration"},
		{"a1/shelve", `{"by":"x","duration":"1 hour"}`, 400, "bad_field", "duration"},
		{"a1/shelve", `{"by":"x","duration":"1000h"}`, 400, "bad_field", "duration"},
		{"a1/comment", `{"by":"x"}`, 400, "bad_field", "note"},
		{"a1/assign", `{"by":"x","assignee":"` + long + `"}`, 400, "bad_field", "assignee"},
		{"unknown/acknowledge", `{"by":"x"}`, 404, "alert_not_found", ""},
		{"a1/delete", `{"by":"x"}`, 404, "not_found", ""},
		{"commands", `{"by":"x","action":"acknowledge"}`, 400, "bad_field", "filter"},
		{"commands", `{"by":"x","action":"acknowledge","filter":{},"alert_ids":[]}`, 400, "bad_field", "filter"},
		{"commands", `{"by":"x","action":"acknowledge","filter":{"colour":"red"}}`, 400, "bad_field", "filter.colour"},
		{"commands", `{"by":"x","action":"acknowledge","filter":{"state":"open"}}`, 400, "bad_parameter", "filter.state"},
		{"commands", `{"by":"x","action":"acknowledge","filter":{"floor":{}}}`, 400, "bad_field", "filter.floor"},
		{"commands", `{"by":"x","action":"destroy","filter":{}}`, 400, "bad_field", "action"},
		{"commands", `{"by":"x","filter":{}}`, 400, "bad_field", "action"},
		{"commands", `{"by":"x","action":"in_service","device_id":"d 1","alert_type":"t"}`, 400, "bad_field", "device_id"},
		{"commands", `{"by":"x","action":"in_service","device_id":"d1"}`, 400, "bad_field", "alert_type"},
	} {
		a := r.post("/api/v1/alerts/"+c.path, c.body)
		require.Equal(t, c.status, a.status, "%s %s: %s", c.path, c.body, a.body)
		e := a.failure(t)
		require.Equal(t, c.code, e.Code, "%s %s: %s", c.path, c.body, a.body)
		require.Equal(t, c.field, e.Field, "%s %s: %s", c.path, c.body, a.body)
	}
	const good, path = `{"by":"x"}`, "/api/v1/alerts/a1/acknowledge"
	require.Equal(t, "by", r.post(path, `{"by":"`+long+`"}`, headerOperator, "x").failure(t).Field, "the header takes precedence, and the body is checked all the same")
	require.Equal(t, "unsupported_media_type", r.post(path, good, "Content-Type", "text/plain").failure(t).Code)
	require.Equal(t, "unsupported_media_type", r.post(path, good, "Content-Type", "application/x-www-form-urlencoded").failure(t).Code)
	require.Equal(t, "origin_not_allowed", r.post(path, good, "Origin", "https://evil.example.com").failure(t).Code)
	require.Equal(t, "origin_not_allowed", r.post(path, good, "Origin", "null").failure(t).Code)
	// Only announced: it is refused, and the connection closed, before the body is read.
	require.Equal(t, "too_large", r.raw("POST "+path, "Content-Type: application/json", "Content-Length: 70000").failure(t).Code)
	_, commands := r.commands(0)
	require.Empty(t, commands, "nothing of this was sent")
}

func TestProxyNamesTheOperator(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.AnswerWithin = time.Millisecond })
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	a := r.post("/api/v1/alerts/a1/acknowledge", `{"by":"another"}`, headerOperator, "proxied", "Origin", "http://127.0.0.1:1")
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	_, commands := r.commands(1)
	require.Equal(t, "proxied", commands[0].By)
	require.False(t, identity{}.may(alarmCommand), "an unknown caller has no permission")
}

func TestCommandOverTheWebSocketShowsInAnotherTab(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	mine, other := r.connect(r.portal.Addr()), r.connect(r.portal.WSAddr())
	require.NoError(t, other.WriteJSON(map[string]string{"type": "subscribe_all"}))
	require.NoError(t, other.WriteJSON(map[string]string{}))
	require.Equal(t, "error", r.receive(other).Type)
	r.raise(alarm("a1", "d1", 1, telemetry.AlarmUnacknowledged))
	require.Equal(t, "alert", r.receive(other).Type)
	require.NoError(t, mine.WriteJSON(map[string]any{
		"type": "alarm_command", "command": map[string]any{"action": "acknowledge", "alert_id": "a1", "by": "me", "command_id": "ws-1"},
	}))
	_, commands := r.commands(1)
	acked := alarm("a1", "d1", 2, telemetry.AlarmAcknowledged)
	acked.Ack = &telemetry.Ack{By: "me", At: 5}
	r.raise(acked)
	r.audited(outcome(commands[0], telemetry.OutcomeApplied, 2))

	var got socketResult
	require.NoError(t, mine.ReadJSON(&got))
	require.Equal(t, "command_result", got.Type)
	require.Equal(t, http.StatusOK, got.Status, "%+v", got.Error)
	require.Equal(t, "ws-1", got.CommandID)
	var shown telemetry.Alert
	require.NoError(t, json.Unmarshal(r.receive(other).Payload, &shown))
	require.Equal(t, acked, shown, "the whole alarm is pushed")

	for body, want := range map[string]string{
		`{"type":"alarm_command","command":{"action":"acknowledge","alert_id":"unknown","by":"x"}}`:                     "alert_not_found",
		`{"type":"alarm_command","command":{"action":"acknowledge","alert_id":"a1"}}`:                                   "operator_missing",
		`{"type":"alarm_command","command":{"action":"acknowledge","alert_id":"a1","filter":{},"by":"x"}}`:              "bad_field",
		`{"type":"alarm_command","command":{"action":"shelve","filter":{"device_id":"d1"},"by":"x"}}`:                   "bad_field",
		`{"type":"alarm_command","command":{"action":"shelve","alert_id":"a1","duration":"1h","by":"x"}}`:               "bad_field",
		`{"type":"alarm_command","command":{"action":"acknowledge","alert_id":"a1","by":"x","note":"` + "\\ud800" + `"`: "",
		`{"type":"alarm_command"}`: "",
	} {
		require.NoError(t, mine.WriteMessage(1, []byte(body)))
		got = socketResult{}
		require.NoError(t, mine.ReadJSON(&got))
		if want == "" {
			require.Equal(t, "error", got.Type)
			continue
		}
		require.Equal(t, "command_result", got.Type)
		require.Equal(t, want, got.Error.Code)
		require.GreaterOrEqual(t, got.Status, 400)
	}
	require.NoError(t, mine.WriteJSON(map[string]any{
		"type": "alarm_command", "command": map[string]any{"action": "comment", "note": "x", "filter": map[string]any{"state": "normal"}, "by": "me", "command_id": "none"},
	}))
	require.NoError(t, mine.ReadJSON(&got))
	require.Equal(t, http.StatusOK, got.Status, "no alarm matches")
}
