package kafka_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

const (
	faultTopic = "topic"
	faultGroup = "group"
	perTxn     = 10
)

// transaction sends perTxn records and the group's offset in one transaction.
func transaction(p *kafka.Producer, n int) error {
	if err := p.Begin(); err != nil {
		return err
	}
	for i := range perTxn {
		m := &sarama.ProducerMessage{Topic: faultTopic, Key: sarama.StringEncoder(fmt.Sprintf("key-%d", i)), Value: sarama.StringEncoder(fmt.Sprintf("%d/%d", n, i))}
		if err := p.Send(m); err != nil {
			return err
		}
	}
	offsets := map[string][]*sarama.PartitionOffsetMetadata{faultTopic: {{Partition: 0, Offset: int64(n)}}}
	if err := p.AddOffsets(offsets, sarama.NewConsumerGroupMetadata(faultGroup)); err != nil {
		return err
	}
	return p.Commit()
}

func faultyBroker(t *testing.T) (*devkafka.Broker, []string) {
	t.Helper()
	b := kafkatest.Embedded(t, devkafka.Options{})
	brokers := []string{b.Addr()}
	require.NoError(t, kafka.EnsureTopics(within(t), quiet(), kafka.At(brokers...), kafka.Topic{Name: faultTopic, Partitions: 3}))
	return b, brokers
}

func TestPassingErrorsNeitherLoseNorDouble(t *testing.T) {
	for _, tc := range []struct {
		request kmsg.Key
		errs    []*kerr.Error
	}{
		{kmsg.FindCoordinator, []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress}},
		{kmsg.InitProducerID, []*kerr.Error{kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress}},
		{kmsg.AddPartitionsToTxn, []*kerr.Error{kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownTopicOrPartition}},
		// The first two are answered although the batch was stored.
		{kmsg.Produce, []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.KafkaStorageError, kerr.CorruptMessage}},
		{kmsg.AddOffsetsToTxn, []*kerr.Error{kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorNotAvailable}},
		{kmsg.TxnOffsetCommit, []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.RequestTimedOut}},
		{kmsg.EndTxn, []*kerr.Error{kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.RequestTimedOut}},
	} {
		for _, e := range tc.errs {
			t.Run(tc.request.Name()+" "+e.Message, func(t *testing.T) {
				b, brokers := faultyBroker(t)
				fault := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{tc.request}, Err: e, Count: 2})
				p := newProducer(t, brokers, "tx")
				require.NoError(t, transaction(p, 1))
				require.NoError(t, transaction(p, 2))
				require.Equal(t, 2, fault.Hits(), "it happened")
				var got []string
				for _, r := range kafkatest.ReadAll(t, brokers, faultTopic, 2*perTxn, waitTimeout) {
					got = append(got, string(r.Value))
				}
				require.Len(t, got, 2*perTxn)
				require.Subset(t, got, []string{"1/0", "1/9", "2/0", "2/9"})
				require.Equal(t, map[int32]int64{0: 2}, kafkatest.Committed(t, brokers, faultGroup, faultTopic))
			})
		}
	}
}

func TestRefusalsEndTheTransaction(t *testing.T) {
	for _, tc := range []struct {
		request kmsg.Key
		err     *kerr.Error
		fenced  bool
	}{
		{kmsg.AddPartitionsToTxn, kerr.ProducerFenced, true},
		{kmsg.AddPartitionsToTxn, kerr.InvalidProducerIDMapping, true},
		{kmsg.AddPartitionsToTxn, kerr.TransactionalIDAuthorizationFailed, false},
		{kmsg.Produce, kerr.InvalidProducerEpoch, true},
		{kmsg.Produce, kerr.InvalidTxnState, true},
		{kmsg.Produce, kerr.OutOfOrderSequenceNumber, false},
		{kmsg.Produce, kerr.MessageTooLarge, false},
		{kmsg.Produce, kerr.TopicAuthorizationFailed, false},
		{kmsg.AddOffsetsToTxn, kerr.ProducerFenced, true},
		{kmsg.AddOffsetsToTxn, kerr.GroupAuthorizationFailed, false},
		{kmsg.TxnOffsetCommit, kerr.IllegalGeneration, true},
		{kmsg.TxnOffsetCommit, kerr.UnknownMemberID, true},
		{kmsg.TxnOffsetCommit, kerr.FencedInstanceID, true},
		{kmsg.EndTxn, kerr.ProducerFenced, true},
		{kmsg.EndTxn, kerr.InvalidProducerEpoch, true},
		{kmsg.EndTxn, kerr.UnknownServerError, false},
	} {
		t.Run(tc.request.Name()+" "+tc.err.Message, func(t *testing.T) {
			b, brokers := faultyBroker(t)
			p := newProducer(t, brokers, "tx")
			fault := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{tc.request}, Err: tc.err})
			err := transaction(p, 1)
			require.Error(t, err)
			require.Equal(t, tc.fenced, errors.Is(err, kafka.ErrFenced), "%v", err)
			require.Equal(t, 1, fault.Hits())
			require.NoError(t, p.Close())

			again := newProducer(t, brokers, "tx")
			require.NoError(t, transaction(again, 2))
			require.Len(t, kafkatest.ReadAll(t, brokers, faultTopic, perTxn, waitTimeout), perTxn, "nothing of the refused transaction")
			require.Equal(t, map[int32]int64{0: 2}, kafkatest.Committed(t, brokers, faultGroup, faultTopic))
		})
	}
}

func TestLowerOffsetThanAcknowledgedIsRewound(t *testing.T) {
	for name, confirm := range map[string]func(p *kafka.Producer) error{
		"Commit":       (*kafka.Producer).Commit,
		"Acknowledged": func(p *kafka.Producer) error { _, err := p.Acknowledged(faultTopic); return err },
	} {
		t.Run(name, func(t *testing.T) {
			b, brokers := faultyBroker(t)
			p := newProducer(t, brokers, "tx")
			commit(t, p, message(faultTopic, "a", "1"), message(faultTopic, "b", "2"))
			b.Cluster().ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				asked, ok := req.(*kmsg.ProduceRequest)
				if !ok || len(asked.Topics) != 1 || len(asked.Topics[0].Partitions) != 1 {
					return nil, nil, false
				}
				resp := kmsg.NewPtrProduceResponse()
				resp.SetVersion(asked.GetVersion())
				topic := kmsg.NewProduceResponseTopic()
				topic.Topic, topic.TopicID = asked.Topics[0].Topic, asked.Topics[0].TopicID
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.BaseOffset = 1 // where the second record was
				topic.Partitions = append(topic.Partitions, partition)
				resp.Topics = append(resp.Topics, topic)
				return resp, nil, true
			})
			require.NoError(t, p.Begin())
			require.NoError(t, p.SendTo(0, message(faultTopic, "c", "3")))
			err := confirm(p)
			require.ErrorIs(t, err, kafka.ErrRewound)
			require.ErrorContains(t, err, "topic/0: acknowledged at offset 1, expected at least 2")
			require.ErrorIs(t, p.Commit(), kafka.ErrRewound, "nothing is committed after that")
			require.NoError(t, p.Close())
			require.Len(t, kafkatest.ReadAll(t, brokers, faultTopic, 2, waitTimeout), 2)
		})
	}
}

func TestRefusedPartitionDecidesOverPartitionsNotAttempted(t *testing.T) {
	for range 8 { // the answer has no order
		b, brokers := faultyBroker(t)
		p := newProducer(t, brokers, "tx")
		b.Cluster().ControlKey(int16(kmsg.AddPartitionsToTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
			asked, ok := req.(*kmsg.AddPartitionsToTxnRequest)
			if !ok {
				return nil, nil, false
			}
			resp := kmsg.NewPtrAddPartitionsToTxnResponse()
			resp.SetVersion(asked.GetVersion())
			for i, code := range []int16{kerr.OperationNotAttempted.Code, kerr.TopicAuthorizationFailed.Code, kerr.OperationNotAttempted.Code} {
				topic := kmsg.NewAddPartitionsToTxnResponseTopic()
				topic.Topic = fmt.Sprintf("topic-%d", i)
				partition := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				partition.ErrorCode = code
				topic.Partitions = append(topic.Partitions, partition)
				resp.Topics = append(resp.Topics, topic)
			}
			return resp, nil, true
		})
		require.NoError(t, p.Begin())
		require.NoError(t, p.SendTo(0, message(faultTopic, "a", "1")))
		require.ErrorIs(t, p.Commit(), sarama.ErrTopicAuthorizationFailed)
	}
}

func TestBrokenConnectionsNeitherLoseNorDouble(t *testing.T) {
	for _, key := range []kmsg.Key{
		kmsg.FindCoordinator, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn,
	} {
		t.Run(key.Name(), func(t *testing.T) {
			b, brokers := faultyBroker(t)
			var cut atomic.Int32
			b.Cluster().ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				cut.Add(1)
				return nil, errors.New("cut"), true
			})
			p := newProducer(t, brokers, "tx")
			require.NoError(t, transaction(p, 1))
			require.NoError(t, transaction(p, 2))
			require.EqualValues(t, 1, cut.Load())
			require.Len(t, kafkatest.ReadAll(t, brokers, faultTopic, 2*perTxn, waitTimeout), 2*perTxn)
			require.Equal(t, map[int32]int64{0: 2}, kafkatest.Committed(t, brokers, faultGroup, faultTopic))
		})
	}
}

func TestRefusedProducerIsNotMade(t *testing.T) {
	b, brokers := faultyBroker(t)
	for key, code := range map[kmsg.Key]*kerr.Error{
		kmsg.InitProducerID: kerr.TransactionalIDAuthorizationFailed, kmsg.FindCoordinator: kerr.TransactionalIDAuthorizationFailed,
	} {
		b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: code})
		p, err := kafka.NewProducer(within(t), quiet(), kafka.Config{Cluster: kafka.At(brokers...)}, "test", "tx")
		require.ErrorIs(t, err, sarama.ErrTransactionalIDAuthorizationFailed)
		require.ErrorContains(t, err, "initialising transactional producer tx")
		require.True(t, kafka.Permanent(err))
		require.Nil(t, p)
	}
}
