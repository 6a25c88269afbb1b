package web

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/command"
)

// asking sends a body as JSON in the background.
func (r *rig) asking(method, path, body string, header ...string) <-chan reply {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), method, r.portal.URL()+path, strings.NewReader(body))
	require.NoError(r.tb, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
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

func (r *rig) ask(method, path, body string, header ...string) answer {
	r.tb.Helper()
	got := <-r.asking(method, path, body, header...)
	require.NoError(r.tb, got.err)
	return got.answer
}

func (a answer) device(tb testing.TB) (v deviceCommandAnswer) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// known makes a device known to the portal.
func (r *rig) known(id string) {
	r.tb.Helper()
	raw, err := json.Marshal(telemetry.DeviceState{DeviceID: id, Presence: telemetry.PresenceOnline})
	require.NoError(r.tb, err)
	kafkatest.Produce(r.tb, r.brokers, r.cfg.DeviceState, -1, kafkatest.Record{Key: []byte(id), Value: raw})
	r.eventually("device", func() bool { return r.portal.deviceNow(id, 0) != nil })
}

func TestDeviceGetsItsName(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	got := r.asking(http.MethodPatch, "/api/v1/devices/d1", `{"by":"李工","command_id":"c-1","name":"东泵","tags":["pump"],"if_revision":0}`)
	_, sent := r.commands(1)
	require.Equal(t, telemetry.ActionDescribe, sent[0].Action)
	require.Equal(t, "李工", sent[0].By)
	require.Equal(t, "东泵", *sent[0].Describe.Name)
	require.Nil(t, sent[0].Describe.Description, "left out: it stays as it is")
	require.Zero(t, *sent[0].Describe.IfRevision)
	meta := telemetry.DeviceMeta{DeviceID: "d1", Name: "东泵", Tags: []string{"pump"}, Revision: 1, By: "李工"}
	done := outcome(sent[0], telemetry.OutcomeApplied, 0)
	done.Meta = &meta
	r.audited(done)
	r.described(meta)
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	v := a.device(t)
	require.Equal(t, telemetry.OutcomeApplied, v.Result.Outcome)
	require.Equal(t, "d1", v.Result.DeviceID)
	require.Equal(t, "东泵", v.Device.Name, "the answer has what was done")
	again := r.ask(http.MethodPatch, "/api/v1/devices/d1", `{"by":"李工","command_id":"c-1","name":"东泵","tags":["pump"],"if_revision":0}`)
	require.Equal(t, http.StatusOK, again.status)
	r.commands(1) // it was not sent twice
}

func TestDeviceThatSomebodyElseChangedIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	got := r.asking(http.MethodPatch, "/api/v1/devices/d1", `{"name":"东泵","if_revision":1}`, headerOperator, "李工")
	_, sent := r.commands(1)
	conflict := outcome(sent[0], telemetry.OutcomeConflict, 0)
	conflict.Meta = &telemetry.DeviceMeta{DeviceID: "d1", Name: "北泵", Revision: 2, By: "王工"}
	r.audited(conflict)
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusConflict, a.status)
	e := a.failure(t)
	require.Equal(t, "conflict", e.Code)
	require.Equal(t, "if_revision", e.Field)
	require.Contains(t, e.Message, "王工 changed it in between, to revision 2")
}

func TestDeviceIsRemoved(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := r.portal.model.Now()
	r.publish("gw-a", sensing("d1", now, 0, `"co2":{"value":1}`))
	r.known("d1")
	ws := r.connect(r.portal.Addr())
	require.NoError(t, ws.WriteMessage(1, []byte(`{"type":"subscribe_all","seq":true}`)))
	require.Equal(t, "device_data", r.receive(ws).Type)

	got := r.asking(http.MethodDelete, "/api/v1/devices/d1", "", headerOperator, "li")
	_, sent := r.commands(1)
	require.Equal(t, telemetry.ActionRemove, sent[0].Action)
	require.Empty(t, sent[0].AlertType)
	r.audited(outcome(sent[0], telemetry.OutcomeApplied, 0))
	kafkatest.Produce(t, r.brokers, r.cfg.DeviceState, -1, kafkatest.Record{Key: []byte("d1")})
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Nil(t, a.device(t).Device)
	r.refused("/api/v1/devices/d1", http.StatusNotFound, "device_not_found")
	require.Equal(t, "device_removed", r.receive(ws).Type)

	again := r.ask(http.MethodDelete, "/api/v1/devices/d1", `{"by":"li","command_id":"`+sent[0].CommandID+`"}`)
	require.Equal(t, http.StatusOK, again.status, "asked again with its id")
	require.Equal(t, http.StatusNotFound, r.ask(http.MethodDelete, "/api/v1/devices/d1", `{"by":"li"}`).status)
}

func TestDeviceCommandWithoutAnAnswerIsPending(t *testing.T) {
	t.Parallel()
	r := start(t, func(o *Options) { o.AnswerWithin = time.Millisecond })
	r.known("d1")
	a := r.ask(http.MethodDelete, "/api/v1/devices/d1", `{"by":"li","note":"replaced"}`)
	require.Equal(t, http.StatusAccepted, a.status)
	v := a.device(t)
	require.Equal(t, command.OutcomePending, v.Result.Outcome)
	require.NotEmpty(t, v.Result.CommandID)
	require.Equal(t, "d1", v.Device.DeviceID)
}

func TestBadDeviceCommandsAreRefused(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	const d1 = "/api/v1/devices/d1"
	long := strings.Repeat("x", telemetry.MaxDeviceName+1)
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		code, field        string
	}{
		{http.MethodPatch, "/api/v1/devices/never", `{"by":"x","name":"n"}`, nil, 404, "device_not_found", ""},
		{http.MethodPatch, d1, `{"name":"n"}`, nil, 400, "operator_missing", "by"},
		{http.MethodPatch, d1, `{"by":"x"}`, nil, 400, "bad_field", "describe"},
		{http.MethodPatch, d1, `{"by":"x","name":"` + long + `"}`, nil, 400, "bad_field", "name"},
		{http.MethodPatch, d1, `{"by":"x","name":"two\nlines"}`, nil, 400, "bad_field", "name"},
		{http.MethodPatch, d1, `{"by":"x","tags":["a","a"]}`, nil, 400, "bad_field", "tags[1]"},
		{http.MethodPatch, d1, `{"by":"x","tags":"a"}`, nil, 400, "bad_field", "tags"},
		{http.MethodPatch, d1, `{"by":"x","nickname":"n"}`, nil, 400, "bad_field", "nickname"},
		{http.MethodPatch, d1, `{"by":"x","name":"n","if_revision":-1}`, nil, 400, "bad_field", "if_revision"},
		{http.MethodPatch, d1, `[`, nil, 400, "bad_json", ""},
		{http.MethodPatch, d1, `{"by":"x","name":"n","command_id":"a b"}`, nil, 400, "bad_field", "command_id"},
		{http.MethodPatch, d1, `{"by":"x","name":"n"}`, []string{"Origin", "https://evil.example"}, 403, "origin_not_allowed", ""},
		{http.MethodPatch, d1, `{"by":"x","name":"n"}`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type", ""},
		{http.MethodPatch, d1, ``, []string{headerOperator, "x"}, 415, "unsupported_media_type", ""},
		{http.MethodDelete, d1, ``, nil, 400, "operator_missing", "by"},
		{http.MethodDelete, d1, ``, []string{headerOperator, "x", "Origin", "https://evil.example"}, 403, "origin_not_allowed", ""},
		{http.MethodDelete, d1, `{"by":"x"}`, []string{"Content-Type", "text/plain"}, 415, "unsupported_media_type", ""},
		{http.MethodDelete, d1, `{"by":"x","note":"` + strings.Repeat("x", telemetry.MaxNote+1) + `"}`, nil, 400, "bad_field", "note"},
		{http.MethodPost, "/api/v1/alerts/commands", `{"by":"x","action":"remove","device_id":"d1"}`, nil, 400, "bad_field", "action"},
		{http.MethodPost, "/api/v1/alerts/commands", `{"by":"x","action":"describe","device_id":"d1"}`, nil, 400, "bad_field", "action"},
	} {
		a := r.ask(c.method, c.path, c.body, c.header...)
		require.Equal(t, c.status, a.status, "%+v: %s", c, a.body)
		e := a.failure(t)
		require.Equal(t, c.code, e.Code, "%+v", c)
		require.Equal(t, c.field, e.Field, "%+v", c)
	}
	require.NotNil(t, r.portal.deviceNow("d1", 0))
}
