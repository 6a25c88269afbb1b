package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
)

func TestSettingsKeepThePromises(t *testing.T) {
	c := kafka.NewSettings("test")
	require.NoError(t, c.Validate())
	require.Equal(t, sarama.ReadCommitted, c.Consumer.IsolationLevel)
	require.Equal(t, sarama.OffsetOldest, c.Consumer.Offsets.Initial)
	require.Equal(t, sarama.WaitForAll, c.Producer.RequiredAcks)
	require.False(t, c.Consumer.Offsets.AutoCommit.Enable)
	require.False(t, c.Metadata.AllowAutoTopicCreation)
	require.Equal(t, 5*time.Second, c.Net.DialTimeout)
	require.Equal(t, 15*time.Second, c.Net.WriteTimeout)
	require.Equal(t, 250*time.Second, time.Duration(c.Metadata.Retry.Max)*c.Metadata.Retry.Backoff, "outages are ridden out")
	require.Equal(t, kafka.MaxRecordBytes, c.Producer.MaxMessageBytes)
	require.Equal(t, 10*time.Second, c.Consumer.Group.Session.Timeout)
	require.Equal(t, time.Second, c.Consumer.Group.Heartbeat.Interval)
	require.Equal(t, "test", c.ClientID)
	require.True(t, c.Consumer.Return.Errors)
	require.Greater(t, c.Net.ReadTimeout, c.Consumer.Group.Rebalance.Timeout, "joining waits for the others")
}

func TestRetriesDoNotPauseWhenTheirTimeIsOver(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	c := kafka.NewSettings("test")
	kafka.Bind(ctx, c)
	for name, pause := range map[string]func(int, int) time.Duration{
		"metadata": c.Metadata.Retry.BackoffFunc, "transactions": c.Producer.Transaction.Retry.BackoffFunc,
	} {
		require.Positive(t, pause(1, 50), name)
	}
	end()
	require.Zero(t, c.Metadata.Retry.BackoffFunc(1, 50))
	require.Zero(t, c.Producer.Transaction.Retry.BackoffFunc(1, 50))
}

func TestBrokersHaveToBeAddresses(t *testing.T) {
	require.NoError(t, kafka.Config{Brokers: []string{"127.0.0.1:9092", "[::1]:9092", "kafka:9092"}}.Check())
	require.ErrorContains(t, kafka.Config{}.Check(), "KAFKA_BROKERS is empty")
	for _, bad := range []string{"", "kafka", ":9092", "kafka:"} {
		require.ErrorContains(t, kafka.Config{Brokers: []string{"kafka:9092", bad}}.Check(), "KAFKA_BROKERS: \""+bad+"\"")
	}
}

// TestSaramaMeasuresNothing would see the goroutine of sarama's meters in goleak too.
func TestSaramaMeasuresNothing(t *testing.T) {
	require.IsType(t, metrics.NilMeter{}, metrics.GetOrRegisterMeter("any", kafka.NewSettings("test").MetricRegistry))
}
