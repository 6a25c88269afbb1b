package replay

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// TestDryRunComparesTheRuleInForceWithItsChange has two devices above the present limit and
// one above the new one.
func TestDryRunComparesTheRuleInForceWithItsChange(t *testing.T) {
	t.Parallel()
	brokers, topic := newTopic(t, 2)
	now := time.Now().UnixMilli()
	kafkatest.Produce(t, brokers, topic, 0, hotReadings("d1", now-60_000, 20, 81, 82, 83, 20, 20)...)
	kafkatest.Produce(t, brokers, topic, 1, hotReadings("d2", now-60_500, 91, 92, 93, 94)...)
	set := alarm.RuleSet{Catalogue: sensors.Default(), Rules: []alarm.Rule{
		{ID: "hot", Severity: telemetry.SeverityHigh, If: alarm.Condition{Kind: alarm.High, Parameter: "temperature", Limit: 80}},
		{ID: "damp", If: alarm.Condition{Kind: alarm.Low, Parameter: "temperature", Limit: 90}}, // another type: it does not count
	}}
	tester := &Tester{Log: slog.New(slog.DiscardHandler), Cluster: kafka.At(brokers...), Topic: topic, Rules: func() alarm.RuleSet { return set }}
	ask := func(q wire.DryRunRequest) *wire.DryRunAnswer {
		data, err := json.Marshal(q)
		require.NoError(t, err)
		return tester.answer(t.Context(), data)
	}
	limit := 90.0
	a := ask(wire.DryRunRequest{Rule: "hot", Change: &wire.RuleChange{Limit: &limit}})
	require.Empty(t, a.Problems)
	require.Empty(t, a.Error)
	require.Empty(t, a.Incomplete)
	require.Zero(t, a.HeldSince)
	require.Equal(t, 2, a.Before.Total)
	require.Equal(t, 1, a.Before.Active)
	require.Equal(t, 1, a.After.Total)
	require.Equal(t, "d2", a.After.Alarms[0].DeviceID)
	require.Contains(t, a.Text, "limit: 90")
	require.EqualValues(t, 10, a.Readings)
	require.Equal(t, now-60_500, a.From)

	other := ask(wire.DryRunRequest{YAML: "- id: hot\n  kind: high\n  parameter: temperature\n  limit: 82.5\n"})
	require.Equal(t, 2, other.After.Total)
	added := ask(wire.DryRunRequest{YAML: "- id: new\n  kind: high\n  parameter: temperature\n  limit: 93.5\n"})
	require.Zero(t, added.Before.Total)
	require.Equal(t, 1, added.After.Total)

	bad := ask(wire.DryRunRequest{YAML: "- id: hot\n  kind: high\n  parameter: temperature\n  limit: warm\n"})
	require.Equal(t, 4, bad.Problems[0].Line)
	require.Equal(t, "rules[0].limit", bad.Problems[0].Field)
	require.Equal(t, "rule", ask(wire.DryRunRequest{Rule: "gone"}).Problems[0].Field)
}

func TestDryRunEndsAtItsBounds(t *testing.T) {
	t.Parallel()
	brokers, topic := newTopic(t, 1)
	now := time.Now().UnixMilli()
	for _, d := range []string{"d1", "d2", "d3"} {
		kafkatest.Produce(t, brokers, topic, 0, hotReadings(d, now-60_000, 91, 92, 93, 94, 95)...)
	}
	r, err := DryRun(t.Context(), Options{Cluster: kafka.At(brokers...), Topic: topic, Rules: compile(t, hot(80)), MaxRaised: 2})
	require.NoError(t, err)
	require.True(t, r.Full)
	require.Len(t, r.Raised, 2)
	require.Less(t, r.Readings, int64(15))
}
