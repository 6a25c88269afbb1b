package devkafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 60 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func options(t *testing.T) devkafka.Options {
	t.Helper()
	return devkafka.Options{Addr: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "made", "here"), Log: quiet()}
}

func start(t *testing.T, o devkafka.Options) *devkafka.Broker {
	t.Helper()
	b, err := devkafka.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// producer returns a producer that is closed with the test.
func producer(t *testing.T, addr, id string) *kafka.Producer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	p, err := kafka.NewProducer(ctx, quiet(), []string{addr}, "test", id)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func send(t *testing.T, p *kafka.Producer, topic, value string) {
	t.Helper()
	require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(value)}))
}

func values(t *testing.T, addr, topic string, want int) []string {
	t.Helper()
	var out []string
	for _, r := range kafkatest.ReadAll(t, []string{addr}, topic, want, waitTimeout) {
		out = append(out, string(r.Value))
	}
	return out
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	o := options(t)
	b := start(t, o)
	o.Addr = b.Addr()
	const topic, group = "topic", "group"
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), []string{o.Addr}, kafka.Topic{Name: topic, Partitions: 2, Compacted: true}))
	offsets := func(at int64) map[string][]*sarama.PartitionOffsetMetadata {
		return map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: at}}}
	}
	p := producer(t, o.Addr, "tx")
	open := producer(t, o.Addr, "open")
	for _, v := range []string{"1", "2"} {
		require.NoError(t, p.Begin())
		send(t, p, topic, v)
		require.NoError(t, p.AddOffsets(offsets(int64(len(v))), sarama.NewConsumerGroupMetadata(group)))
		require.NoError(t, p.Commit())
	}
	require.NoError(t, p.Begin()) // continues after the restart
	send(t, p, topic, "3")

	require.NoError(t, open.Begin()) // stays open during the restart, with records stored
	for range 4 {
		send(t, open, topic, string(make([]byte, 600_000)))
	}
	require.Equal(t, []string{"1", "2"}, values(t, o.Addr, topic, 2))
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "twice")

	b = start(t, o)
	require.Equal(t, o.Addr, b.Addr())
	require.NoError(t, p.Commit(), "the producer rides it out")
	taken := producer(t, o.Addr, "open") // aborts the open transaction
	require.NoError(t, taken.Begin())
	send(t, taken, topic, "4")
	require.NoError(t, taken.Commit())
	require.ErrorIs(t, open.Commit(), kafka.ErrFenced)
	require.Equal(t, []string{"1", "2", "3", "4"}, values(t, o.Addr, topic, 4))
	require.Equal(t, map[int32]int64{0: 1}, kafkatest.Committed(t, []string{o.Addr}, group, topic))
}

func TestStateSurvivesCleaning(t *testing.T) {
	o := options(t)
	b := start(t, o)
	o.Addr = b.Addr()
	const topic = "state"
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), []string{o.Addr}, kafka.Topic{Name: topic, Partitions: 1, Compacted: true}))
	p := producer(t, o.Addr, "tx")
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	restore := func() map[string][]byte {
		state, err := kafka.Restore(ctx, quiet(), []string{o.Addr}, p, topic, 0)
		require.NoError(t, err)
		return state
	}
	ancient := time.Now().AddDate(-1, 0, 0) // far beyond any retention
	want := map[string][]byte{}
	for round := range 3 {
		require.NoError(t, p.Begin())
		for i := range 1000 {
			k, v := fmt.Sprintf("key-%d", i), fmt.Sprintf("value-%d-%d", i, round)
			want[k] = []byte(v)
			require.NoError(t, p.SendTo(0, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(k), Value: sarama.StringEncoder(v), Timestamp: ancient}))
		}
		require.NoError(t, p.Commit())
		require.Equal(t, want, restore())
		b.Clean()
	}
	require.Equal(t, want, restore())
	require.NoError(t, b.Close())
	start(t, o)
	require.Equal(t, want, restore())
	require.Less(t, len(kafkatest.ReadAll(t, []string{o.Addr}, topic, 1000, waitTimeout)), 2000, "it was compacted")
}

func TestTwoBrokersAtOnce(t *testing.T) {
	a, b := start(t, options(t)), start(t, options(t))
	for _, addr := range []string{a.Addr(), b.Addr()} {
		require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), []string{addr}, kafka.Topic{Name: "topic", Partitions: 1}))
	}
	p := producer(t, a.Addr(), "tx")
	require.NoError(t, p.Begin())
	send(t, p, "topic", "1")
	require.NoError(t, p.Commit())
	require.Equal(t, []string{"1"}, values(t, a.Addr(), "topic", 1))
	require.Empty(t, values(t, b.Addr(), "topic", 0))
}

func TestUnknownTopicsAreNotMade(t *testing.T) {
	b := start(t, options(t))
	c := kafka.NewSettings("test")
	c.Metadata.AllowAutoTopicCreation = true
	c.Metadata.Retry.Max = 0
	client, err := sarama.NewClient([]string{b.Addr()}, c)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.Partitions("misspelled")
	require.ErrorIs(t, err, sarama.ErrUnknownTopicOrPartition)
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for _, tc := range []struct {
		name string
		edit func(o *devkafka.Options)
		want string
	}{
		{"address in use", func(o *devkafka.Options) { o.Addr = taken.Addr().String() }, taken.Addr().String() + " is already in use"},
		{"no port", func(o *devkafka.Options) { o.Addr = "127.0.0.1" }, `embedded kafka address "127.0.0.1"`},
		{"no directory", func(o *devkafka.Options) { o.DataDir = "" }, "DataDir is required"},
		{"no log", func(o *devkafka.Options) { o.Log = nil }, "Log is required"},
		{"directory that cannot be made", func(o *devkafka.Options) { o.DataDir = "/dev/null/kafka" }, "/dev/null/kafka"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t)
			tc.edit(&o)
			_, err := devkafka.Start(o)
			require.ErrorContains(t, err, tc.want)
		})
	}
}
