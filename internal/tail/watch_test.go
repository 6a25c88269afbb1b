package tail

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

// seen is what a watcher has seen of a topic.
type seen struct {
	mu       sync.Mutex
	topics   []string
	records  map[string]int64 // versions
	complete bool
}

func (s *seen) Start(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics, s.records, s.complete = append(s.topics, topic), map[string]int64{}, false
}

func (s *seen) Apply(key string, _ []byte, version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[key] = version
}

func (s *seen) Complete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// has reports whether all of the n-th topic was seen, and it is these records.
func (s *seen) has(n int, records map[string]int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics) == n && s.complete && maps.Equal(s.records, records)
}

// TestTopicThatWasMadeAnewIsWatchedFromItsStart, under its own id: its offsets begin at 0 again.
func TestTopicThatWasMadeAnewIsWatchedFromItsStart(t *testing.T) {
	const timeout = 3 * time.Minute
	brokers := kafkatest.Brokers(t)
	cluster, log := kafka.At(brokers...), slog.New(slog.DiscardHandler)
	topic := kafka.Topic{Name: kafkatest.Name(t, "watched"), Partitions: 1, Compacted: true}
	record := func(key string) kafkatest.Record { return kafkatest.Record{Key: []byte(key), Value: []byte("x")} }
	require.NoError(t, kafka.EnsureTopics(t.Context(), log, cluster, topic))
	kafkatest.Produce(t, brokers, topic.Name, 0, record("a"), record("b"), record("a"))
	ctx, cancel := context.WithCancel(t.Context())
	s, done := &seen{}, make(chan error, 1)
	go func() { done <- Watch(ctx, Options{Cluster: cluster, ClientID: "test", Log: log}, topic, s) }()
	require.Eventually(t, func() bool { return s.has(1, map[string]int64{"a": 3, "b": 2}) }, timeout, 10*time.Millisecond)
	admin, err := sarama.NewClusterAdmin(brokers, cluster.Settings("admin"))
	require.NoError(t, err)
	require.NoError(t, admin.DeleteTopic(topic.Name))
	require.NoError(t, admin.Close())
	require.NoError(t, kafka.EnsureTopics(t.Context(), log, cluster, topic))
	kafkatest.Produce(t, brokers, topic.Name, 0, record("c"))
	require.Eventually(t, func() bool { return s.has(2, map[string]int64{"c": 1}) }, timeout, 10*time.Millisecond)
	require.NotEqual(t, s.topics[0], s.topics[1])
	cancel()
	require.NoError(t, <-done)
}
