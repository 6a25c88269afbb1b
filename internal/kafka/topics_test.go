package kafka_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestEnsureTopicsCreatesWhatIsMissingAndLeavesTheRest(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	log := quiet()
	kept := newTopic(t, brokers, kafka.Topic{Partitions: 2})
	plain := kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 3}
	compacted := kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 1, Compacted: true, MaxMessageBytes: kafka.MaxRecordBytes}
	all := []kafka.Topic{{Name: kept, Partitions: 7, Compacted: true}, plain, compacted}
	for range 2 {
		require.NoError(t, kafka.EnsureTopics(within(t), log, brokers, all...))
	}
	admin, err := sarama.NewClusterAdmin(brokers, kafka.NewSettings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	topics, err := admin.ListTopics()
	require.NoError(t, err)
	require.EqualValues(t, 2, topics[kept].NumPartitions, "left as it was")
	require.EqualValues(t, 3, topics[plain.Name].NumPartitions)
	require.EqualValues(t, 1, topics[compacted.Name].NumPartitions)
	configOf := func(topic string) map[string]string {
		configs, err := admin.DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic}}, sarama.DescribeConfigsOptions{})
		require.NoError(t, err)
		require.Len(t, configs, 1)
		out := map[string]string{}
		for _, e := range configs[0].Configs {
			out[e.Name] = e.Value
		}
		return out
	}
	require.Equal(t, "delete", configOf(kept)["cleanup.policy"])
	require.Equal(t, "compact", configOf(compacted.Name)["cleanup.policy"])
	require.Equal(t, "4194304", configOf(compacted.Name)["max.message.bytes"])
}

func TestEnsureTopicsByManyAtOnce(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 4}
	results := make(chan error, 4)
	ctx := within(t)
	for range cap(results) {
		go func() { results <- kafka.EnsureTopics(ctx, quiet(), brokers, topic) }()
	}
	for range cap(results) {
		require.NoError(t, <-results)
	}
}

func TestEnsureTopicsWaitsForTheBroker(t *testing.T) {
	l := listen(t)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	topic := kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 1}
	require.ErrorIs(t, kafka.EnsureTopics(short, quiet(), []string{addr}, topic), context.DeadlineExceeded)

	result := make(chan error, 1)
	ctx := within(t)
	go func() { result <- kafka.EnsureTopics(ctx, quiet(), []string{addr}, topic) }()
	kafkatest.Embedded(t, devkafka.Options{Addr: addr})
	require.NoError(t, <-result)
}

func TestEnsureTopicsRefusedByTheBroker(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	err := kafka.EnsureTopics(within(t), quiet(), brokers, kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 0})
	require.ErrorIs(t, err, sarama.ErrInvalidPartitions)
	require.True(t, kafka.Permanent(err))
}

func TestSequencesStartAgainAfter31Bits(t *testing.T) {
	require.EqualValues(t, 7, kafka.NextSequence(2, 5))
	require.EqualValues(t, math.MaxInt32, kafka.NextSequence(math.MaxInt32-1, 1))
	require.EqualValues(t, 0, kafka.NextSequence(math.MaxInt32, 1))
	require.EqualValues(t, 4, kafka.NextSequence(math.MaxInt32-5, 10))
}
