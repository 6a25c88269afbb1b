// Package kafkatest provides tests with a Kafka: the embedded broker, or the real one named by
// TEST_KAFKA_BROKERS (make test-kafka), and an independent client (franz-go, where the
// product uses sarama) to write topics and to read their actual content. Only tests and
// test programs import it. Reads and writes block until done or timed out.
package kafkatest

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/topology"
)

// EnvBrokers names a real Kafka for the tests: host:port, comma separated.
const EnvBrokers = "TEST_KAFKA_BROKERS"

// Real reports whether the tests use the Kafka named by TEST_KAFKA_BROKERS.
func Real() bool { return os.Getenv(EnvBrokers) != "" }

// Brokers returns the bootstrap servers of the Kafka that tests use. Without
// TEST_KAFKA_BROKERS it starts an embedded broker, which the end of the test closes: call it
// once per test.
func Brokers(tb testing.TB) []string {
	tb.Helper()
	if Real() {
		return strings.Split(os.Getenv(EnvBrokers), ",")
	}
	return []string{Embedded(tb, devkafka.Options{}).Addr()}
}

// Embedded starts an embedded broker even when the tests use a real Kafka, for tests that
// stop and start it. The defaults of o are a free loopback port, a temporary directory and no
// log. The end of the test closes it.
func Embedded(tb testing.TB, o devkafka.Options) *devkafka.Broker {
	tb.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.DataDir == "" {
		o.DataDir = tb.TempDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b, err := devkafka.Start(o)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// Name returns prefix with a random suffix: a topic, group or transactional id that no
// other test uses.
func Name(tb testing.TB, prefix string) string {
	tb.Helper()
	var b [6]byte
	_, err := rand.Read(b[:])
	require.NoError(tb, err)
	return prefix + "-" + hex.EncodeToString(b[:])
}

// Topics returns topic names that no other test uses. The topics do not exist yet.
func Topics(tb testing.TB) topology.Topics {
	tb.Helper()
	return topology.Suffixed(Name(tb, ""))
}
