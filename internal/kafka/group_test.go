package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// member is a consumer group handler that shows its membership.
type member struct {
	joined chan sarama.ConsumerGroupSession
}

func (m member) Setup(s sarama.ConsumerGroupSession) error { m.joined <- s; return nil }
func (member) Cleanup(sarama.ConsumerGroupSession) error   { return nil }
func (member) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}

// join makes a member of the group and returns its metadata. It stays until the test ends.
func join(t *testing.T, brokers []string, group, topic string) *sarama.ConsumerGroupMetadata {
	t.Helper()
	return sarama.NewConsumerGroupMetadataFromSession(joinAs(t, brokers, "test", group, topic), group, nil)
}

// joinAs makes a member with a client id and returns its first session.
func joinAs(t *testing.T, brokers []string, clientID, group, topic string) sarama.ConsumerGroupSession {
	t.Helper()
	g, err := sarama.NewConsumerGroup(brokers, group, kafka.Cluster{}.Settings(clientID))
	require.NoError(t, err)
	m := member{joined: make(chan sarama.ConsumerGroupSession, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Consume(t.Context(), []string{topic}, m)
	}()
	go func() {
		for range g.Errors() {
		}
	}()
	t.Cleanup(func() {
		_ = g.Close()
		<-done
	})
	select {
	case s := <-m.joined:
		return s
	case <-within(t).Done():
		t.Fatal("did not join the group in time")
		return nil
	}
}

func TestOffsetsAreCommittedWithTheTransaction(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	in := newTopic(t, brokers, kafka.Topic{Partitions: 2})
	out := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	group := kafkatest.Name(t, "group")
	meta := join(t, brokers, group, in)
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))

	transaction := func(p *kafka.Producer, meta *sarama.ConsumerGroupMetadata, at int64) error {
		require.NoError(t, p.Begin())
		require.NoError(t, p.SendTo(0, message(out, "a", "1")))
		require.NoError(t, p.AddOffsets(map[string][]*sarama.PartitionOffsetMetadata{
			in: {{Partition: 0, Offset: at}, {Partition: 1, Offset: at + 1}},
		}, meta))
		return p.Commit()
	}
	require.Empty(t, kafkatest.Committed(t, brokers, group, in))
	require.NoError(t, transaction(p, meta, 5))
	require.Equal(t, map[int32]int64{0: 5, 1: 6}, kafkatest.Committed(t, brokers, group, in))
	require.NoError(t, transaction(p, meta, 7))
	require.Equal(t, map[int32]int64{0: 7, 1: 8}, kafkatest.Committed(t, brokers, group, in))

	// Offsets alone, without a record.
	require.NoError(t, p.Begin())
	require.NoError(t, p.AddOffsets(map[string][]*sarama.PartitionOffsetMetadata{in: {{Partition: 0, Offset: 9}}}, meta))
	require.NoError(t, p.Commit())
	require.Equal(t, map[int32]int64{0: 9, 1: 8}, kafkatest.Committed(t, brokers, group, in))

	for name, spoil := range map[string]func(m *sarama.ConsumerGroupMetadata){
		"stale generation": func(m *sarama.ConsumerGroupMetadata) { m.GenerationID-- },
		"unknown member":   func(m *sarama.ConsumerGroupMetadata) { m.MemberID = "stranger" },
	} {
		stale := *meta
		spoil(&stale)
		p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
		require.ErrorIs(t, transaction(p, &stale, 100), kafka.ErrFenced, name)
		require.NoError(t, p.Close())
	}
	require.Equal(t, map[int32]int64{0: 9, 1: 8}, kafkatest.Committed(t, brokers, group, in), "what was refused left nothing")
	require.Len(t, kafkatest.ReadAll(t, brokers, out, 2, waitTimeout), 2, "nor its records")
}

func TestEvictRemovesTheMembersOfAClientAlone(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	in := newTopic(t, brokers, kafka.Topic{Partitions: 2})
	group := kafkatest.Name(t, "group")
	client, err := kafka.NewClient(t.Context(), kafka.At(brokers...), kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })

	n, err := kafka.Evict(client, group, "first")
	require.NoError(t, err, "a group that does not exist yet")
	require.Zero(t, n)
	first := joinAs(t, brokers, "first", group, in)
	n, err = kafka.Evict(client, group, "second")
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, first.Context().Err())
	n, err = kafka.Evict(client, group, "first")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	select {
	case <-first.Context().Done():
	case <-within(t).Done():
		t.Fatal("the removed member's session goes on")
	}
}
