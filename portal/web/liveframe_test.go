package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// Anyone who reaches the hub can publish a live frame; a forged one must not break the
// answers that hold its payload, or invent devices.
func TestForgedLiveFrameBreaksNoAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := time.Now().UnixMilli()
	forged := func(id, payload string) wire.FrameEntry {
		return wire.FrameEntry{Device: id, Timestamp: now, Received: now, Payload: []byte(payload)}
	}
	r.publish("x", forged("evil", "boom"), forged("a/b", `{"device_id":"a/b"}`), forged("other", `{"device_id":"d1"}`),
		forged("big", `{"device_id":"big","pad":"`+strings.Repeat("x", 200_000)+`"}`), reading("d1", "A栋", now))
	r.eventually("the good entry", func() bool { return r.portal.model.Totals().Readings == 1 })
	require.Equal(t, int64(4), r.portal.model.Totals().Refused)
	a := r.get("/api/v1/devices")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Contains(t, a.body, `"d1"`)
	for _, id := range []string{"evil", "a/b", "other", "big", "boom"} {
		require.NotContains(t, a.body, `"`+id+`"`)
	}
	require.Equal(t, http.StatusOK, r.get("/api/v1/devices/d1").status)
	require.Equal(t, http.StatusNotFound, r.get("/api/v1/devices/evil").status)
}

// A forged reading that comes with values has no text that could be passed on.
func TestForgedTextBesideValuesBreaksNoAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	now := time.Now().UnixMilli()
	forged := reading("evil", "A栋", now)
	forged.Payload, forged.Reading = []byte(`boom`), &telemetry.Reading{Sensors: telemetry.Sensors{{Name: "temperature", Number: 7}}}
	r.publish("x", forged, reading("d1", "A栋", now))
	r.eventually("both", func() bool { return r.portal.model.Totals().Readings == 2 })
	for _, path := range []string{"/api/v1/devices", "/api/v1/devices/evil", "/api/v1/export.csv"} {
		a := r.get(path)
		require.Equal(t, http.StatusOK, a.status, path)
		require.NotContains(t, a.body, "boom", path)
	}
}
