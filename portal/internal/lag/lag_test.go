package lag

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// options returns those for a topic with three partitions.
func options(tb testing.TB, brokers []string) Options {
	tb.Helper()
	o := Options{Cluster: kafka.At(brokers...), Topic: kafkatest.Name(tb, "readings"), Group: kafkatest.Name(tb, "core"), Log: quiet, Registry: prometheus.NewRegistry()}
	ctx, cancel := context.WithTimeout(tb.Context(), waitTimeout)
	defer cancel()
	require.NoError(tb, kafka.EnsureTopics(ctx, quiet, kafka.At(brokers...), kafka.Topic{Name: o.Topic, Partitions: 3}))
	return o
}

func start(tb testing.TB, o Options) *Poller {
	tb.Helper()
	p, err := New(o)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it must end before the broker does
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
	})
	return p
}

// commit commits an offset of a partition for the group.
func commit(tb testing.TB, o Options, partition int32, offset int64) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), waitTimeout)
	defer cancel()
	client, err := kafka.NewClient(ctx, o.Cluster, kafka.Cluster{}.Settings("test"))
	require.NoError(tb, err)
	defer func() { _ = client.Close() }()
	coordinator, err := client.Coordinator(o.Group)
	require.NoError(tb, err)
	req := &sarama.OffsetCommitRequest{Version: 2, ConsumerGroup: o.Group, ConsumerGroupGeneration: -1, RetentionTime: -1} // of no member
	req.AddBlock(o.Topic, partition, offset, 0, "")
	resp, err := coordinator.CommitOffset(req)
	require.NoError(tb, err)
	require.Equal(tb, sarama.ErrNoError, resp.Errors[o.Topic][partition])
	require.Equal(tb, offset, kafkatest.Committed(tb, o.Cluster.Brokers, o.Group, o.Topic)[partition])
}

func produce(tb testing.TB, o Options, partition int32, n int) {
	tb.Helper()
	kafkatest.Produce(tb, o.Cluster.Brokers, o.Topic, partition, make([]kafkatest.Record, n)...)
}

// gauge returns the value of the only metric.
func gauge(tb testing.TB, o Options) float64 {
	tb.Helper()
	reg, ok := o.Registry.(*prometheus.Registry)
	require.True(tb, ok)
	families, err := reg.Gather()
	require.NoError(tb, err)
	require.Len(tb, families, 1)
	require.Equal(tb, "portal_kafka_lag_records", families[0].GetName())
	return families[0].GetMetric()[0].GetGauge().GetValue()
}

func TestNewNeedsItsParts(t *testing.T) {
	good := Options{Cluster: kafka.At("x:1"), Topic: "t", Group: "g", Log: quiet, Registry: prometheus.NewRegistry()}
	for name, change := range map[string]func(*Options){
		"Brokers": func(o *Options) { o.Cluster.Brokers = nil }, "Topic": func(o *Options) { o.Topic = "" }, "Group": func(o *Options) { o.Group = "" },
		"Log": func(o *Options) { o.Log = nil }, "Registry": func(o *Options) { o.Registry = nil },
	} {
		o := good
		change(&o)
		_, err := New(o)
		require.ErrorIs(t, err, errMissing, name)
	}
	_, err := New(good)
	require.NoError(t, err)
	_, err = New(good)
	require.Error(t, err, "its metric is registered already")
}

// TestLagIsWhatWasWrittenAndNotCommitted has one partition read in part, one read to its
// end and one of which the group has committed nothing: all of that one is lag.
func TestLagIsWhatWasWrittenAndNotCommitted(t *testing.T) {
	o := options(t, kafkatest.Brokers(t))
	produce(t, o, 0, 7)
	produce(t, o, 1, 4)
	produce(t, o, 2, 5)
	commit(t, o, 0, 5)
	commit(t, o, 1, 4)
	p := start(t, o)
	require.Eventually(t, func() bool { return p.Last() != nil }, waitTimeout, time.Millisecond)
	l := p.Last()
	require.Equal(t, []Partition{{Partition: 0, Lag: 2, end: 7}, {Partition: 1, end: 4}, {Partition: 2, Lag: 5, end: 5}}, l.Partitions)
	require.Equal(t, int64(7), l.Total)
	require.InDelta(t, time.Now().UnixMilli(), l.At, float64(waitTimeout.Milliseconds()))
	require.InDelta(t, 7, gauge(t, o), 0)
	commit(t, o, 2, 5)
	require.Eventually(t, func() bool { return p.Last() != nil && p.Last().Total == 2 }, waitTimeout, time.Millisecond, "it asks again")
	require.GreaterOrEqual(t, p.Last().At-l.At, every.Milliseconds(), "with a pause between the answers")
}

// TestAllIsLagBeforeCoreIsStarted has no group at all, as on the first day.
func TestAllIsLagBeforeCoreIsStarted(t *testing.T) {
	log := &logtest.Buffer{}
	o := options(t, kafkatest.Brokers(t))
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	produce(t, o, 1, 3)
	p := start(t, o)
	require.Eventually(t, func() bool { return p.Last() != nil }, waitTimeout, time.Millisecond)
	require.Equal(t, []Partition{{Partition: 0}, {Partition: 1, Lag: 3, end: 3}, {Partition: 2}}, p.Last().Partitions)
	require.Empty(t, log.String())
}

// TestCommitBeyondTheEndIsNoLag is a topic that was created again behind a group's commits.
func TestCommitBeyondTheEndIsNoLag(t *testing.T) {
	o := options(t, kafkatest.Brokers(t))
	produce(t, o, 1, 3)
	commit(t, o, 0, 50)
	p := start(t, o)
	require.Eventually(t, func() bool { return p.Last() != nil }, waitTimeout, time.Millisecond)
	require.Equal(t, []Partition{{Partition: 0}, {Partition: 1, Lag: 3, end: 3}, {Partition: 2}}, p.Last().Partitions)
	require.Equal(t, int64(3), p.Last().Total)
}

func TestFailureIsLoggedWithItsReason(t *testing.T) {
	good := options(t, kafkatest.Brokers(t))
	for reason, change := range map[string]func(*Options){
		"connecting to":         func(o *Options) { o.Cluster = kafka.At("127.0.0.1:1") },
		"looking up partitions": func(o *Options) { o.Topic = kafkatest.Name(t, "missing") },
		"":                      func(*Options) {},
	} {
		o, log := good, &logtest.Buffer{}
		o.Log, o.Registry = slog.New(slog.NewTextHandler(log, nil)), prometheus.NewRegistry()
		change(&o)
		p := start(t, o)
		if reason == "" {
			require.Eventually(t, func() bool { return p.Last() != nil }, waitTimeout, time.Millisecond)
			require.Empty(t, log.String())
			continue
		}
		require.Eventually(t, func() bool { return log.String() != "" }, waitTimeout, time.Millisecond)
		require.Contains(t, log.String(), "consumer lag unavailable, retrying", reason)
		require.Contains(t, log.String(), "component=lag")
		require.Contains(t, log.String(), reason)
		require.Nil(t, p.Last())
	}
}

func TestOldAnswerIsNone(t *testing.T) {
	o := Options{Cluster: kafka.At("x:1"), Topic: "t", Group: "g", Log: quiet, Registry: prometheus.NewRegistry()}
	p, err := New(o)
	require.NoError(t, err)
	require.Nil(t, p.Last())
	require.InDelta(t, -1, gauge(t, o), 0)
	p.last = &Lag{Total: 3, At: time.Now().UnixMilli()}
	require.Equal(t, int64(3), p.Last().Total)
	p.last = &Lag{Total: 3, At: time.Now().Add(-staleAfter - time.Millisecond).UnixMilli()}
	require.Nil(t, p.Last())
	p.last = &Lag{Total: 3, At: time.Now().Add(-staleAfter / 2).UnixMilli()}
	require.NotNil(t, p.Last())
}

func TestKafkaMayGoAwayAndComeBack(t *testing.T) {
	dir := t.TempDir()
	broker := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	o := options(t, []string{broker.Addr()})
	produce(t, o, 0, 2)
	commit(t, o, 0, 1)
	p := start(t, o)
	require.Eventually(t, func() bool { return p.Last() != nil }, waitTimeout, time.Millisecond)
	require.NoError(t, broker.Close())
	p.mu.Lock()
	p.last = nil
	p.mu.Unlock()
	kafkatest.Embedded(t, devkafka.Options{Addr: o.Cluster.Brokers[0], DataDir: dir})
	require.Eventually(t, func() bool { return p.Last() != nil && p.Last().Total == 1 }, waitTimeout, time.Millisecond)
}
