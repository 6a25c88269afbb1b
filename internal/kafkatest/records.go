package kafkatest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
)

// Record is a record of a topic.
type Record struct {
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte
	Value     []byte // nil is a tombstone
	Headers   []kgo.RecordHeader
}

// Header returns the value of the first header with that key, or "".
func (r Record) Header(key string) string { return Header(r.Headers, key) }

// Header returns the value of the first header with that key, or "".
func Header(headers []kgo.RecordHeader, key string) string {
	for _, h := range headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Produce writes records without a transaction and waits until they are stored. A
// partition of -1 places each by the hash of its key.
func Produce(tb testing.TB, brokers []string, topic string, partition int32, records ...Record) {
	tb.Helper()
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...), kgo.RequiredAcks(kgo.AllISRAcks())}
	if partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	cl, err := kgo.NewClient(opts...)
	require.NoError(tb, err)
	defer cl.Close()
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Topic: topic, Partition: max(partition, 0), Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 180*time.Second)
	defer cancel()
	require.NoError(tb, cl.ProduceSync(ctx, out...).FirstErr())
}

// ReadAll waits until the topic has at least want committed records, reads on to the
// committed end of every partition and returns all of them, ordered by partition and
// offset. So a test that expects exactly n compares the length and sees a surplus too.
func ReadAll(tb testing.TB, brokers []string, topic string, want int, timeout time.Duration) []Record {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), timeout)
	defer cancel()
	reader, err := NewReader(brokers, topic)
	require.NoError(tb, err)
	defer reader.Close()
	var all []Record
	add := func(r *kgo.Record) error {
		all = append(all, Record{r.Partition, r.Offset, r.Timestamp, r.Key, r.Value, r.Headers})
		return nil
	}
	err = reader.CatchUp(ctx, add)
	for err == nil && len(all) < want {
		if err = reader.Poll(ctx, add); err == nil {
			err = reader.CatchUp(ctx, add)
		}
	}
	require.NoError(tb, err, "%s has %d committed records, expected %d", topic, len(all), want)
	slices.SortStableFunc(all, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return all
}

// DeleteTopic deletes a topic and waits until the brokers no longer have it: they learn of it after the
// controller has answered. Nothing else may create it meanwhile.
func DeleteTopic(tb testing.TB, brokers []string, topic string) {
	tb.Helper()
	cluster := kafka.At(brokers...)
	admin, err := sarama.NewClusterAdmin(brokers, cluster.Settings("administrator"))
	require.NoError(tb, err)
	require.NoError(tb, errors.Join(admin.DeleteTopic(topic), admin.Close()))
	require.EventuallyWithT(tb, func(c *assert.CollectT) {
		missing, err := kafka.Missing(tb.Context(), cluster, kafka.Topic{Name: topic})
		require.NoError(c, err)
		require.Equal(c, []string{topic}, missing)
	}, 3*time.Minute, 20*time.Millisecond)
}
