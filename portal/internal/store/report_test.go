package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/report"
	"industrial-iot-monitor/portal/internal/state"
)

// The night of the script: a shift of eight hours.
const (
	minuteMS  = 60_000
	nightFrom = benchStart + 10*dayMS
	nightTo   = nightFrom + 480*minuteMS
)

// night is a script: what was raised, when, and what became of it, as records of the topics.
type night struct {
	records []Record
	offset  int64
}

func (n *night) alarm(a telemetry.Alert) {
	raised := a
	raised.Revision, raised.Status, raised.State, raised.ClearedAt, raised.Ack = 1, telemetry.AlertActive, telemetry.AlarmUnacknowledged, 0, nil
	for _, x := range []telemetry.Alert{raised, a} {
		n.offset++
		n.records = append(n.records, alarmRecord(0, n.offset, x))
	}
	n.offset++
	n.records = append(n.records, entry(0, n.offset, a.RaisedAt, telemetry.AuditEntry{
		Time: a.RaisedAt, DeviceID: a.DeviceID, AlertID: a.AlertID, AlertType: a.AlertType, Building: a.Location.Building, Event: telemetry.EventRaised,
	}))
}

// of is an alarm that was raised some minutes into the night, acknowledged and cleared as many minutes
// later as given; 0: never.
func (n *night) of(device, building, kind string, severity telemetry.Severity, at, acked, cleared float64) telemetry.Alert {
	a := nightAlarm(fmt.Sprint("alarm-", n.offset), device, nightFrom+int64(at*minuteMS))
	a.AlertType, a.Severity, a.Location.Building, a.Revision = kind, severity, building, 2
	if acked > 0 {
		a.State, a.Ack = telemetry.AlarmAcknowledged, &telemetry.Ack{By: "李工", At: a.RaisedAt + int64(acked*minuteMS)}
	}
	if cleared > 0 {
		a.Status, a.ClearedAt = telemetry.AlertCleared, a.RaisedAt+int64(cleared*minuteMS)
		a.State = telemetry.AlarmReturned
		if acked > 0 {
			a.State = telemetry.AlarmNormal
		}
	}
	return a
}

// script plays 20 alarms that the night is about, and 5 that it is not about.
func script() *night {
	n := &night{}
	add := func(a telemetry.Alert) { n.alarm(a) }
	add(n.of("pump-1", "A栋", "temperature_high", telemetry.SeverityCritical, 5, 4, 30))
	add(n.of("pump-1", "A栋", "temperature_high", telemetry.SeverityCritical, 60, 10, 0))
	add(n.of("fan-2", "B栋", "vibration", telemetry.SeverityHigh, 70, 2, 5))
	add(n.of("fan-2", "B栋", "vibration", telemetry.SeverityHigh, 90, 0, 5))
	for i := range 12 { // a flood: twelve within eleven half-minutes
		add(n.of(fmt.Sprint("sensor-", i), "A栋", "humidity_high", telemetry.SeverityLow, 120+float64(i)/2, 1, 20))
	}
	add(n.of("gw-b", "B栋", "gateway_down", telemetry.SeverityCritical, 200, 0, 18))
	add(n.of("old-1", "A栋", "offline_long", telemetry.SeverityMedium, -3000, 5, 0)) // stands
	add(n.of("dev-9", "A栋", "device_offline", telemetry.SeverityMedium, 240, 3, 48))
	hidden := n.of("dev-8", "B栋", "device_offline", telemetry.SeverityMedium, 200, 0, 24)
	hidden.Suppressed = &telemetry.Suppressed{ByAlarm: "gw"}
	add(hidden)
	// Not of this night:
	add(n.of("pump-1", "A栋", "temperature_high", telemetry.SeverityCritical, -100, 1, 50))
	add(n.of("pump-1", "A栋", "temperature_high", telemetry.SeverityCritical, 480, 1, 1))
	add(n.of("dev-1", "A栋", "temperature_high", telemetry.SeverityLow, -4000, 0, 1500))
	late := n.of("dev-1", "A栋", "temperature_high", telemetry.SeverityLow, 10, 0, 1)
	late.Historical = true
	add(late)
	// One that is raised three times within a minute, the last time for good.
	again := n.of("door-3", "B栋", "switch_on", telemetry.SeverityLow, 300, 0, 0)
	again.OccurrenceCount, again.Revision = 3, 5
	for i := range int64(3) {
		at := again.RaisedAt + i*20_000
		again.History = append(again.History, telemetry.AlarmChange{At: at, Event: telemetry.EventRepeated})
		if i < 2 {
			again.History = append(again.History, telemetry.AlarmChange{At: at + 10_000, Event: telemetry.EventCleared})
		}
	}
	add(again)
	shelved := n.of("loud-1", "A栋", "noise", telemetry.SeverityLow, -200, 1, 0)
	shelved.Shelved = &telemetry.Shelved{By: "李工", At: nightFrom - 100, Until: nightTo, Reason: "sensor is being replaced"}
	add(shelved)
	return n
}

// reportOfANight compares every figure of the script's night with the script.
func reportOfANight(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	n := script()
	require.NoError(t, s.Write(t.Context(), topic, n.records))
	for i := range 10 {
		require.NoError(t, s.Register(t.Context(), []Device{{
			ID: fmt.Sprint("dev-", i), Building: []string{"A栋", "B栋"}[i/5], FirstSeen: nightFrom - dayMS, SeenAt: nightTo,
		}}))
	}
	b := report.New(nightFrom, nightTo)
	partial, err := s.Report(t.Context(), &ReportQuery{From: nightFrom, To: nightTo}, b)
	require.NoError(t, err)
	require.False(t, partial)
	f := b.Figures()
	require.Equal(t, report.Counts{Total: 21, Critical: 3, High: 2, Medium: 1, Low: 15}, f.Raised)
	require.Equal(t, report.Hidden{Suppressed: 1, Historical: 1}, f.Hidden)
	require.InDelta(t, 21.0/8, f.PerHour, 1e-9)
	// It begins with the eleventh, at 125 min, and ends ten minutes after the fifth last, of 123.5 min.
	require.Equal(t, []report.Flood{{From: nightFrom + 125*minuteMS, To: nightFrom + 133*minuteMS + minuteMS/2, Raised: 12}}, f.Floods)
	require.EqualValues(t, 510_000, f.FloodMS)
	require.InDelta(t, 8.5/480, f.FloodShare, 1e-9)
	require.Equal(t, 16, f.Acknowledged)
	require.Equal(t, 3, f.NeverAcknowledged, "fan-2, gw-b and door-3")
	require.EqualValues(t, 1*minuteMS, *f.AckMedianMS)
	require.EqualValues(t, 4*minuteMS, *f.AckP90MS)
	require.Equal(t, 1, f.StandingCount)
	require.Equal(t, "old-1", f.Standing[0].DeviceID)
	require.Equal(t, []string{"door-3", "fan-2", "pump-1"}, []string{f.BadActors[0].DeviceID, f.BadActors[1].DeviceID, f.BadActors[2].DeviceID})
	require.Equal(t, []int{3, 2, 2}, []int{f.BadActors[0].Count, f.BadActors[1].Count, f.BadActors[2].Count})
	require.Len(t, f.BadActors, 10)
	require.Len(t, f.Chattering, 1)
	require.Equal(t, "door-3", f.Chattering[0].DeviceID)
	require.Equal(t, 3, f.CriticalCount)
	require.Equal(t, []int64{nightFrom + 5*minuteMS, nightFrom + 9*minuteMS, nightFrom + 35*minuteMS},
		[]int64{f.Criticals[0].RaisedAt, f.Criticals[0].AcknowledgedAt, f.Criticals[0].EndedAt})
	require.Len(t, f.Buildings, 2)
	require.Equal(t, []int{15, 6}, []int{f.Buildings[0].Raised.Total, f.Buildings[1].Raised.Total})
	require.InDelta(t, 1-48.0/(5*480), *f.Buildings[0].Availability, 1e-9)
	require.InDelta(t, 1-24.0/(5*480), *f.Buildings[1].Availability, 1e-9, "a suppressed one counts")
	require.EqualValues(t, 0, f.Buildings[0].GatewaySilentMS)
	require.EqualValues(t, 18*minuteMS, f.Buildings[1].GatewaySilentMS)

	b = report.New(nightFrom, nightTo)
	_, err = s.Report(t.Context(), &ReportQuery{Building: "B栋", From: nightFrom, To: nightTo}, b)
	require.NoError(t, err)
	one := b.Figures()
	require.Equal(t, f.Buildings[1:], one.Buildings, "a building alone is as in the plant")
	var aside []string
	require.NoError(t, s.PutAside(t.Context(), "", nightTo, func(a *state.Alert) error {
		aside = append(aside, a.DeviceID+" "+a.Shelved.Reason)
		return nil
	}))
	require.Equal(t, []string{"loud-1 sensor is being replaced"}, aside)
	extent, err := s.Extent(t.Context(), nightFrom, nightTo)
	require.NoError(t, err)
	require.EqualValues(t, nightFrom-4000*minuteMS, extent.Since)
	require.Equal(t, []Reach{{Topic: topic.Name, Partition: 0, First: 3, Next: n.records[len(n.records)-1].Offset + 1}}, extent.Reaches)
}

// reportAfterAnUpgrade takes away what the version before did not have.
func reportAfterAnUpgrade(t *testing.T, o Options) {
	t.Helper()
	figures := func(s *Store) (report.Figures, int) {
		b := report.New(nightFrom, nightTo)
		_, err := s.Report(t.Context(), &ReportQuery{From: nightFrom, To: nightTo}, b)
		require.NoError(t, err)
		aside := 0
		require.NoError(t, s.PutAside(t.Context(), "A栋", nightTo, func(*state.Alert) error { aside++; return nil }))
		return b.Figures(), aside
	}
	s, stop := open(t, o)
	require.NoError(t, s.Write(t.Context(), topic, script().records))
	want, aside := figures(s)
	require.Equal(t, 1, aside)
	dir := "postgres"
	if _, ok := s.dialect.(sqlite); ok {
		dir = "sqlite"
	}
	for _, name := range []string{"0006_security.sql", "0005_acts_as.sql", "0004_people.sql", "0003_report.sql"} {
		file, err := migrations.ReadFile("migrations/" + dir + "/" + name)
		require.NoError(t, err)
		_, down, _ := strings.Cut(string(file), "-- +goose Down")
		for statement := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(down), ";"), ";") {
			_, err := s.opened().ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
	}
	_, err := s.opened().ExecContext(t.Context(), "delete from migrations where version_id >= 3")
	require.NoError(t, err)
	stop()
	s, _ = open(t, o)
	got, aside := figures(s)
	require.Equal(t, want, got)
	require.Equal(t, 1, aside)
}

// reportOfRepeats has an alarm with more raises than its record holds: the audit trail has them.
func reportOfRepeats(t *testing.T, o Options) {
	t.Helper()
	s, _ := open(t, o)
	n := &night{}
	a := n.of("door-3", "B栋", "switch_on", telemetry.SeverityLow, 10, 0, 0)
	const times = 40
	for i := range int64(times) {
		at := a.RaisedAt + i*minuteMS
		for _, event := range []telemetry.AlarmEvent{telemetry.EventRepeated, telemetry.EventCleared} {
			a.History = append(a.History, telemetry.AlarmChange{At: at, Event: event})
			n.offset++
			n.records = append(n.records, entry(0, n.offset, at, telemetry.AuditEntry{Time: at, DeviceID: a.DeviceID, AlertID: a.AlertID, AlertType: a.AlertType, Building: "B栋", Event: event}))
			at += minuteMS / 2
		}
	}
	a.History, a.OccurrenceCount, a.Revision = a.History[len(a.History)-16:], times, 2*times
	n.offset++
	n.records = append(n.records, alarmRecord(0, n.offset, a))
	require.NoError(t, s.Write(t.Context(), topic, n.records))
	b := report.New(nightFrom, nightTo)
	partial, err := s.Report(t.Context(), &ReportQuery{From: nightFrom, To: nightTo}, b)
	require.NoError(t, err)
	require.False(t, partial)
	f := b.Figures()
	require.Equal(t, times, f.Raised.Total)
	require.Equal(t, times, f.BadActors[0].Count)
	require.Empty(t, f.Floods, "ten in ten minutes, and no more")
}
