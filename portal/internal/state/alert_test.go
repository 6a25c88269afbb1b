package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func alert(t *testing.T, id, device string, status telemetry.AlertStatus, ts int64) *Alert {
	t.Helper()
	a, err := ParseAlert(fmt.Appendf(nil, `{"alert_id":%q,"device_id":%q,"severity":"high","status":%q,"timestamp":%d,"more":{"x":1}}`, id, device, status, ts))
	require.NoError(t, err)
	return a
}

func TestAlertsAreToldOnceForEachState(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	for _, a := range []*Alert{
		alert(t, "a", "d1", telemetry.AlertActive, 1), alert(t, "a", "d1", telemetry.AlertActive, 1),
		alert(t, "a", "d1", telemetry.AlertActive, 2), // something else about it changed
		alert(t, "b", "d1", telemetry.AlertActive, 2),
		alert(t, "a", "d1", telemetry.AlertCleared, 3), alert(t, "a", "d1", telemetry.AlertCleared, 3),
		alert(t, "a", "d1", telemetry.AlertActive, 1), // a replay after the end
	} {
		p.ApplyAlert(a, true)
	}
	require.Equal(t, []string{"a active", "a active", "b active", "a cleared"}, r.alerts)
	require.Equal(t, int64(4), p.Totals().Alerts)
	require.Equal(t, int64(3), p.Totals().Repeated)
	p.View(func() {
		active, worst := p.Attention("d1")
		require.Equal(t, 1, active)
		require.Equal(t, telemetry.SeverityHigh, worst)
	})
	require.Len(t, p.Alerts(func(*Alert) bool { return true }), 2)
	require.Contains(t, string(alert(t, "a", "d", "active", 1).Raw), `"more":{"x":1}`, "fields we do not know are kept")
}

func TestPastIsToldOnlyAsFarAsItStillHolds(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	p.ApplyAlert(alert(t, "old", "d1", telemetry.AlertActive, 1), false)
	p.ApplyAlert(alert(t, "old", "d1", telemetry.AlertCleared, 2), false)
	p.ApplyAlert(alert(t, "still", "d2", telemetry.AlertActive, 1), false)
	p.ApplyAlert(alert(t, "over", "d3", telemetry.AlertActive, 1), false)
	p.ApplyAlert(alert(t, "over", "d3", telemetry.AlertCleared, 2), true)
	require.Equal(t, []string{"over cleared"}, r.alerts)
	p.View(func() {
		p.AllOpenAlerts(func(a *Alert) { require.Fail(t, "notified too early", a.AlertID) })
	})
	p.AlertsCaughtUp()
	require.Equal(t, []string{"over cleared", "still active"}, r.alerts)
	p.AlertsCaughtUp()
	require.Len(t, r.alerts, 2)
	p.View(func() {
		n := 0
		p.AllOpenAlerts(func(a *Alert) { n++; require.Equal(t, "still", a.AlertID) })
		require.Equal(t, 1, n)
	})
}

func TestClearedAlertsAreBoundedAndActiveOnesAreNot(t *testing.T) {
	p, _ := newModel(Options{MaxAlerts: 3})
	for i := range int64(10) {
		p.ApplyAlert(alert(t, fmt.Sprint("c", i), "d1", telemetry.AlertActive, i), true)
		p.ApplyAlert(alert(t, fmt.Sprint("c", i), "d1", telemetry.AlertCleared, i+1), true)
		p.ApplyAlert(alert(t, fmt.Sprint("a", i), "d2", telemetry.AlertActive, i), true)
	}
	require.Len(t, p.Alerts(func(a *Alert) bool { return a.Active() }), 10)
	cleared := p.Alerts(func(a *Alert) bool { return !a.Active() })
	require.Len(t, cleared, 3)
	for _, a := range cleared {
		require.Contains(t, []string{"c7", "c8", "c9"}, a.AlertID)
	}
}

func TestParseAlertRefusesWhatNobodyCouldRead(t *testing.T) {
	for _, s := range []string{``, `{`, `[]`, `{"alert_id":"a"}`, `{"device_id":"d"}`, "{\"alert_id\":\"a\",\"device_id\":\"d\",\"message\":\"\xff\"}"} {
		_, err := ParseAlert([]byte(s))
		require.Error(t, err, s)
	}
}

func FuzzParseAlert(f *testing.F) {
	f.Add([]byte(`{"alert_id":"a","device_id":"d","status":"active","threshold":{"value":80.0}}`))
	f.Add([]byte(`{"alert_id":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseAlert(data)
		if err != nil {
			return
		}
		require.NotEmpty(t, a.AlertID)
		require.NotEmpty(t, a.DeviceID)
		require.Equal(t, data, a.Raw)
	})
}
