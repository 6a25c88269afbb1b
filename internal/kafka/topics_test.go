package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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
		require.NoError(t, kafka.EnsureTopics(within(t), log, kafka.At(brokers...), all...))
	}
	topics := listTopics(t, brokers)
	require.EqualValues(t, 2, topics[kept].NumPartitions, "left as it was")
	require.EqualValues(t, 3, topics[plain.Name].NumPartitions)
	require.EqualValues(t, 1, topics[compacted.Name].NumPartitions)
	require.Equal(t, "delete", configOf(t, brokers, kept)["cleanup.policy"])
	require.Equal(t, "compact", configOf(t, brokers, compacted.Name)["cleanup.policy"])
	require.Equal(t, "4194304", configOf(t, brokers, compacted.Name)["max.message.bytes"])
}

func newAdmin(t *testing.T, brokers []string) sarama.ClusterAdmin {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	return admin
}

func listTopics(t *testing.T, brokers []string) map[string]sarama.TopicDetail {
	t.Helper()
	topics, err := newAdmin(t, brokers).ListTopics()
	require.NoError(t, err)
	return topics
}

// configOf returns the settings of a topic.
func configOf(t *testing.T, brokers []string, topic string) map[string]string {
	t.Helper()
	found, err := newAdmin(t, brokers).DescribeConfigs([]*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic}}, sarama.DescribeConfigsOptions{})
	require.NoError(t, err)
	require.Len(t, found, 1)
	out := map[string]string{}
	for _, e := range found[0].Configs {
		out[e.Name] = e.Value
	}
	return out
}

func TestTopicsHaveThePartitionsOfTheTopicTheyFollow(t *testing.T) {
	for _, given := range []int32{0, 4, 20} {
		t.Run(fmt.Sprint(given), func(t *testing.T) {
			brokers := kafkatest.Brokers(t)
			data := kafka.Topic{Name: kafkatest.Name(t, "data"), Partitions: 5}
			want := data.Partitions
			if given > 0 {
				want = given
				require.NoError(t, kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), kafka.Topic{Name: data.Name, Partitions: given}))
			}
			a, b := kafka.Topic{Name: kafkatest.Name(t, "a"), Like: &data}, kafka.Topic{Name: kafkatest.Name(t, "b"), Like: &data, Compacted: true}
			require.NoError(t, kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), a, b, data))
			topics := listTopics(t, brokers)
			for _, name := range []string{data.Name, a.Name, b.Name} {
				require.Equal(t, want, topics[name].NumPartitions, name)
			}
		})
	}
}

func TestKeptTopicIsCreatedWithoutRetention(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, KeepForever: true})
	settings := configOf(t, brokers, topic)
	require.Equal(t, "-1", settings["retention.ms"])
	require.Equal(t, "-1", settings["retention.bytes"])
	require.Equal(t, "delete", settings["cleanup.policy"])
	require.NotContains(t, ensureLogged(t, brokers, topic), "retention")
}

func TestLimitedRetentionOfAKeptTopicIsReported(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := kafkatest.Name(t, "topic")
	week := "604800000"
	require.NoError(t, newAdmin(t, brokers).CreateTopic(topic, &sarama.TopicDetail{
		NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: map[string]*string{"retention.ms": &week},
	}, false))
	logged := ensureLogged(t, brokers, topic)
	for _, part := range []string{"level=WARN", "topic=" + topic, "setting=retention.ms value=604800000 want=-1", "kept for ever"} {
		require.Contains(t, logged, part)
	}
	require.Equal(t, week, configOf(t, brokers, topic)["retention.ms"], "left as it was")
}

// ensureLogged returns the log of ensuring a topic that is to be kept.
func ensureLogged(t *testing.T, brokers []string, topic string) string {
	t.Helper()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	require.NoError(t, kafka.EnsureTopics(within(t), log, kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 1, KeepForever: true}))
	return out.String()
}

func TestEnsureTopicsByManyAtOnce(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 4}
	results := make(chan error, 4)
	ctx := within(t)
	for range cap(results) {
		go func() { results <- kafka.EnsureTopics(ctx, quiet(), kafka.At(brokers...), topic) }()
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
	require.ErrorIs(t, kafka.EnsureTopics(short, quiet(), kafka.At(addr), topic), context.DeadlineExceeded)

	result := make(chan error, 1)
	ctx := within(t)
	go func() { result <- kafka.EnsureTopics(ctx, quiet(), kafka.At(addr), topic) }()
	kafkatest.Embedded(t, devkafka.Options{Addr: addr})
	require.NoError(t, <-result)
}

func TestEnsureTopicsRefusedByTheBroker(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	err := kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), kafka.Topic{Name: kafkatest.Name(t, "topic"), Partitions: 0})
	require.ErrorIs(t, err, sarama.ErrInvalidPartitions)
	require.True(t, kafka.Permanent(err))
}

func TestSequencesStartAgainAfter31Bits(t *testing.T) {
	require.EqualValues(t, 7, kafka.NextSequence(2, 5))
	require.EqualValues(t, math.MaxInt32, kafka.NextSequence(math.MaxInt32-1, 1))
	require.EqualValues(t, 0, kafka.NextSequence(math.MaxInt32, 1))
	require.EqualValues(t, 4, kafka.NextSequence(math.MaxInt32-5, 10))
}

func TestTopicIDIsThatOfOneTopic(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	name := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	first, err := kafka.TopicID(within(t), kafka.At(brokers...), name)
	require.NoError(t, err)
	require.NotEqual(t, sarama.Uuid{}.String(), first)
	again, err := kafka.TopicID(within(t), kafka.At(brokers...), name)
	require.NoError(t, err)
	require.Equal(t, first, again)

	client, err := kafka.NewClient(t.Context(), kafka.At(brokers...), kafka.At(brokers...).Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, kafka.SameTopic(client, name, first))

	kafkatest.DeleteTopic(t, brokers, name)
	_, err = kafka.TopicID(within(t), kafka.At(brokers...), name)
	require.ErrorIs(t, err, sarama.ErrUnknownTopicOrPartition)
	require.NoError(t, kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), kafka.Topic{Name: name, Partitions: 1}))
	made, err := kafka.TopicID(within(t), kafka.At(brokers...), name)
	require.NoError(t, err)
	require.NotEqual(t, first, made, "made again under the same name")
	require.ErrorIs(t, kafka.SameTopic(client, name, first), kafka.ErrMadeAgain)
}

func TestTopicIDStaysWhenTheEmbeddedBrokerStartsAgain(t *testing.T) {
	dir := t.TempDir()
	var ids []string
	for range 2 {
		b, err := devkafka.Start(devkafka.Options{Addr: "127.0.0.1:0", DataDir: dir, Log: quiet()})
		require.NoError(t, err)
		brokers := []string{b.Addr()}
		require.NoError(t, kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), kafka.Topic{Name: "kept", Partitions: 1}))
		id, err := kafka.TopicID(within(t), kafka.At(brokers...), "kept")
		require.NoError(t, err)
		ids = append(ids, id)
		require.NoError(t, b.Close())
	}
	require.Equal(t, ids[0], ids[1])
}
