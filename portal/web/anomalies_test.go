package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/history"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// detecting is a historian that knows d1 and answers questions about its anomalies.
func detecting(t *testing.T, asked chan<- history.DetectQuery) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := history.ParseDetectQuery(r.URL.Query())
		if err != nil || q.Check() != nil || r.URL.Path != history.DetectPath {
			http.Error(w, "bad question", http.StatusBadRequest)
			return
		}
		asked <- q
		a := history.DetectAnswer{DeviceID: q.Device, From: q.From, To: q.To, Every: 1, Sensors: []history.DetectedSensor{}}
		switch q.Device {
		case "broken":
			a.Sensors = []history.DetectedSensor{{Time: []int64{1, 2}}}
		case "d1":
			a.LearnedFrom = 5
			a.Sensors = []history.DetectedSensor{{
				Parameter: "temperature", Unit: "°C", Time: []int64{q.From + 1}, Low: history.Numbers{18}, Expected: history.Numbers{20}, High: history.Numbers{22},
				Score: history.Numbers{0.9}, State: history.Numbers{0.8},
				Anomalies: []history.Period{{Anomaly: telemetry.Anomaly{Sensor: "temperature", Kind: telemetry.AnomalySpike, Score: 0.9, Since: q.From + 1}}},
			}}
		}
		_ = json.NewEncoder(w).Encode(a) // the portal sees it
	}))
	t.Cleanup(s.Close)
	return s
}

// unusualAlarm is an alarm for an anomaly of a device's temperature.
func unusualAlarm(id, device string, raised int64) telemetry.Alert {
	a := alarm(id, device, 3, telemetry.AlarmUnacknowledged)
	a.AlertType, a.Source, a.RaisedAt, a.Timestamp = telemetry.AnomalyType+"temperature", telemetry.SourceAnomaly, raised, raised
	a.Anomaly = &telemetry.Anomaly{Sensor: "temperature", Kind: telemetry.AnomalySpike, Score: 0.9, Since: raised}
	return a
}

func TestDeviceAnomalies(t *testing.T) {
	t.Parallel()
	asked := make(chan history.DetectQuery, 10)
	h := detecting(t, asked)
	r := start(t, func(o *Options) { o.Config.HistoryURL = h.URL })
	now := r.portal.model.Now()
	r.raise(unusualAlarm("a1", "d1", now-1000), unusualAlarm("a2", "d2", now-1000), alarm("a3", "d1", 1, telemetry.AlarmUnacknowledged), unusualAlarm("later", "d1", now+5000))
	var got struct {
		history.DetectAnswer
		Alarms []telemetry.Alert
	}
	r.getJSON(fmt.Sprintf("/api/v1/devices/d1/anomalies?parameters=temperature&from=%d&to=%d&points=77", now-9e9, now), &got)
	require.Equal(t, history.DetectQuery{Device: "d1", Parameters: []string{"temperature"}, From: now - 9e9, To: now, Points: 77}, <-asked)
	require.EqualValues(t, 5, got.LearnedFrom)
	require.Equal(t, history.Numbers{22}, got.Sensor("temperature").High)
	require.Equal(t, telemetry.AnomalySpike, got.Sensors[0].Anomalies[0].Kind)
	require.Len(t, got.Alarms, 1, "of this device, of anomalies, of that time")
	require.Equal(t, "a1", got.Alarms[0].AlertID)
	require.Equal(t, telemetry.AnomalySpike, got.Alarms[0].Anomaly.Kind)

	r.refused("/api/v1/devices/nobody/anomalies", http.StatusNotFound, "device_not_found")
	r.refused("/api/v1/devices/broken/anomalies", http.StatusServiceUnavailable, "history_unavailable")
	r.refused("/api/v1/devices/d1/anomalies?points=1", http.StatusBadRequest, "bad_parameter")
	r.known("d2")
	r.getJSON("/api/v1/devices/d2/anomalies", &got) // of which nothing is kept yet
	require.Zero(t, got.LearnedFrom)
	h.Close()
	r.refused("/api/v1/devices/d1/anomalies", http.StatusServiceUnavailable, "history_unavailable")
}

func TestAnomaliesWithoutHistory(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.refused("/api/v1/devices/d1/anomalies", http.StatusServiceUnavailable, "history_off")
}

func TestFeedbackReachesKafkaAndItsOutcomeComesBack(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const path, body = "/api/v1/devices/d1/anomalies/temperature/feedback", `{"by":"李工","note":"试运行","command_id":"c-1"}`
	require.Equal(t, http.StatusNotFound, r.ask(http.MethodPost, path, body).status)
	r.known("d1")
	got := r.asking(http.MethodPost, path, body)
	_, sent := r.commands(1)
	require.Equal(t, telemetry.AlarmCommand{
		Actor:     telemetry.Actor{Address: "127.0.0.1"},
		CommandID: "c-1", DeviceID: "d1", AlertType: "anomaly_temperature", Action: telemetry.ActionNotAnomaly, By: "李工", At: sent[0].At, Note: "试运行",
	}, sent[0])
	r.audited(outcome(sent[0], telemetry.OutcomeApplied, 0))
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	var out commandAnswer
	require.NoError(t, json.Unmarshal([]byte(a.body), &struct{ Result *commandResult }{&out.Result}))
	require.Equal(t, telemetry.OutcomeApplied, out.Result.Outcome)

	require.Equal(t, http.StatusOK, r.ask(http.MethodPost, path, body).status, "sent again")
	r.commands(1) // it was not
	other := r.ask(http.MethodPost, "/api/v1/devices/d1/anomalies/humidity/feedback", body)
	require.Equal(t, "command_id_reused", other.failure(t).Code)
	for _, c := range []struct{ path, body, code string }{
		{path, `{}`, "operator_missing"},
		{path, `{"by":"x","command_id":"a b"}`, "bad_field"},
		{path, `{"by":"x","until":1}`, "bad_field"},
		{"/api/v1/devices/d1/anomalies/A/feedback", `{"by":"x"}`, "bad_parameter"},
	} {
		a := r.ask(http.MethodPost, c.path, c.body)
		require.Equal(t, http.StatusBadRequest, a.status, a.body)
		require.Equal(t, c.code, a.failure(t).Code, c.body)
	}
}

func TestNotAnomalyIsACommandOfAnomaliesAlone(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.raise(unusualAlarm("a1", "d1", r.portal.model.Now()), alarm("a2", "d1", 1, telemetry.AlarmUnacknowledged))
	a := r.ask(http.MethodPost, "/api/v1/alerts/a2/not_anomaly", `{"by":"x"}`)
	require.Equal(t, http.StatusBadRequest, a.status, a.body)
	require.Equal(t, "alert_type", a.failure(t).Field)
	got := r.asking(http.MethodPost, "/api/v1/alerts/commands", `{"by":"x","action":"not_anomaly","filter":{}}`)
	_, sent := r.commands(1)
	require.Equal(t, "a1", sent[0].AlertID)
	r.audited(outcome(sent[0], telemetry.OutcomeApplied, 4))
	r.raise(alarm("a1", "d1", 4, telemetry.AlarmUnacknowledged))
	require.Equal(t, http.StatusOK, (<-got).status)
}

func TestUnusualDevices(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var got struct {
		Total, Instances int
		Items            []unusualDevice
	}
	r.getJSON("/api/v1/unusual", &got)
	require.Zero(t, got.Instances)
	require.Empty(t, got.Items)
	report := wire.UnusualReport{Instance: "core-1", At: 1}
	for i := range 12 {
		report.Devices = append(report.Devices, telemetry.Unusual{
			DeviceID: fmt.Sprintf("d%d", i), At: 9, Unit: "°C", Location: telemetry.Location{Building: "A栋"},
			Anomaly: telemetry.Anomaly{Sensor: "temperature", Kind: telemetry.AnomalyStuck, Score: 1 - float64(i)/100, Since: 7},
		})
	}
	r.known("d0")
	r.described(telemetry.DeviceMeta{DeviceID: "d0", Name: "东泵", Revision: 1})
	data, err := json.Marshal(report)
	require.NoError(t, err)
	require.NoError(t, r.nc.Publish(wire.UnusualSubject, []byte("no report")))
	require.NoError(t, r.nc.Publish(wire.UnusualSubject, data))
	r.eventually("the report, and the name from another topic", func() bool {
		r.getJSON("/api/v1/unusual", &got)
		return got.Instances == 1 && got.Items[0].Name != ""
	})
	require.Len(t, got.Items, 10)
	require.Equal(t, unusualDevice{report.Devices[0], "东泵"}, got.Items[0])
	require.Equal(t, "d9", got.Items[9].DeviceID)
}
