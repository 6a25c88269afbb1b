package alarm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
)

// TestRemovalClosesEachAlarmOnce covers the states that an alarm can be in.
func TestRemovalClosesEachAlarmOnce(t *testing.T) {
	type steps func(t *testing.T, rs *Rules, s State) State
	hot := func(t *testing.T, rs *Rules, s State) State {
		t.Helper()
		s, _ = play(rs, s, series(20, 99)...)
		return s
	}
	then := func(action telemetry.AlarmAction) steps {
		return func(t *testing.T, rs *Rules, s State) State {
			t.Helper()
			c := command(action, "c-"+string(action), 2)
			if action == telemetry.ActionShelve {
				c.Until = t0 + 3_600_000
			}
			s, _ = do(t, rs, s, c)
			return s
		}
	}
	cool := func(t *testing.T, rs *Rules, s State) State {
		t.Helper()
		s, _ = play(rs, s, at(t0+3000, 20))
		return s
	}
	for name, c := range map[string]struct {
		steps   []steps
		from    telemetry.AlarmState
		cleared int64 // second
		silent  bool  // nothing to close
	}{
		"nothing":           {silent: true},
		"holds":             {steps: []steps{hot}, from: telemetry.AlarmUnacknowledged, cleared: 60},
		"acknowledged":      {steps: []steps{hot, then(telemetry.ActionAcknowledge)}, from: telemetry.AlarmAcknowledged, cleared: 60},
		"returned":          {steps: []steps{hot, cool}, from: telemetry.AlarmReturned, cleared: 3},
		"shelved":           {steps: []steps{hot, then(telemetry.ActionShelve)}, from: telemetry.AlarmUnacknowledged, cleared: 60},
		"over, shelved":     {steps: []steps{hot, then(telemetry.ActionShelve), then(telemetry.ActionAcknowledge), cool}, from: telemetry.AlarmNormal, cleared: 3},
		"over":              {steps: []steps{hot, then(telemetry.ActionAcknowledge), cool}, silent: true},
		"out of service":    {steps: []steps{hot, then(telemetry.ActionOutOfService)}, from: telemetry.AlarmUnacknowledged, cleared: 60},
		"restored and open": {steps: []steps{hot, func(t *testing.T, _ *Rules, s State) State { t.Helper(); return again(t, s) }}, from: telemetry.AlarmUnacknowledged, cleared: 60},
	} {
		t.Run(name, func(t *testing.T) {
			rs, s := standard(t), State{}
			for _, do := range c.steps {
				s = do(t, rs, s)
			}
			before := again(t, s)
			out := Remove(s, Removal{Device: "d1", By: "operator", Note: "scrapped", Message: "the device was removed", Now: t0 + 60_000}, nil)
			require.Equal(t, before, again(t, s), "states are values")
			if c.silent {
				require.Empty(t, out)
				return
			}
			require.Len(t, out, 1)
			a, was := out[0].Alert, s.mem.Alarms[0].Alert
			require.Equal(t, telemetry.EventRemoved, a.Event)
			require.Equal(t, telemetry.AlarmNormal, a.State)
			require.Equal(t, telemetry.AlertCleared, a.Status)
			require.Equal(t, was.AlertID, a.AlertID)
			require.Equal(t, was.Revision+1, a.Revision)
			require.Equal(t, t0+c.cleared*1000, a.ClearedAt)
			require.Equal(t, "the device was removed", a.Message)
			require.Nil(t, a.Shelved)
			last := a.History[len(a.History)-1]
			require.Equal(t, telemetry.AlarmChange{At: t0 + 60_000, Event: telemetry.EventRemoved, State: telemetry.AlarmNormal, By: "operator", Note: "scrapped"}, last)
			require.Equal(t, telemetry.AuditEntry{
				Time: t0 + 60_000, DeviceID: "d1", AlertType: "temperature_high", AlertID: a.AlertID, Building: "A栋", Rule: "temperature_high", Revision: a.Revision,
				Event: telemetry.EventRemoved, From: c.from, To: telemetry.AlarmNormal, By: "operator", Note: "scrapped",
			}, out[0].Audit)
		})
	}
}

// TestRemovalRecordsUnconfirmedIncidentAsHistory removes a device whose alarm, found in old
// readings, was not announced yet.
func TestRemovalRecordsUnconfirmedIncidentAsHistory(t *testing.T) {
	rs := standard(t)
	in := at(t0, 99)
	in.Waited, in.Received = 3_600_000, t0+1000
	s, out := play(rs, State{}, in)
	require.Empty(t, out)
	out = Remove(s, Removal{Device: "d1", Message: "removed", Now: t0 + 3_700_000}, nil)
	require.Len(t, out, 2)
	require.Equal(t, telemetry.EventRaised, out[0].Alert.Event)
	require.Equal(t, telemetry.EventCleared, out[1].Alert.Event)
	require.True(t, out[1].Alert.Historical)
}

func TestWhatKeepsASilentDevice(t *testing.T) {
	rs := standard(t)
	quiet, _ := play(rs, State{}, series(20, 21)...)
	require.False(t, State{}.Keeps())
	require.False(t, quiet.Keeps())
	silent, _, _ := rs.Apply(quiet, offline(true, 2, 2, ""), nil)
	require.Equal(t, 1, silent.Open())
	require.False(t, silent.Keeps(), "its silence is why it is forgotten")
	hot, _ := play(rs, quiet, at(t0+3000, 99))
	require.True(t, hot.Keeps())
	returned, _ := play(rs, hot, at(t0+4000, 20))
	require.True(t, returned.Keeps(), "no operator has seen it")
	seen, _ := do(t, rs, returned, command(telemetry.ActionAcknowledge, "c1", 5))
	require.False(t, seen.Keeps())
	out, _, _, _ := rs.Command(quiet, command(telemetry.ActionOutOfService, "c2", 5), t0+5000, nil)
	require.True(t, out.Keeps(), "an operator's decision")
}
