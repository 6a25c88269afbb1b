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

func restore(t *testing.T, brokers []string, p *kafka.Producer, topic string) map[string]string {
	t.Helper()
	state, err := kafka.Restore(within(t), quiet(), kafka.At(brokers...), p, topic, 0)
	require.NoError(t, err)
	out := make(map[string]string, len(state))
	for k, v := range state {
		out[k] = string(v)
	}
	return out
}

func TestRestoreOfEmptyPartition(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	require.Empty(t, restore(t, brokers, p, topic))
	require.Empty(t, restore(t, brokers, p, topic), "again, with a fence in it")
}

func TestRestoreReturnsTheNewestValues(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 2, Compacted: true})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	commit(t, p, message(topic, "a", "1"), message(topic, "b", "1"), message(topic, "c", "1"))
	commit(t, p, message(topic, "a", "2"), message(topic, "b", ""), message(topic, "d", ""))
	require.NoError(t, p.Begin())
	require.NoError(t, p.SendTo(1, message(topic, "x", "another partition")))
	require.NoError(t, p.Commit())
	require.Equal(t, map[string]string{"a": "2", "c": "1"}, restore(t, brokers, p, topic))
}

func TestRestoreOfManyKeys(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	const n = 20_000
	want := make(map[string]string, n)
	for round := range 2 {
		require.NoError(t, p.Begin())
		for i := range n {
			k, v := fmt.Sprintf("key-%05d", i), fmt.Sprintf("%0100d", i+round)
			want[k] = v
			require.NoError(t, p.SendTo(0, message(topic, k, v)))
		}
		require.NoError(t, p.Commit())
	}
	require.Equal(t, want, restore(t, brokers, p, topic))
}

func TestRestoreSeesNothingOfAnAbortedTransaction(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true})
	id := kafkatest.Name(t, "tx")
	p := newProducer(t, brokers, id)
	commit(t, p, message(topic, "a", "1"))
	require.NoError(t, p.Begin())
	for range 4 {
		require.NoError(t, p.SendTo(0, message(topic, "a", big)))
	}
	// The owner dies here; the next one takes over its transactional id.
	next := newProducer(t, brokers, id)
	require.Equal(t, map[string]string{"a": "1"}, restore(t, brokers, next, topic))
}

func TestRestoreWaitsForAnotherProducersOpenTransaction(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true})
	other := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	require.NoError(t, other.Begin())
	for range 4 {
		require.NoError(t, other.SendTo(0, message(topic, "a", big)))
	}
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))

	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := kafka.Restore(short, quiet(), kafka.At(brokers...), p, topic, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded, "it is not decided yet")

	require.NoError(t, other.SendTo(0, message(topic, "a", "decided")))
	require.NoError(t, other.Commit())
	require.Equal(t, map[string]string{"a": "decided"}, restore(t, brokers, p, topic))
}

func TestRestoreWhereTheLogDoesNotStartAtZero(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	commit(t, p, message(topic, "old", "1"))
	deleteRecords(t, brokers, topic, -1)
	commit(t, p, message(topic, "new", "1"))
	require.Equal(t, map[string]string{"new": "1"}, restore(t, brokers, p, topic))
}

// deleteRecords moves the start of partition 0; -1 is its end.
func deleteRecords(t *testing.T, brokers []string, topic string, to int64) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	require.NoError(t, admin.DeleteRecords(topic, map[int32]int64{0: to}))
}

func TestRestoreFindsItsEndAgainWhenTheFenceIsGone(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	nonce := []byte("nonce")
	require.NoError(t, p.Fence(topic, 0, nonce))
	deleteRecords(t, brokers, topic, -1) // as compaction may
	commit(t, p, message(topic, "a", "1"))
	state, err := kafka.RestoreUpTo(within(t), kafka.At(brokers...), p, topic, 0, nonce)
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("1")}, state)
}

func TestRestoreByAFencedOwnerFails(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1, Compacted: true})
	id := kafkatest.Name(t, "tx")
	older := newProducer(t, brokers, id)
	newer := newProducer(t, brokers, id)
	require.Empty(t, restore(t, brokers, newer, topic))
	_, err := kafka.Restore(within(t), quiet(), kafka.At(brokers...), older, topic, 0)
	require.ErrorIs(t, err, kafka.ErrFenced)
}
