package kafka_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitTimeout bounds every wait of a test.
const waitTimeout = 180 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// within returns a context that ends with the test or after waitTimeout.
func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), waitTimeout)
	tb.Cleanup(cancel)
	return ctx
}

// newTopic creates a topic and returns its name.
func newTopic(tb testing.TB, brokers []string, topic kafka.Topic) string {
	tb.Helper()
	topic.Name = kafkatest.Name(tb, "topic")
	require.NoError(tb, kafka.EnsureTopics(within(tb), quiet(), kafka.At(brokers...), topic))
	return topic.Name
}

// newProducer returns a producer that is closed with the test.
func newProducer(tb testing.TB, brokers []string, id string) *kafka.Producer {
	tb.Helper()
	p, err := kafka.NewProducer(within(tb), quiet(), kafka.Config{Cluster: kafka.At(brokers...)}, "test", id)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

func message(topic, key, value string) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key)}
	if value != "" {
		m.Value = sarama.StringEncoder(value)
	}
	return m
}

// commit sends records to partition 0 in a transaction of their own.
func commit(tb testing.TB, p *kafka.Producer, messages ...*sarama.ProducerMessage) {
	tb.Helper()
	require.NoError(tb, p.Begin())
	for _, m := range messages {
		require.NoError(tb, p.SendTo(0, m))
	}
	require.NoError(tb, p.Commit())
}

// listen binds a free loopback port. Connections to it are never answered.
func listen(tb testing.TB) net.Listener {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = l.Close() })
	return l
}
