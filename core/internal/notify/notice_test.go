package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func TestWhichAlertsFire(t *testing.T) {
	raised := alarm("device_001", "temperature_high")
	for _, c := range []struct {
		name   string
		change func(*telemetry.Alert)
		min    telemetry.Severity
		firing bool
	}{
		{"raised", nil, telemetry.SeverityLow, true},
		{"as severe as asked for", nil, telemetry.SeverityHigh, true},
		{"too mild", nil, telemetry.SeverityCritical, false},
		{"acknowledged", func(a *telemetry.Alert) { a.Ack = &telemetry.Ack{By: "op"} }, telemetry.SeverityLow, true},
		{"historical", func(a *telemetry.Alert) { a.Historical = true }, telemetry.SeverityLow, false},
		{"suppressed", func(a *telemetry.Alert) { a.Suppressed = &telemetry.Suppressed{ByAlarm: "x"} }, telemetry.SeverityLow, false},
		{"shelved", func(a *telemetry.Alert) { a.Shelved = &telemetry.Shelved{By: "op"} }, telemetry.SeverityLow, false},
		{"out of service", func(a *telemetry.Alert) { a.OutOfService = &telemetry.OutOfService{By: "op"} }, telemetry.SeverityLow, false},
		{"cleared", func(a *telemetry.Alert) { a.Status = telemetry.AlertCleared }, telemetry.SeverityLow, false},
		{"without event, state and revision", func(a *telemetry.Alert) { a.Event, a.State, a.Revision, a.Source = "", "", 0, "" }, telemetry.SeverityLow, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := raised
			if c.change != nil {
				c.change(&a)
			}
			require.Equal(t, c.firing, newNotice(a, 0, time.Now(), rank(c.min)).firing)
		})
	}
}

func TestLabelsIdentifyTheIncident(t *testing.T) {
	a := alarm("device_001", "temperature_high")
	a.AlertID = "a1"
	n := newNotice(a, 0, time.Now(), 1)
	require.Equal(t, map[string]string{
		"alertname": "temperature_high", "alert_id": "a1", "device_id": "device_001", "severity": "high",
		"building": "A栋", "floor": "3", "room": "301", "gateway": "gw-a", "source": "rule",
	}, n.labels())

	next := then(a, telemetry.EventAcknowledged, func(a *telemetry.Alert) { a.CurrentValue, a.Ack = 90, &telemetry.Ack{By: "op"} })
	require.Equal(t, n.fingerprint, newNotice(next, 1, time.Now(), 1).fingerprint, "details that change while it holds are no labels")

	again := a
	again.AlertID = "a2"
	require.NotEqual(t, n.fingerprint, newNotice(again, 2, time.Now(), 1).fingerprint, "the next incident is another alarm")
}

func TestAnnotationsDescribeTheAlarm(t *testing.T) {
	a := alarm("device_001", "temperature_high")
	a.OccurrenceCount, a.Assignee = 3, "night shift"
	require.Equal(t, map[string]string{
		"summary": "temperature_high at device_001 (A栋, floor 3, room 301)", "description": "temperature is 85.2 °C, above 80 °C",
		"value": "85.2", "peak_value": "85.2", "threshold": "temperature > 80", "state": "unacknowledged", "priority": "2",
		"occurrence_count": "3", "assignee": "night shift", "link": "http://portal/#/alarms/x",
	}, newNotice(a, 0, time.Now(), 1).annotations("http://portal/#/alarms/x"))
}

func TestReasonIsGivenWhenAnAlarmThatHoldsIsResolved(t *testing.T) {
	a := alarm("device_001", "temperature_high")
	a.Shelved = &telemetry.Shelved{By: "op", Until: 1640995200000}
	require.Equal(t, "shelved by op until 2022-01-01T00:00:00Z", newNotice(a, 0, time.Now(), 1).annotations("")["resolved_because"])
}

func TestTimesAreNotInTheFuture(t *testing.T) {
	now := time.Now().UTC()
	a := alarm("device_001", "temperature_high")
	a.RaisedAt, a.ClearedAt, a.Status = now.Add(time.Minute).UnixMilli(), now.Add(2*time.Minute).UnixMilli(), telemetry.AlertCleared
	n := newNotice(a, 0, now, 1)
	require.Equal(t, now, n.began(now), "a device's clock is ahead")
	require.Equal(t, now, n.ended(now), "an end in the future would still fire")
}

// TestFingerprintIsAlertmanagers checks known values; TestAlertmanagerRoutesAnAlarm
// compares with a real Alertmanager.
func TestFingerprintIsAlertmanagers(t *testing.T) {
	require.Equal(t, "cbf29ce484222325", fingerprint(nil), "FNV-1a of nothing")
	require.Equal(t, fingerprint(map[string]string{"a": "1", "b": "2"}), fingerprint(map[string]string{"b": "2", "a": "1"}))
	require.NotEqual(t, fingerprint(map[string]string{"a": "bc"}), fingerprint(map[string]string{"ab": "c"}))
}
