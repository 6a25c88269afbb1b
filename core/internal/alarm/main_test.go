package alarm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

const temperature, humidity, current = telemetry.Temperature, telemetry.Humidity, telemetry.Current

// builtIn is what the ALERT_* variables make.
func builtIn() RuleSet {
	return RuleSet{MaxWait: 5 * time.Minute, Rules: []Rule{
		{ID: "temperature_high", If: Condition{Kind: High, Parameter: temperature, Limit: 80, Deadband: 2}, Severity: telemetry.SeverityHigh},
		{ID: "temperature_low", If: Condition{Kind: Low, Parameter: temperature, Limit: 0, Deadband: 2}, Severity: telemetry.SeverityMedium},
		{ID: "current_high", If: Condition{Kind: High, Parameter: current, Limit: 10, Deadband: 0.5}, Severity: telemetry.SeverityCritical},
	}}
}

func compile(tb testing.TB, rules ...Rule) *Rules {
	tb.Helper()
	rs, err := Compile(RuleSet{MaxWait: 5 * time.Minute, Rules: rules})
	require.NoError(tb, err)
	return rs
}

func standard(tb testing.TB) *Rules {
	tb.Helper()
	return compile(tb, builtIn().Rules...)
}

// at is a reading of device d1 received when it was taken.
func at(ts int64, v float64) Input {
	r := &telemetry.Reading{DeviceID: "d1", Timestamp: ts, Location: telemetry.Location{Building: "A栋", Floor: 3, Room: "301"}}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: v, Unit: "°C"})
	return Input{Reading: r, Gateway: "gw-a", Received: ts, Partition: 7, Offset: (ts - t0) / 1000}
}

// series are readings a second apart.
func series(values ...float64) []Input {
	in := make([]Input, len(values))
	for i, v := range values {
		in[i] = at(t0+int64(i)*1000, v)
	}
	return in
}

// play runs inputs through rs from state s and returns the state and the whole journal.
func play(rs *Rules, s State, inputs ...Input) (State, []Transition) {
	var journal []Transition
	s = s.Clone() // tests play several times from one state
	for _, in := range inputs {
		s, journal, _ = rs.Step(s, in, journal)
	}
	return s, journal
}

// brief is a transition in short.
type brief struct {
	kind   string
	event  telemetry.AlarmEvent
	second int64
}

func briefs(journal []Transition) []brief {
	var out []brief
	for i := range journal {
		a := &journal[i].Alert
		out = append(out, brief{a.AlertType, a.Event, (a.Timestamp - t0) / 1000})
	}
	return out
}

func command(action telemetry.AlarmAction, id string, second int64) *telemetry.AlarmCommand {
	return &telemetry.AlarmCommand{
		CommandID: id, DeviceID: "d1", AlertType: "temperature_high", Action: action, By: "operator", At: t0 + second*1000,
	}
}

// do applies a command that is expected to be applied.
func do(t *testing.T, rs *Rules, s State, c *telemetry.AlarmCommand) (State, telemetry.Alert) {
	t.Helper()
	s, out, entry, keep := rs.Command(s, c, c.At, nil)
	require.Equal(t, telemetry.OutcomeApplied, entry.Outcome, entry.Reason)
	require.True(t, keep)
	require.Len(t, out, 1)
	require.Equal(t, entry, out[0].Audit)
	return s, out[0].Alert
}

// again is s after it was written and read back.
func again(t *testing.T, s State) State {
	t.Helper()
	data, err := s.Encode()
	require.NoError(t, err)
	back, err := DecodeState(data)
	require.NoError(t, err, string(data))
	return back
}
