package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestSettingsKeepThePromises(t *testing.T) {
	c := kafka.Cluster{}.Settings("test")
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
	c := kafka.Cluster{}.Settings("test")
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
	require.NoError(t, kafka.Config{Cluster: kafka.At("127.0.0.1:9092", "[::1]:9092", "kafka:9092")}.Check())
	require.ErrorContains(t, kafka.Config{}.Check(), "KAFKA_BROKERS is empty")
	for _, bad := range []string{"", "kafka", ":9092", "kafka:"} {
		require.ErrorContains(t, kafka.Config{Cluster: kafka.At("kafka:9092", bad)}.Check(), "KAFKA_BROKERS: \""+bad+"\"")
	}
}

// TestBatchesAreCompressedAsConfigured reads the codec from the batches that the broker stored.
func TestBatchesAreCompressedAsConfigured(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	value := strings.Repeat(string(reading(1)), 20)
	const noCompression, snappy, lz4, zstd = 0, 2, 3, 4 // Kafka's protocol, attributes of a record batch
	for c, want := range map[kafka.Compression]uint8{
		"": zstd, kafka.Zstd: zstd, kafka.LZ4: lz4, kafka.Snappy: snappy, kafka.None: noCompression,
	} {
		t.Run(string(c), func(t *testing.T) {
			topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
			config := kafka.Config{Cluster: kafka.At(brokers...), Compression: c}
			require.NoError(t, config.Check())
			p, err := kafka.NewProducer(within(t), quiet(), config, "test", kafkatest.Name(t, "tx"))
			require.NoError(t, err)
			t.Cleanup(func() { _ = p.Close() })
			commit(t, p, message(topic, "k", value))
			client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic))
			require.NoError(t, err)
			t.Cleanup(client.Close)
			fetched := client.PollFetches(within(t))
			require.NoError(t, fetched.Err())
			record := fetched.Records()[0]
			require.Equal(t, value, string(record.Value))
			require.Equal(t, want, record.Attrs.CompressionType())
		})
	}
	require.ErrorContains(t, kafka.Config{Cluster: kafka.At(brokers...), Compression: "gzip"}.Check(), "KAFKA_COMPRESSION=gzip: want zstd")
}

// TestSaramaMeasuresNothing would see the goroutine of sarama's meters in goleak too.
func TestSaramaMeasuresNothing(t *testing.T) {
	require.IsType(t, metrics.NilMeter{}, metrics.GetOrRegisterMeter("any", kafka.Cluster{}.Settings("test").MetricRegistry))
}
