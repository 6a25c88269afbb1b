package alarm

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// maintain is a command at a second of the test that puts d1 under maintenance until another.
func maintain(id string, second, until int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: "d1", Action: telemetry.ActionMaintain, By: "Li", At: t0 + second*1000, Until: t0 + until*1000, Note: "new bearing",
	}
}

func endMaintenance(id string, second int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{CommandID: id, DeviceID: "d1", Action: telemetry.ActionEndMaintenance, By: "Wang", At: t0 + second*1000}
}

// hot is a rule without a deadband or delays.
func hot(t *testing.T) *Rules {
	t.Helper()
	return compile(t, Rule{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 80}},
		Rule{ID: "temperature_low", If: Condition{Kind: Low, Parameter: temperature, Limit: 10}})
}

func under(t *testing.T, rs *Rules, s State, c *telemetry.AlarmCommand) (State, []Transition) {
	t.Helper()
	var entry telemetry.AuditEntry
	s, out := rs.Maintain(s, c, c.At, &entry, nil)
	require.Equal(t, telemetry.OutcomeApplied, entry.Outcome, entry.Reason)
	return s, out
}

func TestAlarmsUnderMaintenanceCallNobody(t *testing.T) {
	rs := hot(t)
	s, _ := play(rs, State{}, at(t0, 85))
	s, out := under(t, rs, s, maintain("m1", 1, 60))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventShelved, 1}}, briefs(out), "the alarm that holds")
	require.Equal(t, &telemetry.Shelved{By: "Li", At: t0 + 1000, Until: t0 + 60_000, Reason: "new bearing", Maintenance: true}, out[0].Alert.Shelved)
	require.Equal(t, "new bearing", out[0].Audit.Note)
	s, out = play(rs, s, at(t0+2000, 50), at(t0+3000, 5))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventCleared, 2}, {"temperature_low", telemetry.EventRaised, 3}}, briefs(out))
	require.Equal(t, telemetry.AlarmReturned, out[0].Alert.State, "operators saw it before the maintenance")
	require.True(t, out[1].Alert.Shelved.Maintenance, "one that comes up is shelved from its first record on")
	s, out = play(rs, s, at(t0+4000, 50))
	require.Equal(t, telemetry.AlarmNormal, out[0].Alert.State, "nobody was called: nothing to acknowledge")
	require.NotNil(t, s.Maintenance())
	require.True(t, s.Keeps())
	require.False(t, s.Forgettable(t0+10*3_600_000, 1))
}

func TestMaintenanceEndsByItself(t *testing.T) {
	rs := hot(t)
	begin := func(inputs ...Input) (State, []Transition) {
		s, _ := under(t, rs, State{}, maintain("m1", 0, 60))
		return play(rs, s, inputs...)
	}
	unshelved := []brief{{"temperature_high", telemetry.EventUnshelved, 60}}
	t.Run("with a reading", func(t *testing.T) {
		s, _ := begin(at(t0+50_000, 85))
		s, out := play(rs, s, at(t0+61_000, 86))
		require.Equal(t, unshelved, briefs(out))
		require.Nil(t, out[0].Alert.Shelved)
		require.Equal(t, telemetry.AlarmUnacknowledged, out[0].Alert.State, "it holds and calls")
		require.Nil(t, s.Maintenance())
	})
	t.Run("by the clock", func(t *testing.T) {
		s, _ := begin(at(t0+50_000, 85))
		due := s.Due()
		require.Equal(t, t0+60_000+int64(tickGrace), due)
		s, out, _ := rs.Tick(s, due-1, nil)
		require.Empty(t, out)
		s, out, keep := rs.Tick(s, due, nil)
		require.True(t, keep)
		require.Equal(t, unshelved, briefs(out))
		require.Nil(t, s.Maintenance())
	})
	t.Run("without an alarm", func(t *testing.T) {
		s, _ := begin()
		s, out, keep := rs.Tick(s, s.Due(), nil)
		require.True(t, keep, "it must be persisted")
		require.Empty(t, out)
		require.Nil(t, s.Maintenance())
	})
	t.Run("at most a minute late for a device that is late", func(t *testing.T) {
		late := at(t0+50_000, 85)
		late.Received += 3_600_000
		s, _ := begin(late)
		require.Equal(t, t0+60_000+int64(tickGrace)+minute, s.Due())
		_, out, _ := rs.Tick(s, s.Due(), nil)
		require.Equal(t, unshelved, briefs(out))
	})
}

// TestEventTimeDecidesWhatIsUnderMaintenance: two readings, one taken before the end of the maintenance and
// one after it, give the same records however late they come.
func TestEventTimeDecidesWhatIsUnderMaintenance(t *testing.T) {
	rs := hot(t)
	var journals [][]Transition
	for _, waited := range []int64{0, 40_000} {
		s, _ := under(t, rs, State{}, maintain("m1", 0, 60))
		var journal []Transition
		for _, in := range []Input{at(t0+59_000, 85), at(t0+60_000, 50), at(t0+61_000, 85)} {
			in.Waited, in.Now = waited, t0+200_000
			s, journal, _ = rs.Step(s, in, journal)
		}
		require.NotNil(t, journal[0].Alert.Shelved)
		last := journal[len(journal)-1].Alert
		require.Equal(t, telemetry.EventRaised, last.Event)
		require.Nil(t, last.Shelved)
		journals = append(journals, journal)
	}
	require.Equal(t, journals[0], journals[1])
}

func TestMaintenanceEndsByHand(t *testing.T) {
	rs := hot(t)
	s, _ := under(t, rs, State{}, maintain("m1", 0, 60))
	s, _ = play(rs, s, at(t0+1000, 85))
	s, out := under(t, rs, s, endMaintenance("m2", 5))
	require.Equal(t, []brief{{"temperature_high", telemetry.EventUnshelved, 5}}, briefs(out))
	require.Equal(t, "Wang", out[0].Audit.By)
	require.Nil(t, out[0].Alert.Shelved)
	var entry telemetry.AuditEntry
	rs.Maintain(s, endMaintenance("m3", 6), t0+6000, &entry, nil)
	require.Equal(t, telemetry.OutcomeNothing, entry.Outcome)
}

func TestMaintenanceCommands(t *testing.T) {
	rs := hot(t)
	s, _ := play(rs, State{}, at(t0, 85))
	s, _ = under(t, rs, s, maintain("m1", 1, 60))
	for name, c := range map[string]struct {
		command *telemetry.AlarmCommand
		want    telemetry.Outcome
	}{
		"again":       {maintain("m2", 2, 60), telemetry.OutcomeNothing},
		"past":        {maintain("m3", 2, -5), telemetry.OutcomeRefused},
		"longer":      {maintain("m4", 2, 90), telemetry.OutcomeApplied},
		"another end": {endMaintenance("m5", 2), telemetry.OutcomeApplied},
	} {
		var entry telemetry.AuditEntry
		next, _ := rs.Maintain(s.Clone(), c.command, t0+2000, &entry, nil)
		require.Equal(t, c.want, entry.Outcome, name)
		if name == "longer" {
			m := next.Maintenance()
			require.Equal(t, []int64{t0 + 1000, t0 + 90_000}, []int64{m.At, m.Until}, "since when it has been under maintenance stays")
			require.Equal(t, m.Until, next.mem.Alarms[0].Shelved.Until)
		}
	}
	_, _, entry, _ := rs.Command(s, command(telemetry.ActionUnshelve, "c1", 3), t0+3000, nil)
	require.Equal(t, telemetry.OutcomeRefused, entry.Outcome)
	require.Contains(t, entry.Reason, "under maintenance until")
}

// TestShelvingByHandOutlivesMaintenance in both orders.
func TestShelvingByHandOutlivesMaintenance(t *testing.T) {
	rs := hot(t)
	shelve := command(telemetry.ActionShelve, "c1", 1)
	shelve.Until = t0 + 3_600_000
	for name, commands := range map[string]func(s State) State{
		"shelved before": func(s State) State {
			s, _ = do(t, rs, s, shelve)
			s, out := under(t, rs, s, maintain("m1", 2, 60))
			require.Empty(t, out)
			return s
		},
		"shelved meanwhile": func(s State) State {
			s, _ = under(t, rs, s, maintain("m1", 1, 60))
			s, _ = do(t, rs, s, shelve)
			return s
		},
	} {
		s, _ := play(rs, State{}, at(t0, 85))
		s, out := play(rs, commands(s), at(t0+61_000, 85))
		require.Empty(t, out, name)
		require.Nil(t, s.Maintenance(), name)
		require.Equal(t, shelve.Until, s.mem.Alarms[0].Shelved.Until, name)
	}
}

// TestUnshelvingLeavesTheMaintenance, by hand and at the end of the shelving.
func TestUnshelvingLeavesTheMaintenance(t *testing.T) {
	rs := hot(t)
	shelve := command(telemetry.ActionShelve, "c1", 1)
	shelve.Until = t0 + 10_000
	s, _ := play(rs, State{}, at(t0, 85))
	s, _ = do(t, rs, s, shelve)
	s, _ = under(t, rs, s, maintain("m1", 2, 60))
	_, out, _ := rs.Tick(s.Clone(), shelve.Until, nil)
	require.True(t, out[0].Alert.Shelved.Maintenance)
	_, alert := do(t, rs, s, command(telemetry.ActionUnshelve, "c2", 5))
	require.True(t, alert.Shelved.Maintenance)
}

// TestMaintenanceSurvivesARestart: a state that is written and read back goes on as the one it was.
func TestMaintenanceSurvivesARestart(t *testing.T) {
	rs := hot(t)
	s, _ := under(t, rs, State{}, maintain("m1", 0, 60))
	s, _ = play(rs, s, at(t0+1000, 85))
	inputs := []Input{at(t0+30_000, 50), at(t0+40_000, 85), at(t0+61_000, 85), at(t0+62_000, 50)}
	_, want := play(rs, s, inputs...)
	_, got := play(rs, again(t, s), inputs...)
	require.Equal(t, want, got)
	require.Len(t, want, 4)
}

// TestFormerVersionEndsMaintenanceInTime: a member of the former version that owns the device drops the
// maintenance and takes its shelvings for those by hand. They end when the maintenance would have.
func TestFormerVersionEndsMaintenanceInTime(t *testing.T) {
	rs := hot(t)
	s, _ := play(rs, State{}, at(t0, 85))
	s, _ = under(t, rs, s, maintain("m1", 1, 60))
	var former written
	require.NoError(t, json.Unmarshal(encode(t, s), &former))
	former.Maintenance = nil
	former.Alarms[0].Shelved.Maintenance = false
	data, err := json.Marshal(former)
	require.NoError(t, err)
	s, err = DecodeState(data)
	require.NoError(t, err)
	require.Nil(t, s.Maintenance())
	_, out, _ := rs.Tick(s, t0+60*int64(time.Second/time.Millisecond), nil)
	require.Equal(t, []brief{{"temperature_high", telemetry.EventUnshelved, 60}}, briefs(out))
}

// shelved checks that while a device is under maintenance all its alarms are shelved that were raised
// before its end, and no alarm is shelved by a maintenance that is over.
func shelved(t *testing.T, s State) {
	t.Helper()
	m := s.Maintenance()
	for i := range s.open() {
		a := &s.mem.Alarms[i]
		switch byIt := a.Shelved != nil && a.Shelved.Maintenance; {
		case a.Past && byIt, m == nil && byIt, byIt && a.State != telemetry.AlarmNormal && a.Shelved.Until != m.Until:
			t.Fatalf("%s: shelved by a maintenance that is not", a.AlertType)
		case m != nil && !a.Past && a.State != telemetry.AlarmNormal && a.Shelved == nil && a.Since < m.Until:
			t.Fatalf("%s: calls although its device is under maintenance", a.AlertType)
		}
	}
}

// maintain begins, changes or ends the maintenance of the device.
func (w *world) maintain(now int64) {
	w.n++
	c := &telemetry.AlarmCommand{
		CommandID: fmt.Sprint("m", w.n), DeviceID: "d1", Action: telemetry.ActionMaintain, By: "operator", At: now, Note: "note",
		Until: now + w.rnd.Int64N(60_000) + 1,
	}
	if w.rnd.IntN(3) == 0 {
		c.Action, c.Until = telemetry.ActionEndMaintenance, 0
	}
	var entry telemetry.AuditEntry
	w.s, w.journal = w.rs.Maintain(w.s, c, now, &entry, w.journal)
	require.NotEmpty(w.t, entry.Outcome)
}
