package kafkatest_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

func TestReadAllSeesWhatProduceWrote(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topics := kafkatest.Topics(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topics.Alerts, Partitions: 3}))
	require.Empty(t, kafkatest.ReadAll(t, brokers, topics.Alerts, 0, waitTimeout))
	const n = 20_000
	start := time.Now().Add(-time.Hour) // Kafka may drop what is older than its topic keeps
	records := make([]kafkatest.Record, n)
	for i := range records {
		records[i] = kafkatest.Record{
			Key: fmt.Append(nil, i%50), Value: fmt.Append(nil, i), Timestamp: start.Add(time.Duration(i) * time.Millisecond),
			Headers: []kgo.RecordHeader{{Key: "h", Value: fmt.Append(nil, i)}},
		}
	}
	kafkatest.Produce(t, brokers, topics.Alerts, -1, records...)
	kafkatest.Produce(t, brokers, topics.Alerts, 2, kafkatest.Record{Key: []byte("k")})
	got := kafkatest.ReadAll(t, brokers, topics.Alerts, n+1, waitTimeout)
	require.Len(t, got, n+1)
	last := got[n]
	require.EqualValues(t, 2, last.Partition)
	require.Nil(t, last.Value)
	require.Empty(t, last.Header("h"))
	for i, r := range got[:n] {
		require.Equal(t, string(r.Value), r.Header("h"))
		require.True(t, i == 0 || got[i-1].Partition < r.Partition || got[i-1].Offset < r.Offset)
	}
	require.Empty(t, kafkatest.Committed(t, brokers, kafkatest.Name(t, "group"), topics.Alerts))
}

func TestReadAllSeesCommittedRecordsAlone(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := kafkatest.Name(t, "topic")
	log := slog.New(slog.DiscardHandler)
	require.NoError(t, kafka.EnsureTopics(t.Context(), log, kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 1}))
	write := func(end func(p *kafka.Producer) error) {
		p, err := kafka.NewProducer(t.Context(), log, kafka.Config{Cluster: kafka.At(brokers...)}, "test", kafkatest.Name(t, "tx"))
		require.NoError(t, err)
		defer func() { _ = p.Close() }()
		require.NoError(t, p.Begin())
		for range 4 { // enough to be stored before the end
			require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(make([]byte, 600_000))}))
		}
		require.NoError(t, end(p))
	}
	write((*kafka.Producer).Close)
	write((*kafka.Producer).Commit)
	write((*kafka.Producer).Close)
	require.Len(t, kafkatest.ReadAll(t, brokers, topic, 4, waitTimeout), 4)
}

func TestTopicsAreUnique(t *testing.T) {
	a, b := kafkatest.Topics(t), kafkatest.Topics(t)
	require.NotEqual(t, a, b)
	require.NotContains(t, []string{a.DeviceData, a.Alerts, a.DeadLetters, a.Checkpoints, a.AlarmState, a.DeviceState}, "")
}
