package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// TestReadCommittedSeesEveryCommittedRecordAndNoOther whatever is at the end: records, markers, aborted records, or a transaction of
// a producer that aborted one before.
func TestReadCommittedSeesEveryCommittedRecordAndNoOther(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	id := kafkatest.Name(t, "txn")
	sent := 0
	var want []string
	transact := func(n int, commit bool) {
		p, err := kafka.NewProducer(within(t), quiet(), kafka.Config{Cluster: kafka.At(brokers...)}, "test", id)
		require.NoError(t, err)
		require.NoError(t, p.Begin())
		for range n {
			value := fmt.Sprint(sent)
			sent++
			require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)}))
			if commit {
				want = append(want, value)
			}
		}
		_, err = p.Acknowledged(topic)
		require.NoError(t, err)
		if commit {
			require.NoError(t, p.Commit())
		}
		require.NoError(t, p.Close())
	}
	log, err := kafka.OpenLog(within(t), kafka.At(brokers...), topic, "test")
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	read := func(ctx context.Context) (got []string, err error) {
		first, end, err := log.Bounds(0)
		require.NoError(t, err)
		return got, log.ReadCommitted(ctx, 0, first, end, func(m *sarama.ConsumerMessage) error {
			got = append(got, string(m.Value))
			return nil
		})
	}
	for _, step := range []struct {
		n      int
		commit bool
	}{{3, true}, {20, false}, {1, true}, {1, false}, {40, false}, {2, true}} {
		transact(step.n, step.commit)
		got, err := read(within(t))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	open, err := kafka.NewProducer(within(t), quiet(), kafka.Config{Cluster: kafka.At(brokers...)}, "test", id)
	require.NoError(t, err)
	require.NoError(t, open.Begin())
	require.NoError(t, open.SendTo(0, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder("open")}))
	_, err = open.Acknowledged(topic)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(within(t), 2*time.Second)
	defer cancel()
	_, err = read(short)
	require.ErrorIs(t, err, context.DeadlineExceeded, "what is undecided is no end")
	require.NoError(t, open.Close())
	got, err := read(within(t))
	require.NoError(t, err)
	require.Equal(t, want, got)
}
