package replay

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// hotReadings returns records of readings of one device, one a second.
func hotReadings(device string, from int64, temperatures ...float64) []kafkatest.Record {
	records := make([]kafkatest.Record, len(temperatures))
	for i, v := range temperatures {
		ts := from + int64(i)*1000
		records[i] = kafkatest.Record{
			Key: []byte(device), Timestamp: time.UnixMilli(ts),
			Value: fmt.Appendf(nil, `{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":3,"room":"301"},`+
				`"sensors":{"temperature":{"value":%g,"unit":"°C"}}}`, device, ts, v),
		}
	}
	return records
}

func newTopic(t *testing.T, partitions int32) (brokers []string, topic string) {
	t.Helper()
	brokers = kafkatest.Brokers(t)
	topic = kafkatest.Name(t, "device-data")
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: partitions}))
	return brokers, topic
}

func temperatures(n int, value float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = value
	}
	return v
}

// openTransaction writes records in a transaction that stays open until the test ends.
func openTransaction(t *testing.T, brokers []string, topic string, records []kafkatest.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(kafkatest.Name(t, "tx")))
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = cl.EndTransaction(context.WithoutCancel(t.Context()), kgo.TryAbort)
		cl.Close()
	})
	require.NoError(t, cl.BeginTransaction())
	for _, r := range records {
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}).FirstErr())
	}
}

// TestOpenTransactionMakesTheAnswerIncomplete has the newest readings in a transaction
// that stays open: both tools answer with the readings before it and report the gap.
func TestOpenTransactionMakesTheAnswerIncomplete(t *testing.T) {
	t.Parallel()
	brokers, topic := newTopic(t, 1)
	now := time.Now().UnixMilli()
	kafkatest.Produce(t, brokers, topic, 0, hotReadings("d1", now-60_000, 20, 81, 82, 83, 84)...)
	openTransaction(t, brokers, topic, hotReadings("d1", now-50_000, temperatures(maxMarkers+4, 85)...))
	rules := compile(t, hot(80))
	t.Run("dry run", func(t *testing.T) {
		t.Parallel()
		r, err := DryRun(t.Context(), Options{Cluster: kafka.At(brokers...), Topic: topic, Rules: rules})
		require.NoError(t, err)
		require.EqualValues(t, 5, r.Readings)
		require.Len(t, r.Raised, 1)
		require.Contains(t, r.Incomplete, "partition 0: range not read to its end")
	})
	t.Run("explanation", func(t *testing.T) {
		t.Parallel()
		e := &Explainer{
			Log: slog.New(slog.DiscardHandler), Cluster: kafka.At(brokers...), Topic: topic, ClientID: "test",
			Rules: func(*telemetry.Alert) *alarm.Rules { return rules },
		}
		a := play(t, rules, series(20, 81, 82, 83))
		a.Evidence = &telemetry.AlarmEvidence{Partition: 0, FirstOffset: 1, LastOffset: 3}
		x := e.explain(t.Context(), &a)
		require.Empty(t, x.Error)
		require.Len(t, x.Samples, 5)
		require.Contains(t, x.Incomplete, "still open")
	})
}

// TestDryRunMergesPartitionsByTime gives each device its own partition and the readings
// in the order in which core received them.
func TestDryRunMergesPartitionsByTime(t *testing.T) {
	brokers, topic := newTopic(t, 2)
	now := time.Now().UnixMilli()
	kafkatest.Produce(t, brokers, topic, 0, hotReadings("d1", now-60_000, 20, 81, 82, 83, 20, 20)...)
	kafkatest.Produce(t, brokers, topic, 1, hotReadings("d2", now-60_500, 91, 92, 93, 94)...)
	kafkatest.Produce(t, brokers, topic, 1, kafkatest.Record{Key: []byte("d2"), Value: []byte("poison"), Timestamp: time.UnixMilli(now)})
	rules := compile(t, hot(80))
	run := func(o Options) *Result {
		o.Cluster, o.Topic, o.Rules = kafka.At(brokers...), topic, rules
		r, err := DryRun(t.Context(), o)
		require.NoError(t, err)
		require.Empty(t, r.Incomplete)
		return r
	}
	all := run(Options{})
	require.EqualValues(t, 10, all.Readings)
	require.EqualValues(t, 1, all.Refused)
	require.Equal(t, 2, all.Devices)
	require.True(t, all.Sensors[telemetry.Temperature])
	require.Len(t, all.Raised, 2)
	require.Equal(t, "d2", all.Raised[0].DeviceID, "raised first")
	require.Equal(t, telemetry.AlertActive, all.Raised[0].Status)
	require.Equal(t, "d1", all.Raised[1].DeviceID)
	require.Equal(t, telemetry.AlertCleared, all.Raised[1].Status)

	require.EqualValues(t, 6, run(Options{Device: "d1"}).Readings)
	part := run(Options{From: now - 58_000, To: now - 56_000})
	require.EqualValues(t, 3, part.Readings, "d1 at -58 and -57 s, d2 at -57.5 s")
	require.Empty(t, part.Raised)
}

// TestReplayConvertsUnitsAsCoreDoes has 88 °F, which is no alarm above 80 °C, and 177 °F,
// which is.
func TestReplayConvertsUnitsAsCoreDoes(t *testing.T) {
	brokers, topic := newTopic(t, 1)
	now := time.Now().UnixMilli()
	records := hotReadings("d1", now-60_000, 68, 88, 177, 178, 179, 180)
	for i := range records {
		records[i].Value = bytes.ReplaceAll(records[i].Value, []byte(`"°C"`), []byte(`"°F"`))
		require.Contains(t, string(records[i].Value), "°F")
	}
	kafkatest.Produce(t, brokers, topic, 0, records...)
	rules := compile(t, hot(80))
	r, err := DryRun(t.Context(), Options{Cluster: kafka.At(brokers...), Topic: topic, Rules: rules, Sensors: sensors.Default()})
	require.NoError(t, err)
	require.EqualValues(t, 6, r.Readings)
	require.Len(t, r.Raised, 1)
	require.InDelta(t, 81.67, r.Raised[0].PeakValue, 0.01)

	e := &Explainer{
		Log: slog.New(slog.DiscardHandler), Cluster: kafka.At(brokers...), Topic: topic, ClientID: "test",
		Rules: func(*telemetry.Alert) *alarm.Rules { return rules },
	}
	a := r.Raised[0].Alert
	a.Evidence = &telemetry.AlarmEvidence{Partition: 0, FirstOffset: 2, LastOffset: 5}
	x := e.explain(t.Context(), &a)
	require.Empty(t, x.Error)
	require.Len(t, x.Samples, 6)
	require.InDelta(t, 31.11, *x.Samples[1].Values[0], 0.01)
}

// TestExplanationReadsNoMoreThanItMay: neither a plant with large records nor evidence that claims to be endless
// makes core read without bound.
func TestExplanationReadsNoMoreThanItMay(t *testing.T) {
	brokers, topic := newTopic(t, 1)
	now := time.Now().UnixMilli()
	own := hotReadings("d1", now-60_000, 20, 81, 82, 83, 84)
	size := len(own[0].Key) + len(own[0].Value)
	others := hotReadings("d2", now-60_000, temperatures(20, 20)...)
	kafkatest.Produce(t, brokers, topic, 0, own[0])
	kafkatest.Produce(t, brokers, topic, 0, others...)
	kafkatest.Produce(t, brokers, topic, 0, own[1:]...)
	kafkatest.Produce(t, brokers, topic, 0, others...)
	rules := compile(t, hot(80))
	a := play(t, rules, series(20, 81, 82, 83))
	a.Evidence = &telemetry.AlarmEvidence{Partition: 0, FirstOffset: 21, LastOffset: 23}
	explain := func(records int) wire.Explanation {
		e := &Explainer{
			Log: slog.New(slog.DiscardHandler), Cluster: kafka.At(brokers...), Topic: topic, ClientID: "test",
			Rules: func(*telemetry.Alert) *alarm.Rules { return rules }, MaxBytes: records * size,
		}
		x := e.explain(t.Context(), &a)
		require.Empty(t, x.Error)
		return x
	}
	x := explain(100)
	require.Len(t, x.Samples, 5)
	require.Empty(t, x.Incomplete)

	x = explain(30)
	require.Len(t, x.Samples, 4, "from the evidence on")
	require.Contains(t, x.Incomplete, "before the alarm are not shown")

	x = explain(3)
	require.Len(t, x.Samples, 3)
	require.Contains(t, x.Incomplete, "only the readings in the first")

	a.Evidence.LastOffset = math.MaxInt64 - 1
	require.Len(t, explain(3).Samples, 3)
}
