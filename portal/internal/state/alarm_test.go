package state

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// alarm returns an alarm as the engine writes it, changed by f.
func alarm(t *testing.T, id string, revision int64, state telemetry.AlarmState, change ...func(*telemetry.Alert)) *Alert {
	t.Helper()
	a := telemetry.Alert{
		AlertID: id, DeviceID: "d1", AlertType: "temperature_high", Severity: telemetry.SeverityHigh, Priority: 2,
		Status: telemetry.AlertActive, Revision: revision, State: state, Event: telemetry.EventRaised,
		Timestamp: t0, RaisedAt: t0, DetectedAt: t0, Location: telemetry.Location{Building: "A栋", Floor: 3},
	}
	if state == telemetry.AlarmNormal || state == telemetry.AlarmReturned {
		a.Status = telemetry.AlertCleared
	}
	for _, f := range change {
		f(&a)
	}
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	out, err := ParseAlert(raw)
	require.NoError(t, err)
	return out
}

// Changes of an alarm.
func shelved(a *telemetry.Alert)    { a.Shelved = &telemetry.Shelved{By: "x", Until: t0 * 2} }
func suppressed(a *telemetry.Alert) { a.Suppressed = &telemetry.Suppressed{ByAlarm: "gw"} }
func outOfUse(a *telemetry.Alert)   { a.OutOfService = &telemetry.OutOfService{By: "x"} }
func historical(a *telemetry.Alert) { a.Historical = true }

func event(e telemetry.AlarmEvent) func(*telemetry.Alert) {
	return func(a *telemetry.Alert) { a.Event = e }
}

func at(ms int64) func(*telemetry.Alert) {
	return func(a *telemetry.Alert) { a.Timestamp, a.RaisedAt, a.DetectedAt = ms, ms, ms }
}

func of(device, kind string) func(*telemetry.Alert) {
	return func(a *telemetry.Alert) { a.DeviceID, a.AlertType = device, kind }
}

func in(building string, floor int) func(*telemetry.Alert) {
	return func(a *telemetry.Alert) { a.Location = telemetry.Location{Building: building, Floor: floor} }
}

func (m *Model) kept() int { return len(m.Alerts(func(*Alert) bool { return true })) }

func TestNewestRevisionWins(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	for _, a := range []*Alert{
		alarm(t, "a", 2, telemetry.AlarmAcknowledged),
		alarm(t, "a", 1, telemetry.AlarmUnacknowledged), // late
		alarm(t, "a", 2, telemetry.AlarmUnacknowledged), // again
		alarm(t, "a", 3, telemetry.AlarmNormal),
		alarm(t, "a", 4, telemetry.AlarmUnacknowledged), // cleared is not final any more
		alert(t, "a", "d1", telemetry.AlertCleared, t0*2),
		alert(t, "b", "d1", telemetry.AlertCleared, t0), // from before an upgrade
		alarm(t, "b", 1, telemetry.AlarmNormal),
		alert(t, "b", "d1", telemetry.AlertActive, t0*2),
	} {
		p.ApplyAlert(a, true)
	}
	require.Equal(t, []string{"a active", "a cleared", "a active", "b cleared", "b cleared"}, r.alerts)
	require.Equal(t, int64(4), p.Alert("a").Revision)
	require.Equal(t, int64(1), p.Alert("b").Revision)
	require.Nil(t, p.Alert("c"))
	require.Equal(t, int64(4), p.Totals().Repeated)
}

func TestRecordsWithoutStateAreCompleted(t *testing.T) {
	a := alert(t, "a", "d1", telemetry.AlertActive, 7)
	require.Equal(t, telemetry.AlarmUnacknowledged, a.State)
	require.Equal(t, 2, a.Priority)
	require.Equal(t, int64(7), a.RaisedAt)
	require.True(t, a.NeedsAttention())
	require.Equal(t, telemetry.AlarmNormal, alert(t, "a", "d1", telemetry.AlertCleared, 7).State)
}

func TestAlarmsThatAreNotNormalAreAllKept(t *testing.T) {
	p, _ := newModel(Options{MaxAlerts: 3})
	for i := range 20 {
		p.ApplyAlert(alarm(t, fmt.Sprint("returned", i), 2, telemetry.AlarmReturned), true)
		p.ApplyAlert(alarm(t, fmt.Sprint("normal", i), 3, telemetry.AlarmNormal), true)
		p.ApplyAlert(alarm(t, fmt.Sprint("history", i), 1, telemetry.AlarmReturned, historical), true)
	}
	require.Equal(t, 20+3, p.kept())
	for i := range 300 { // comments to one that is over
		p.ApplyAlert(alarm(t, "normal19", int64(4+i), telemetry.AlarmNormal), true)
	}
	require.Equal(t, 20+3, p.kept())
	require.LessOrEqual(t, len(p.alerts.over), 2*3+101)
	p.ApplyAlert(alarm(t, "returned0", 3, telemetry.AlarmNormal), true)
	p.ApplyAlert(alarm(t, "returned0", 4, telemetry.AlarmUnacknowledged), true)
	require.Equal(t, 20+2, p.kept(), "one that was over is open again")
	p.ApplyAlert(alarm(t, "normal99", 3, telemetry.AlarmNormal), true)
	require.Equal(t, 20+3, p.kept())
	require.NotNil(t, p.Alert("returned0"))
}

func TestHistoricalAlarmsAreListedButNoNews(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	p.ApplyAlert(alarm(t, "h", 1, telemetry.AlarmUnacknowledged, historical), true)
	p.ApplyAlert(alarm(t, "h", 2, telemetry.AlarmReturned, historical), false)
	p.ApplyAlert(alarm(t, "a", 1, telemetry.AlarmUnacknowledged), true)
	p.ApplyAlert(alarm(t, "a", 2, telemetry.AlarmNormal, historical), true)
	p.AlertsCaughtUp()
	require.Equal(t, []string{"a active", "a cleared"}, r.alerts, "its end follows its start")
	require.Equal(t, 2, p.kept())
	require.Zero(t, p.Stats().Calling[1])
}

func TestWhatIsToldOfThePastGoesByTheState(t *testing.T) {
	p, _ := newModel(Options{})
	r := &recorder{}
	p.Observe(r)
	p.ApplyAlert(alarm(t, "returned", 2, telemetry.AlarmReturned), false)
	p.ApplyAlert(alarm(t, "normal", 3, telemetry.AlarmNormal), false)
	p.ApplyAlert(alarm(t, "open", 1, telemetry.AlarmUnacknowledged), true)
	p.ApplyAlert(alarm(t, "open", 3, telemetry.AlarmNormal), false) // the partition is read again
	require.Equal(t, []string{"open active", "open cleared"}, r.alerts)
	p.AlertsCaughtUp()
	require.Equal(t, []string{"open active", "open cleared", "returned cleared"}, r.alerts)
	p.View(func() {
		n := 0
		p.AllOpenAlerts(func(a *Alert) { n++; require.Equal(t, "returned", a.AlertID) })
		require.Equal(t, 1, n)
	})
}

func TestWhatIsPutAsideDoesNotCall(t *testing.T) {
	p, _ := newModel(Options{})
	p.ApplyState(telemetry.DeviceState{DeviceID: "d1", Location: telemetry.Location{Building: "A栋"}})
	for id, change := range map[string]func(*telemetry.Alert){"shelved": shelved, "suppressed": suppressed, "off": outOfUse} {
		p.ApplyAlert(alarm(t, id, 1, telemetry.AlarmUnacknowledged, change), true)
	}
	s := p.Stats()
	require.Zero(t, s.Calling[1])
	require.Zero(t, s.Active[1])
	require.Equal(t, 3, s.Aside)
	require.Zero(t, s.Buildings[0].Calling)
	p.View(func() {
		n, worst := p.Attention("d1")
		require.Zero(t, n)
		require.Empty(t, worst)
		open := 0
		p.OpenAlerts("d1", func(*Alert) { open++ })
		require.Equal(t, 3, open, "and yet they are shown")
	})
	p.ApplyAlert(alarm(t, "shelved", 2, telemetry.AlarmReturned), true)
	s = p.Stats()
	require.Equal(t, 1, s.Calling[1])
	require.Zero(t, s.Active[1])
	require.Equal(t, 1, s.Unseen)
	require.Equal(t, 1, s.Buildings[0].Calling)
}

func TestLedgerAndHeartbeatAreOneGateway(t *testing.T) {
	p, c := newModel(Options{})
	p.ApplyLedger(wire.GatewayLedger{Gateway: "g", Difference: 1})
	g := p.Gateways()[0]
	require.True(t, g.Silent(c.ms))
	require.Zero(t, g.HeardAt)
	c.ms += 1000
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "g", BufferBytes: 1, BufferLimit: 4})
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "h"})
	require.Len(t, p.Gateways(), 2)
	g = p.Gateways()[0]
	require.Equal(t, t0, g.LedgerAt)
	require.Equal(t, t0+1000, g.HeardAt)
	require.Equal(t, int64(1), g.Ledger.Difference)
	require.InDelta(t, 0.25, g.BufferUsed(), 0)
	for i := range maxGateways + 10 {
		p.ApplyHeartbeat(wire.GatewayStatus{Gateway: fmt.Sprint(i)})
	}
	require.Len(t, p.Gateways(), maxGateways)
	c.ms += quietAfter
	p.ApplyHeartbeat(wire.GatewayStatus{Gateway: "g"})
	for _, name := range []string{"late", "later"} {
		p.ApplyHeartbeat(wire.GatewayStatus{Gateway: name})
	}
	names := make(map[string]bool)
	for _, g := range p.Gateways() {
		names[g.Gateway] = true
	}
	require.Len(t, names, maxGateways)
	require.True(t, names["g"] && names["late"] && names["later"], "those that fell silent make room")
}
