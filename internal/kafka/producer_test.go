package kafka_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestCommittedRecordsAreReadAsTheyWereSent(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 3})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	const transactions, n = 3, 5000 // some are sent while others are still added
	at := time.UnixMilli(1640995200123)
	m := &sarama.ProducerMessage{Topic: topic, Headers: make([]sarama.RecordHeader, 2)} // reused
	for tx := range transactions {
		require.NoError(t, p.Begin())
		for i := range n {
			m.Key = sarama.StringEncoder(fmt.Sprintf("key-%d", i%100))
			m.Value = sarama.ByteEncoder(fmt.Appendf(nil, "%d/%d%0500d", tx, i, 0))
			m.Timestamp = at.Add(time.Duration(i) * time.Millisecond)
			m.Headers[0] = sarama.RecordHeader{Key: []byte("i"), Value: fmt.Append(nil, tx*n+i)}
			m.Headers[1] = sarama.RecordHeader{Key: []byte("empty"), Value: nil}
			require.NoError(t, p.Send(m))
		}
		require.NoError(t, p.Commit())
	}
	records := kafkatest.ReadAll(t, brokers, topic, transactions*n, waitTimeout)
	require.Len(t, records, transactions*n)
	last := map[string]int{}
	for _, r := range records {
		var i int
		_, err := fmt.Sscan(r.Header("i"), &i)
		require.NoError(t, err)
		before, seen := last[string(r.Key)]
		require.True(t, !seen || before < i, "order within a key")
		last[string(r.Key)] = i
		require.Equal(t, fmt.Sprintf("key-%d", i%n%100), string(r.Key))
		require.Equal(t, fmt.Sprintf("%d/%d%0500d", i/n, i%n, 0), string(r.Value))
		require.Equal(t, at.Add(time.Duration(i%n)*time.Millisecond).UnixMilli(), r.Timestamp.UnixMilli())
		require.Len(t, r.Headers, 2)
	}
}

func TestKeysArePlacedAsKafkaClientsPlaceThem(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	ours := newTopic(t, brokers, kafka.Topic{Partitions: 10})
	theirs := newTopic(t, brokers, kafka.Topic{Partitions: 10})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	require.NoError(t, p.Begin())
	var records []kafkatest.Record
	for i := range 200 {
		key := fmt.Sprintf("device_%03d", i)
		require.NoError(t, p.Send(message(ours, key, key)))
		records = append(records, kafkatest.Record{Key: []byte(key), Value: []byte(key)})
	}
	require.NoError(t, p.Commit())
	kafkatest.Produce(t, brokers, theirs, -1, records...)
	place := func(topic string) map[string]int32 {
		out := map[string]int32{}
		for _, r := range kafkatest.ReadAll(t, brokers, topic, 200, waitTimeout) {
			out[string(r.Key)] = r.Partition
		}
		return out
	}
	require.Equal(t, place(theirs), place(ours))
}

func TestLargeRecordsAndLargeTransactions(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	letters := newTopic(t, brokers, kafka.Topic{Partitions: 1, MaxMessageBytes: kafka.MaxRecordBytes})
	plain := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	huge := noise(t, 3<<20)
	const n = 300
	require.NoError(t, p.Begin())
	require.NoError(t, p.Send(&sarama.ProducerMessage{Topic: letters, Value: sarama.ByteEncoder(huge)}))
	for range n { // 6 MB that do not compress, for one partition that takes 1 MiB at once
		require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: plain, Value: sarama.ByteEncoder(noise(t, 20_000))}))
	}
	require.NoError(t, p.Commit())
	require.True(t, bytes.Equal(huge, kafkatest.ReadAll(t, brokers, letters, 1, waitTimeout)[0].Value))
	require.Len(t, kafkatest.ReadAll(t, brokers, plain, n, waitTimeout), n)

	require.NoError(t, p.Begin())
	err := p.SendTo(0, &sarama.ProducerMessage{Topic: letters, Value: sarama.ByteEncoder(noise(t, kafka.MaxRecordBytes))})
	require.ErrorIs(t, err, sarama.ErrMessageSizeTooLarge)
}

// big is a value of which two are sent before the transaction ends.
var big = strings.Repeat("x", 600_000)

func noise(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func TestOlderProducerIsFenced(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	for _, tc := range []struct {
		name    string
		prepare func(t *testing.T, older *kafka.Producer) // before the older one is replaced
	}{
		{"idle", func(t *testing.T, older *kafka.Producer) {
			t.Helper()
			require.NoError(t, older.Begin())
		}},
		{"with records gathered", func(t *testing.T, older *kafka.Producer) {
			t.Helper()
			require.NoError(t, older.Begin())
			require.NoError(t, older.SendTo(0, message(topic, "a", "lost")))
		}},
		{"with records stored", func(t *testing.T, older *kafka.Producer) {
			t.Helper()
			require.NoError(t, older.Begin())
			for range 4 { // more than one batch: the first ones are sent
				require.NoError(t, older.SendTo(0, message(topic, "a", big)))
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id := kafkatest.Name(t, "tx")
			older := newProducer(t, brokers, id)
			tc.prepare(t, older)
			newer := newProducer(t, brokers, id)
			marker := kafkatest.Name(t, "newer")
			commit(t, newer, message(topic, "a", marker))
			require.ErrorIs(t, attempt(older, message(topic, "a", "too late")), kafka.ErrFenced)
			require.ErrorIs(t, older.Begin(), kafka.ErrFenced, "it stays fenced")
			require.NoError(t, older.Close())
			all := kafkatest.ReadAll(t, brokers, topic, 1, waitTimeout)
			require.Equal(t, marker, string(all[len(all)-1].Value))
			for _, r := range all {
				require.Contains(t, string(r.Value), "newer")
			}
			commit(t, newer, message(topic, "a", marker)) // it is not disturbed
		})
	}
}

// attempt sends a record, commits and returns the first error.
func attempt(p *kafka.Producer, m *sarama.ProducerMessage) error {
	if err := p.SendTo(0, m); err != nil {
		return err
	}
	return p.Commit()
}

func TestClosedTransactionIsNeverRead(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	id := kafkatest.Name(t, "tx")
	p := newProducer(t, brokers, id)
	commit(t, p, message(topic, "a", "1"))
	require.NoError(t, p.Begin())
	for range 4 {
		require.NoError(t, p.SendTo(0, message(topic, "a", big)))
	}
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "twice")
	require.ErrorIs(t, p.Begin(), kafka.ErrClosed)
	require.ErrorIs(t, p.SendTo(0, message(topic, "a", "2")), kafka.ErrClosed)
	require.ErrorIs(t, p.Commit(), kafka.ErrClosed)
	require.ErrorIs(t, p.AddOffsets(nil, nil), kafka.ErrClosed)
	_, err := p.Acknowledged(topic)
	require.ErrorIs(t, err, kafka.ErrClosed)
	_, err = kafka.Restore(within(t), quiet(), kafka.At(brokers...), p, topic, 0)
	require.ErrorIs(t, err, kafka.ErrClosed)

	other := newProducer(t, brokers, kafkatest.Name(t, "tx")) // need not fence anybody: it was aborted
	commit(t, other, message(topic, "a", "3"))
	records := kafkatest.ReadAll(t, brokers, topic, 2, waitTimeout)
	require.Len(t, records, 2)
	require.Equal(t, "3", string(records[1].Value))
}

func TestEmptyTransactionCommits(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	for range 3 {
		require.NoError(t, p.Begin())
		require.NoError(t, p.Commit())
	}
}

func TestMisuseIsAnError(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	for name, misuse := range map[string]func(p *kafka.Producer) error{
		"send without begin":    func(p *kafka.Producer) error { return p.Send(message(topic, "a", "1")) },
		"commit without begin":  func(p *kafka.Producer) error { return p.Commit() },
		"offsets without begin": func(p *kafka.Producer) error { return p.AddOffsets(nil, &sarama.ConsumerGroupMetadata{}) },
		"begin twice":           func(p *kafka.Producer) error { _ = p.Begin(); return p.Begin() },
		"key that cannot be encoded": func(p *kafka.Producer) error {
			_ = p.Begin()
			return p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Key: unencodable{}})
		},
		"value that cannot be encoded": func(p *kafka.Producer) error {
			_ = p.Begin()
			return p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Value: unencodable{}})
		},
		"partition out of range": func(p *kafka.Producer) error {
			_ = p.Begin()
			return p.SendTo(1, message(topic, "a", "1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
			err := misuse(p)
			require.Error(t, err)
			require.Equal(t, err, p.Commit(), "it stays unusable with the same error")
			require.NoError(t, p.Close())
		})
	}
}

func TestNewProducerEndsWithItsContext(t *testing.T) {
	silent, refusing := listen(t), listen(t)
	require.NoError(t, refusing.Close())
	for name, addr := range map[string]string{"silent": silent.Addr().String(), "refusing": refusing.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := kafka.NewProducer(ctx, quiet(), kafka.Config{Cluster: kafka.At(addr)}, "test", "tx")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}

func TestProducerOutlivesTheContextItWasMadeWith(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	topic := newTopic(t, brokers, kafka.Topic{Partitions: 1})
	ctx, cancel := context.WithCancel(t.Context())
	p, err := kafka.NewProducer(ctx, quiet(), kafka.Config{Cluster: kafka.At(brokers...)}, "test", kafkatest.Name(t, "tx"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	cancel()
	commit(t, p, message(topic, "a", "1"))
}

func TestCloseReleasesAWaitingCall(t *testing.T) {
	for name, wait := range map[string]func(p *kafka.Producer, topic string) error{
		"Commit": func(p *kafka.Producer, _ string) error { return p.Commit() },
		"Send": func(p *kafka.Producer, topic string) error {
			for {
				if err := p.SendTo(0, message(topic, "a", big)); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := kafkatest.Embedded(t, devkafka.Options{})
			topic := newTopic(t, []string{b.Addr()}, kafka.Topic{Partitions: 1})
			p := newProducer(t, []string{b.Addr()}, kafkatest.Name(t, "tx"))
			commit(t, p, message(topic, "a", "1"))
			require.NoError(t, p.Begin())
			require.NoError(t, p.SendTo(0, message(topic, "a", "2")))
			require.NoError(t, b.Close())
			result := make(chan error, 1)
			go func() { result <- wait(p, topic) }()
			select {
			case err := <-result:
				t.Fatalf("returned without a broker: %v", err)
			case <-time.After(300 * time.Millisecond): // it waits
			}
			start := time.Now()
			require.Error(t, p.Close(), "what was open could not be aborted")
			require.ErrorIs(t, <-result, kafka.ErrClosed)
			require.Less(t, time.Since(start), 10*time.Second)
		})
	}
}

func TestAcknowledgedCountsTheOpenTransaction(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	a, b := newTopic(t, brokers, kafka.Topic{Partitions: 2}), newTopic(t, brokers, kafka.Topic{Partitions: 1})
	p := newProducer(t, brokers, kafkatest.Name(t, "tx"))
	acknowledged := func(topic string) int {
		n, err := p.Acknowledged(topic)
		require.NoError(t, err)
		return n
	}
	for range 2 { // each transaction counts from 0
		require.NoError(t, p.Begin())
		require.Zero(t, acknowledged(a))
		for partition := range int32(2) {
			require.NoError(t, p.SendTo(partition, message(a, "k", "v")))
		}
		require.NoError(t, p.SendTo(0, message(b, "k", "v")))
		require.Equal(t, 2, acknowledged(a))
		require.NoError(t, p.SendTo(1, message(a, "k", "v")))
		require.Equal(t, 3, acknowledged(a))
		require.Equal(t, 1, acknowledged(b))
		require.NoError(t, p.Commit())
	}
	require.Len(t, kafkatest.ReadAll(t, brokers, a, 6, waitTimeout), 6)
}

// unencodable is a key or value without an encoding.
type unencodable struct{}

func (unencodable) Encode() ([]byte, error) { return nil, errors.New("no encoding") }
func (unencodable) Length() int             { return 1 }
