package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestDeviceIsPutUnderMaintenance(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	r.known("d2")
	got := r.asking(http.MethodPut, "/api/v1/devices/d1/maintenance", `{"by":"李工","command_id":"c-1","duration":"4h","reason":"更换轴承"}`)
	_, sent := r.commands(1)
	require.Equal(t, telemetry.ActionMaintain, sent[0].Action)
	require.Equal(t, "更换轴承", sent[0].Note)
	require.Equal(t, sent[0].At+4*3_600_000, sent[0].Until)
	m := &telemetry.Maintenance{By: "李工", At: sent[0].At, Until: sent[0].Until, Reason: "更换轴承"}
	meta := telemetry.DeviceMeta{DeviceID: "d1", Maintenance: m}
	done := outcome(sent[0], telemetry.OutcomeApplied, 0)
	done.Meta = &meta
	r.audited(done)
	r.described(meta)
	a := <-got
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	v := a.device(t)
	require.Equal(t, m, v.Device.Maintenance, "the answer has what was done")
	require.Equal(t, m.Until, v.Device.MaintenanceUntil)

	list := r.get("/api/v1/devices?condition=maintenance")
	require.Contains(t, list.body, `"total":1`)
	require.Contains(t, list.body, `"maintenance_until":`)
	csv := r.get("/api/v1/export.csv?condition=maintenance")
	require.Len(t, strings.Split(strings.TrimSpace(csv.body), "\n"), 2)
	require.Contains(t, csv.body, moment(m.Until))

	ended := r.asking(http.MethodDelete, "/api/v1/devices/d1/maintenance", `{"by":"王工"}`)
	_, sent = r.commands(2)
	require.Equal(t, telemetry.ActionEndMaintenance, sent[1].Action)
	done = outcome(sent[1], telemetry.OutcomeApplied, 1)
	done.Meta = &telemetry.DeviceMeta{DeviceID: "d1"}
	r.audited(done)
	r.described(*done.Meta)
	a = <-ended
	require.NoError(t, a.err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Nil(t, a.device(t).Device.Maintenance)
}

func TestMaintenanceNeedsAnEndAndAReason(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.known("d1")
	for body, field := range map[string]string{
		`{"by":"li","reason":"x"}`:                              "until",
		`{"by":"li","reason":"x","until":1}`:                    "until",
		`{"by":"li","reason":"x","until":99999999999999}`:       "until",
		`{"by":"li","reason":"x","duration":"2161h"}`:           "duration",
		`{"by":"li","reason":"x","duration":"1h","until":2000}`: "duration",
		`{"by":"li","reason":" ","duration":"1h"}`:              "note",
		`{"by":"li","duration":"1h"}`:                           "note",
	} {
		a := r.ask(http.MethodPut, "/api/v1/devices/d1/maintenance", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Equal(t, field, a.failure(t).Field, body)
	}
	require.Equal(t, http.StatusNotFound, r.ask(http.MethodPut, "/api/v1/devices/d9/maintenance", `{"by":"li","reason":"x","duration":"1h"}`).status)
	require.Equal(t, "operator_missing", r.ask(http.MethodPut, "/api/v1/devices/d1/maintenance", `{"reason":"x","duration":"1h"}`).failure(t).Code)
}
