package follower

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
	"industrial-iot-monitor/internal/rulechange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

// rig is a running follower.
type rig struct {
	*Follower

	t       *testing.T
	brokers []string
	topic   kafka.Topic
	log     *logtest.Buffer
	changed atomic.Int64 // calls of Changed
	stop    func()
}

func newRig(t *testing.T, brokers []string, topic kafka.Topic) *rig {
	t.Helper()
	r := &rig{t: t, brokers: brokers, topic: topic, log: &logtest.Buffer{}}
	r.Follower = New(Options{
		Cluster: kafka.At(brokers...), Topic: topic, ClientID: "test", Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Changed: func(*rulechange.Book) { r.changed.Add(1) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	r.stop = func() { cancel(); running.Wait() }
	t.Cleanup(r.stop)
	return r
}

func ruleTopic(t *testing.T) kafka.Topic {
	t.Helper()
	topics := kafkatest.Topics(t)
	return topics.Specs().Rules
}

// propose writes a proposal.
func propose(t *testing.T, brokers []string, topic, id string) {
	t.Helper()
	value, err := json.Marshal(rulechange.Record{Act: rulechange.Propose, Change: id, By: "a", At: 1, Proposal: &rulechange.Proposal{
		Rule: "hot", YAML: "- id: hot\n", Reason: "r",
	}})
	require.NoError(t, err)
	kafkatest.Produce(t, brokers, topic, 0, kafkatest.Record{Key: []byte(rulechange.NewKey(id)), Value: value})
}

func (r *rig) ensure() {
	r.t.Helper()
	require.NoError(r.t, kafka.EnsureTopics(r.t.Context(), slog.New(slog.DiscardHandler), kafka.At(r.brokers...), r.topic))
}

// await waits until there are n changes.
func (r *rig) await(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), waitTimeout)
	defer cancel()
	require.True(r.t, r.Await(ctx, func(b *rulechange.Book) bool {
		return b.Count(func(*rulechange.Change) bool { return true }) == n
	}), "%d changes; %s", n, r.log)
}

func TestEverythingIsReadBeforeItIsShown(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), topic))
	for _, id := range []string{"c1", "c2", "c3"} {
		propose(t, brokers, topic.Name, id)
	}
	kafkatest.Produce(t, brokers, topic.Name, 0, kafkatest.Record{Key: []byte("odd"), Value: []byte("{")})
	r := newRig(t, brokers, topic)
	<-r.Read()
	require.Equal(t, int64(1), r.changed.Load(), "once, with all")
	require.True(t, r.View(func(b *rulechange.Book) {
		require.Equal(t, 3, b.Count(func(*rulechange.Change) bool { return true }))
		require.Equal(t, int64(4), b.Position())
	}))
	require.Contains(t, r.log.String(), "unreadable")
	propose(t, brokers, topic.Name, "c4")
	r.await(4)
	require.Equal(t, int64(2), r.changed.Load())
}

func TestMissingTopicIsCreatedAndEmpty(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	r := newRig(t, brokers, topic)
	require.False(t, r.View(func(*rulechange.Book) {}), "nothing is known yet")
	<-r.Read()
	r.await(0)
	propose(t, brokers, topic.Name, "c1")
	r.await(1)
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	r := newRig(t, brokers, topic)
	<-r.Read()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, r.Await(ctx, func(*rulechange.Book) bool { return false }))
}

func TestOutageOfKafkaLosesNothing(t *testing.T) {
	dir, topic := t.TempDir(), ruleTopic(t)
	broker := kafkatest.Embedded(t, devkafka.Options{DataDir: dir})
	addr := broker.Addr()
	r := newRig(t, []string{addr}, topic)
	<-r.Read()
	propose(t, r.brokers, topic.Name, "c1")
	r.await(1)
	require.NoError(t, broker.Close())
	require.True(t, r.View(func(b *rulechange.Book) { require.Equal(t, int64(1), b.Position()) }), "what is known stays")
	kafkatest.Embedded(t, devkafka.Options{Addr: addr, DataDir: dir})
	propose(t, r.brokers, topic.Name, "c2")
	r.await(2)
	require.NotContains(t, r.log.String(), "lost")
}

// TestTopicThatWasMadeAgainCounts has an administrator delete the topic.
func TestTopicThatWasMadeAgainCounts(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	r := newRig(t, brokers, topic)
	<-r.Read()
	for _, id := range []string{"c1", "c2"} {
		propose(t, brokers, topic.Name, id)
	}
	r.await(2)
	admin, err := sarama.NewClusterAdmin(brokers, kafka.Cluster{}.Settings("test"))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	require.NoError(t, admin.DeleteTopic(topic.Name))
	r.await(0)
	require.Contains(t, r.log.String(), "kafka has lost changes of rules")
	r.ensure()
	propose(t, brokers, topic.Name, "c3")
	r.await(1)
}

func TestSeveralPartitionsAreNotRead(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	wrong := topic
	wrong.Partitions = 2
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), wrong))
	r := newRig(t, brokers, topic)
	require.Eventually(t, func() bool {
		return strings.Contains(r.log.String(), errPartitions.Error())
	}, waitTimeout, 10*time.Millisecond)
	require.False(t, r.View(func(*rulechange.Book) {}))
}

// TestEndThatIsNoRecordIsFound has a marker of a transaction at the end of the topic.
func TestEndThatIsNoRecordIsFound(t *testing.T) {
	t.Parallel()
	brokers, topic := kafkatest.Brokers(t), ruleTopic(t)
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(brokers...), topic))
	propose(t, brokers, topic.Name, "c1")
	p, err := kafka.NewProducer(t.Context(), slog.New(slog.DiscardHandler), kafka.Config{Cluster: kafka.At(brokers...)}, "test", kafkatest.Name(t, "tx"))
	require.NoError(t, err)
	require.NoError(t, p.Begin())
	require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic.Name, Key: sarama.StringEncoder("x"), Value: sarama.ByteEncoder("x")}))
	require.NoError(t, p.Commit())
	require.NoError(t, p.Close())
	r := newRig(t, brokers, topic)
	<-r.Read()
	r.await(1)
	require.Contains(t, r.log.String(), "no records at the end")
}
