package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

func offline(holds bool, since, now int64, parent string) Finding {
	return Finding{
		Device: "d1", Type: "device_offline", Holds: holds, Since: t0 + since*1000, Now: t0 + now*1000, Parent: parent,
		Threshold: telemetry.Threshold{Parameter: "last_seen", Operator: ">", Value: 30}, Value: float64(now - since), Gateway: "gw-a",
	}
}

// see applies findings one after the other.
func see(rs *Rules, s State, findings ...Finding) (State, []Transition) {
	var journal []Transition
	for _, f := range findings {
		s, journal, _ = rs.Apply(s, f, journal)
	}
	return s, journal
}

func TestFindingRaisesAndClears(t *testing.T) {
	rs := standard(t)
	s, journal := see(rs, State{}, offline(false, 0, 5, ""), offline(true, 10, 12, ""), offline(true, 10, 13, ""), offline(false, 20, 21, ""), offline(false, 20, 22, ""))
	require.Equal(t, []brief{{"device_offline", telemetry.EventRaised, 10}, {"device_offline", telemetry.EventCleared, 20}}, briefs(journal))
	a := journal[0].Alert
	require.Equal(t, AlertID("d1", "device_offline", t0+10_000), a.AlertID)
	require.Equal(t, telemetry.SourceWatchdog, a.Source)
	require.Equal(t, telemetry.SeverityMedium, a.Severity)
	require.Equal(t, "device offline", a.Message)
	require.Equal(t, telemetry.AlarmReturned, journal[1].Alert.State)

	_, journal = see(rs, s, offline(true, 30, 31, ""))
	require.Equal(t, []brief{{"device_offline", telemetry.EventRepeated, 30}}, briefs(journal))

	// Readings neither clear it nor are kept from raising what they find.
	s, _ = see(rs, State{}, offline(true, 10, 12, ""))
	s, journal = play(rs, s, at(t0+5000, 99))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventRaised, 5}}, briefs(journal))
	require.Equal(t, 2, s.Open())
}

func TestAlarmUnderAParentIsSuppressed(t *testing.T) {
	rs := standard(t)
	s, journal := see(rs, State{}, offline(true, 10, 12, "gw"))
	require.Len(t, journal, 1)
	require.Equal(t, &telemetry.Suppressed{ByAlarm: "gw", At: t0 + 10_000}, journal[0].Alert.Suppressed)
	require.Equal(t, "gw", journal[0].Alert.ParentAlarmID)

	// It comes back with its gateway: it was not announced, so it needs no acknowledgement.
	over, journal := see(rs, again(t, s), offline(false, 20, 20, "gw"))
	require.Len(t, journal, 1)
	require.Equal(t, telemetry.AlarmNormal, journal[0].Alert.State)
	require.Zero(t, over.Open())

	// It stays silent when the gateway is back.
	_, journal = see(rs, s, offline(true, 10, 100, "gw"), offline(true, 10, 130, ""), offline(true, 10, 131, ""))
	require.Equal(t, []brief{{"device_offline", telemetry.EventUnsuppressed, 130}}, briefs(journal))
	require.Nil(t, journal[0].Alert.Suppressed)

	// The gateway goes down after the device.
	_, journal = see(rs, State{}, offline(true, 10, 12, ""), offline(true, 10, 50, "gw"), offline(true, 10, 51, "gw"), offline(true, 10, 60, "gw2"))
	require.Equal(t, []brief{{"device_offline", telemetry.EventRaised, 10}, {"device_offline", telemetry.EventSuppressed, 50}, {"device_offline", telemetry.EventSuppressed, 60}}, briefs(journal))
}

func TestFindingThatGetsWorseEscalates(t *testing.T) {
	rs := standard(t)
	w := offline(true, 10, 12, "")
	worse := w
	worse.Severity, worse.Now, worse.Value, worse.Message = telemetry.SeverityCritical, t0+20_000, 99, "still nothing"
	s, journal := see(rs, State{}, w, worse, worse)
	require.Equal(t, []brief{{"device_offline", telemetry.EventRaised, 10}, {"device_offline", telemetry.EventEscalated, 20}}, briefs(journal))
	a, _ := s.Live("device_offline")
	require.Equal(t, 1, a.Priority)
	require.Equal(t, "still nothing", a.Message)
	require.InDelta(t, 99, a.PeakValue, 0)
}

func TestOfflineRuleDecidesWhetherAndWhen(t *testing.T) {
	rs := compile(t, Rule{ID: "device_offline", If: Condition{Kind: Offline}, OnDelay: time.Minute, Severity: telemetry.SeverityHigh, Where: Where{Devices: []string{"d*"}}})
	s, journal := see(rs, State{}, offline(true, 10, 69, ""), offline(true, 10, 70, ""))
	require.Equal(t, []brief{{"device_offline", telemetry.EventRaised, 70}}, briefs(journal))
	require.Equal(t, telemetry.SeverityHigh, journal[0].Alert.Severity)
	require.Equal(t, "device_offline", journal[0].Alert.Rule)

	elsewhere := offline(true, 10, 100, "")
	elsewhere.Device = "x1"
	_, journal = see(rs, State{}, elsewhere)
	require.Empty(t, journal)

	none := compile(t, Rule{ID: "device_offline", If: Condition{Kind: Offline}, Disabled: true})
	_, journal = see(none, s, offline(true, 10, 100, ""), offline(true, 10, 101, ""))
	require.Equal(t, []brief{{"device_offline", telemetry.EventCleared, 100}}, briefs(journal))
}

func TestCommands(t *testing.T) {
	rs := standard(t)
	active, _ := play(rs, State{}, series(20, 95)...)
	returned, _ := play(rs, active, at(t0+2000, 20))
	live, _ := active.Live("temperature_high")
	apply := func(s State, c *telemetry.AlarmCommand) (State, []Transition, telemetry.AuditEntry) {
		s, out, entry, keep := rs.Command(s, c, c.At, nil)
		require.True(t, keep)
		return s, out, entry
	}
	cmd := func(a telemetry.AlarmAction) *telemetry.AlarmCommand { return command(a, "c-"+string(a), 10) }

	t.Run("acknowledge", func(t *testing.T) {
		c := cmd(telemetry.ActionAcknowledge)
		c.Note, c.AlertID = "on my way", live.AlertID
		s, a := do(t, rs, active, c)
		require.Equal(t, telemetry.AlarmAcknowledged, a.State)
		require.Equal(t, &telemetry.Ack{By: "operator", At: c.At, Note: "on my way"}, a.Ack)
		require.Equal(t, telemetry.AlertActive, a.Status)
		require.EqualValues(t, 2, a.Revision)
		require.Equal(t, c.At, a.Timestamp)
		s, out, entry := apply(s, command(telemetry.ActionAcknowledge, "other", 11))
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
		require.Equal(t, "it is acknowledged already by operator", entry.Reason)
		s, journal := play(rs, s, at(t0+12_000, 20))
		require.Equal(t, telemetry.AlarmNormal, journal[0].Alert.State)
		require.Equal(t, "operator", journal[0].Alert.Ack.By, "who saw it is not lost")
		require.Zero(t, s.Open())
	})
	t.Run("acknowledge what returned", func(t *testing.T) {
		s, a := do(t, rs, returned, cmd(telemetry.ActionAcknowledge))
		require.Equal(t, telemetry.AlarmNormal, a.State)
		require.Equal(t, telemetry.AlertCleared, a.Status)
		_, out, entry := apply(s, command(telemetry.ActionAcknowledge, "again", 11))
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
	})
	t.Run("the same command twice", func(t *testing.T) {
		c := cmd(telemetry.ActionAcknowledge)
		s, _ := do(t, rs, active, c)
		s2, out, entry, keep := rs.Command(again(t, s), c, c.At+1000, nil)
		require.False(t, keep)
		require.Empty(t, out)
		require.Equal(t, telemetry.AuditEntry{}, entry)
		require.JSONEq(t, string(encode(t, s)), string(encode(t, s2)))
	})
	t.Run("another alarm was meant", func(t *testing.T) {
		c := cmd(telemetry.ActionAcknowledge)
		c.AlertID = "0123"
		s, out, entry := apply(active, c)
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeRefused, entry.Outcome)
		require.Equal(t, "that alarm is over; the present one is "+live.AlertID, entry.Reason)
		a, _ := s.Live("temperature_high")
		require.Equal(t, telemetry.AlarmUnacknowledged, a.State)
	})
	t.Run("no alarm", func(t *testing.T) {
		for _, a := range []telemetry.AlarmAction{telemetry.ActionAcknowledge, telemetry.ActionShelve, telemetry.ActionUnshelve, telemetry.ActionAssign, telemetry.ActionComment} {
			c := cmd(a)
			c.Note, c.Until = "x", c.At+1
			_, out, entry := apply(State{}, c)
			require.Empty(t, out)
			require.Equal(t, telemetry.OutcomeRefused, entry.Outcome)
			require.Equal(t, "there is no such alarm", entry.Reason)
		}
	})
	t.Run("shelve", func(t *testing.T) {
		c := cmd(telemetry.ActionShelve)
		c.Until, c.Note = t0+100_000, "sensor is being repaired"
		s, a := do(t, rs, active, c)
		require.Equal(t, &telemetry.Shelved{By: "operator", At: c.At, Until: t0 + 100_000, Reason: c.Note}, a.Shelved)
		require.Equal(t, t0+100_000, s.Due())
		s, _ = do(t, rs, s, command(telemetry.ActionAcknowledge, "a", 11))
		s, _ = play(rs, s, at(t0+12_000, 20), at(t0+20_000, 99))
		a, _ = s.Live("temperature_high")
		require.NotEqual(t, live.AlertID, a.AlertID)
		require.NotNil(t, a.Shelved, "the shelf outlives the incident")
		_, journal, _ := rs.Tick(again(t, s), t0+100_000, nil)
		require.Equal(t, []brief{{"temperature_high", telemetry.EventUnshelved, 100}}, briefs(journal))
		require.Nil(t, journal[0].Alert.Shelved)

		s, _ = do(t, rs, s, command(telemetry.ActionUnshelve, "u", 21))
		_, out, entry := apply(s, command(telemetry.ActionUnshelve, "u2", 22))
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
		_, _, entry, _ = rs.Command(active, c, c.Until, nil)
		require.Equal(t, "the time until which to shelve is past", entry.Reason)
	})
	t.Run("out of service", func(t *testing.T) {
		c := cmd(telemetry.ActionOutOfService)
		c.Note = "heater is off"
		s, out, entry := apply(State{}, c)
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeApplied, entry.Outcome)
		require.Equal(t, telemetry.EventOutOfService, entry.Event)
		require.False(t, s.Forgettable(t0+1e12, 1))
		s, journal := play(rs, again(t, s), at(t0+20_000, 99), at(t0+21_000, 20))
		require.Equal(t, "heater is off", journal[0].Alert.OutOfService.Reason)
		require.Equal(t, telemetry.AlarmNormal, journal[1].Alert.State, "it was not announced")
		_, out, entry = apply(s, command(telemetry.ActionOutOfService, "again", 22))
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
		s, out, entry = apply(s, command(telemetry.ActionInService, "in", 23))
		require.Empty(t, out)
		require.Equal(t, telemetry.EventInService, entry.Event)
		_, journal = play(rs, s, at(t0+30_000, 99))
		require.Nil(t, journal[0].Alert.OutOfService)

		s, a := do(t, rs, active, cmd(telemetry.ActionOutOfService))
		require.NotNil(t, a.OutOfService)
		_, a = do(t, rs, s, cmd(telemetry.ActionInService))
		require.Nil(t, a.OutOfService)
		_, _, entry = apply(active, cmd(telemetry.ActionInService))
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
	})
	t.Run("comment and assign", func(t *testing.T) {
		s := active
		var a telemetry.Alert
		for i := range maxComments + 3 {
			c := command(telemetry.ActionComment, "c"+string(rune('a'+i)), 10)
			c.Note = string(rune('a' + i))
			s, a = do(t, rs, s, c)
		}
		require.Len(t, a.Comments, maxComments)
		require.Equal(t, "k", a.Comments[maxComments-1].Text)
		c := cmd(telemetry.ActionAssign)
		c.Assignee = "night shift"
		s, a = do(t, rs, s, c)
		require.Equal(t, "night shift", a.Assignee)
		c.CommandID = "again"
		_, _, entry := apply(s, c)
		require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
	})
	t.Run("nonsense", func(t *testing.T) {
		_, out, entry := apply(active, cmd("explode"))
		require.Empty(t, out)
		require.Equal(t, telemetry.OutcomeRefused, entry.Outcome)
		require.Contains(t, entry.Reason, "action")
	})
}
