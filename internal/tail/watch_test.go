package tail

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

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

// TestTopicThatWasMadeAgainIsWatchedFromItsStart, under its own id: its offsets begin at 0 again, and
// soon go beyond those that were read.
func TestTopicThatWasMadeAgainIsWatchedFromItsStart(t *testing.T) {
	const timeout, poll = 3 * time.Minute, 10 * time.Millisecond
	brokers := kafkatest.Brokers(t)
	cluster, log := kafka.At(brokers...), slog.New(slog.DiscardHandler)
	record := func(key string) kafkatest.Record { return kafkatest.Record{Key: []byte(key), Value: []byte("x")} }
	for name, c := range map[string]struct {
		second []kafkatest.Record
		want   map[string]int64
	}{
		"fewer records": {[]kafkatest.Record{record("c")}, map[string]int64{"c": 1}},
		"more records": {
			[]kafkatest.Record{record("c"), record("d"), record("e"), record("f"), record("g")},
			map[string]int64{"c": 1, "d": 2, "e": 3, "f": 4, "g": 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			topic := kafka.Topic{Name: kafkatest.Name(t, "watched"), Partitions: 1, Compacted: true}
			require.NoError(t, kafka.EnsureTopics(t.Context(), log, cluster, topic))
			kafkatest.Produce(t, brokers, topic.Name, 0, record("a"), record("b"), record("a"))
			ctx, cancel := context.WithCancel(t.Context())
			s, done := &seen{}, make(chan error, 1)
			go func() { done <- Watch(ctx, Options{Cluster: cluster, ClientID: "test", Log: log}, topic, s) }()
			require.Eventually(t, func() bool { return s.has(1, map[string]int64{"a": 3, "b": 2}) }, timeout, poll)
			kafkatest.DeleteTopic(t, brokers, topic.Name)
			require.NoError(t, kafka.EnsureTopics(t.Context(), log, cluster, topic))
			kafkatest.Produce(t, brokers, topic.Name, 0, c.second...)
			require.Eventually(t, func() bool { return s.has(2, c.want) }, timeout, poll)
			require.NotEqual(t, s.topics[0], s.topics[1])
			cancel()
			require.NoError(t, <-done)
		})
	}
}
