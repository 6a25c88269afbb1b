package replay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const t0 = int64(1_700_000_000_000)

func inputAt(device string, second int64, temperature float64) alarm.Input {
	r := &telemetry.Reading{DeviceID: device, Timestamp: t0 + second*1000}
	r.Sensors.Set(telemetry.Sensor{Name: telemetry.Temperature, Number: temperature, Unit: "°C"})
	return alarm.Input{Reading: r, Received: r.Timestamp, Partition: 3, Offset: 100 + second}
}

func series(values ...float64) []alarm.Input {
	in := make([]alarm.Input, len(values))
	for i, v := range values {
		in[i] = inputAt("d1", int64(i), v)
	}
	return in
}

func hot(limit float64) alarm.Rule {
	return alarm.Rule{
		ID: "hot", Severity: telemetry.SeverityHigh, OnDelay: 2 * time.Second, OffDelay: time.Second,
		If: alarm.Condition{Kind: alarm.High, Parameter: telemetry.Temperature, Limit: limit, Deadband: 2},
	}
}

func compile(t *testing.T, rules ...alarm.Rule) *alarm.Rules {
	t.Helper()
	rs, err := alarm.Compile(alarm.RuleSet{Rules: rules})
	require.NoError(t, err)
	return rs
}

// play returns the first alert that inputs raise.
func play(t *testing.T, rs *alarm.Rules, inputs []alarm.Input) telemetry.Alert {
	t.Helper()
	var s alarm.State
	var out []alarm.Transition
	for _, in := range inputs {
		s, out, _ = rs.Step(s, in, out)
	}
	require.NotEmpty(t, out)
	return out[0].Alert
}

func TestExplanation(t *testing.T) {
	rs := compile(t, hot(80))
	inputs := series(20, 81, 82, 83, 79, 70, 70)
	a := play(t, rs, inputs)
	x := explain(rs, a, inputs)
	require.Empty(t, x.Error)
	require.Empty(t, x.Incomplete)
	require.Equal(t, a.AlertID, x.AlertID)
	require.Equal(t, "hot", x.Rule)
	require.Equal(t, a.RuleVersion, x.RuleVersion)
	require.Equal(t, "- id: hot\n  kind: high\n  parameter: temperature\n  limit: 80\n  deadband: 2\n  on_delay: 2s\n  off_delay: 1s\n  severity: high\n", x.RuleText)
	require.EqualValues(t, 2000, x.OnDelayMS)
	require.EqualValues(t, 1000, x.OffDelayMS)
	require.Equal(t, []wire.Condition{{Parameter: "temperature", Operator: ">", Limit: 80, Deadband: 2, Unit: "°C", Kind: "high", SensorUnit: "°C"}}, x.Conditions)
	const normal, unseen, returned = telemetry.AlarmNormal, telemetry.AlarmUnacknowledged, telemetry.AlarmReturned
	sample := func(second int64, v float64, holds bool, pending int64, state telemetry.AlarmState, event telemetry.AlarmEvent) wire.Sample {
		return wire.Sample{Time: t0 + second*1000, Offset: 100 + second, Values: []*float64{&v}, Raw: []*float64{&v}, Holds: []bool{holds}, Pending: pending, State: state, Event: event}
	}
	require.Equal(t, []wire.Sample{
		sample(0, 20, false, 0, normal, ""),
		sample(1, 81, true, 0, normal, ""),
		sample(2, 82, true, 1000, normal, ""),
		sample(3, 83, true, 0, unseen, telemetry.EventRaised),
		sample(4, 79, true, 0, unseen, ""),
		sample(5, 70, false, 0, unseen, ""),
		sample(6, 70, false, 0, returned, telemetry.EventCleared),
	}, x.Samples)
}

func TestExplanationShowsWhoHadSeenIt(t *testing.T) {
	rs := compile(t, hot(80))
	inputs := series(81, 82, 83, 84, 20, 20)
	a := play(t, rs, inputs)
	a.Ack = &telemetry.Ack{By: "operator", At: t0 + 2500}
	x := explain(rs, a, inputs)
	require.Equal(t, telemetry.AlarmUnacknowledged, x.Samples[2].State)
	require.Equal(t, telemetry.AlarmAcknowledged, x.Samples[3].State)
	require.Equal(t, telemetry.AlarmNormal, x.Samples[5].State)
}

func TestExplanationOfARuleThatHasChanged(t *testing.T) {
	old := compile(t, hot(80))
	inputs := series(20, 81, 82, 83)
	a := play(t, old, inputs)
	for name, rs := range map[string]*alarm.Rules{"changed": compile(t, hot(95)), "gone": compile(t)} {
		x := explain(rs, a, inputs)
		require.Empty(t, x.Error, name)
		require.Empty(t, x.RuleText, name)
		require.Contains(t, x.Incomplete, "the rule hot has changed since", name)
		require.InDelta(t, 80, x.Conditions[0].Limit, 0, name)
		require.Equal(t, telemetry.EventRaised, x.Samples[3].Event, name)
	}
	a.Threshold.Operator = "="
	require.Contains(t, explain(compile(t), a, inputs).Error, "does not record its former limit")
}

func TestExplanationWithoutReadings(t *testing.T) {
	rs := compile(t, hot(80))
	inputs := series(20, 81, 82, 83)
	a := play(t, rs, inputs)
	require.Equal(t, "the readings are no longer in Kafka", explain(rs, a, nil).Incomplete)
	require.Contains(t, explain(rs, a, inputs[:2]).Incomplete, "do not show how it was raised")
	a.Source = telemetry.SourceWatchdog
	require.Contains(t, explain(rs, a, inputs).Error, "the watchdog")
	require.Equal(t, wire.NotByReadings, explain(rs, a, inputs).Why)
}

func TestExplanationOfOldReadings(t *testing.T) {
	rs := compile(t, hot(80))
	inputs := series(20, 81, 82, 83, 20, 20)
	for i := range inputs {
		inputs[i].Waited = 3_600_000
	}
	a := play(t, rs, inputs)
	require.True(t, a.Historical)
	x := explain(rs, a, inputs)
	require.Empty(t, x.Incomplete)
	require.Equal(t, telemetry.EventRaised, x.Samples[3].Event)
}

func TestExplanationOfOtherKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		cond   alarm.Condition
		inputs []alarm.Input
		want   wire.Condition
		value  float64 // of the last sample
	}{
		"rate": {
			alarm.Condition{Kind: alarm.Rate, Parameter: telemetry.Temperature, Limit: 10, Window: 4 * time.Second},
			series(50, 49, 48, 47, 46),
			wire.Condition{Parameter: "temperature", Operator: ">", Limit: 10, Unit: "°C/min", Kind: "rate", SensorUnit: "°C"},
			60,
		},
		"stuck": {
			alarm.Condition{Kind: alarm.Stuck, Parameter: telemetry.Temperature, For: 10 * time.Second},
			series(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
			wire.Condition{Parameter: "temperature", Operator: ">=", Limit: 10, Unit: "s", Kind: "stuck", SensorUnit: "°C"},
			10,
		},
	} {
		rs := compile(t, alarm.Rule{ID: "x", If: tt.cond})
		x := explain(rs, play(t, rs, tt.inputs), tt.inputs)
		require.Empty(t, x.Incomplete, name)
		require.Equal(t, []wire.Condition{tt.want}, x.Conditions, name)
		require.InDelta(t, tt.value, *x.Samples[len(x.Samples)-1].Values[0], 1e-9, name)
		require.InDelta(t, tt.inputs[len(tt.inputs)-1].Reading.Sensors.Find(telemetry.Temperature).Number, *x.Samples[len(x.Samples)-1].Raw[0], 0, name)
		require.Contains(t, explain(compile(t), play(t, rs, tt.inputs), tt.inputs).Error, "does not record its former limit", "10 is no limit on the value")
	}
}

// TestAnySensorIsExplained: also when its rule has changed since.
func TestAnySensorIsExplained(t *testing.T) {
	co2 := func(limit float64) *alarm.Rules {
		return compile(t, alarm.Rule{ID: "co2_high", If: alarm.Condition{Kind: alarm.High, Parameter: "co2", Limit: limit, Deadband: 0.01, Unit: "%"}})
	}
	var inputs []alarm.Input
	for i, v := range []float64{900, 1100, 1200} {
		in := series(20)[0]
		in.Reading.Timestamp, in.Received, in.Offset = t0+int64(i)*1000, t0+int64(i)*1000, 100+int64(i)
		in.Reading.Sensors = append(in.Reading.Sensors, telemetry.Sensor{Name: "co2", Number: v, Unit: "ppm"})
		inputs = append(inputs, in)
	}
	a := play(t, co2(0.1), inputs)
	x := explain(co2(0.1), a, inputs)
	require.Empty(t, x.Incomplete)
	require.Contains(t, x.RuleText, "parameter: co2\n  limit: 0.1\n  deadband: 0.01\n  unit: \"%\"\n")
	want := []wire.Condition{{Parameter: "co2", Operator: ">", Limit: 1000, Deadband: 100, Unit: "ppm", Kind: "high", SensorUnit: "ppm"}}
	require.Equal(t, want, x.Conditions)
	require.InDelta(t, 1100, *x.Samples[1].Values[0], 0)
	require.Equal(t, telemetry.EventRaised, x.Samples[1].Event)

	x = explain(co2(5), a, inputs)
	require.Contains(t, x.Incomplete, "has changed since")
	require.Equal(t, want, x.Conditions)
	require.Equal(t, telemetry.EventRaised, x.Samples[1].Event)
}
