package devkafka_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const waitTimeout = 180 * time.Second

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
	p, err := kafka.NewProducer(ctx, quiet(), kafka.Config{Cluster: kafka.At(addr)}, "test", id)
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
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), kafka.At(o.Addr), kafka.Topic{Name: topic, Partitions: 2, Compacted: true}))
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
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), kafka.At(o.Addr), kafka.Topic{Name: topic, Partitions: 1, Compacted: true}))
	p := producer(t, o.Addr, "tx")
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	restore := func() map[string][]byte {
		state, err := kafka.Restore(ctx, quiet(), kafka.At(o.Addr), p, topic, 0)
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
		require.NoError(t, b.Clean(ctx))
	}
	require.Equal(t, want, restore())
	require.NoError(t, b.Close())
	start(t, o)
	require.Equal(t, want, restore())
	require.Less(t, len(kafkatest.ReadAll(t, []string{o.Addr}, topic, 1000, waitTimeout)), 2000, "it was compacted")
}

// compactedTopic starts a broker with a compacted topic of one partition.
func compactedTopic(t *testing.T, o devkafka.Options) (b *devkafka.Broker, topic string) {
	t.Helper()
	b = start(t, o)
	topic = "state"
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), kafka.At(b.Addr()), kafka.Topic{Name: topic, Partitions: 1, Compacted: true}))
	return b, topic
}

// writer writes to a topic of one partition in transactions that may be aborted.
type writer struct {
	t      *testing.T
	client *kgo.Client
	topic  string
}

func newWriter(t *testing.T, addr, topic string) *writer {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("writer"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &writer{t: t, client: c, topic: topic}
}

// begin writes records in a new transaction, which stays open.
func (w *writer) begin(records map[string][]byte) {
	w.t.Helper()
	require.NoError(w.t, w.client.BeginTransaction())
	for k, v := range records {
		require.NoError(w.t, w.client.ProduceSync(w.t.Context(), &kgo.Record{Topic: w.topic, Key: []byte(k), Value: v}).FirstErr())
	}
}

func (w *writer) end(how kgo.TransactionEndTry) {
	w.t.Helper()
	require.NoError(w.t, w.client.EndTransaction(w.t.Context(), how))
}

func TestAbortedRecordSupersedesNothing(t *testing.T) {
	b, topic := compactedTopic(t, options(t))
	w := newWriter(t, b.Addr(), topic)
	for i := range 10 {
		w.begin(map[string][]byte{"k": fmt.Append(nil, i)})
		w.end(kgo.TryCommit)
	}
	w.begin(map[string][]byte{"k": []byte("aborted")})
	cleaned := make(chan error, 1)
	go func() { cleaned <- b.Clean(t.Context()) }()
	select {
	case err := <-cleaned:
		require.NoError(t, err)
		t.Fatal("compacted while a transaction was open")
	case <-time.After(50 * time.Millisecond): // it waits
	}
	w.end(kgo.TryAbort)
	require.NoError(t, <-cleaned)
	require.Equal(t, []string{"9"}, values(t, b.Addr(), topic, 1))
}

// A writer commits and aborts without a pause while the broker compacts: the state read at the
// end is what was committed.
func TestStateSurvivesCleaningUnderLoad(t *testing.T) {
	b, topic := compactedTopic(t, options(t))
	const keys, rounds = 50, 400
	w := newWriter(t, b.Addr(), topic)
	want := map[string][]byte{}
	done := make(chan struct{})
	var cleaning sync.WaitGroup
	cleaning.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				assert.NoError(t, b.Clean(t.Context()))
			}
		}
	})
	for i := range rounds {
		staged := map[string][]byte{}
		for j := range 3 {
			k := fmt.Sprintf("key-%d", (i*7+j*13)%keys)
			if staged[k] = fmt.Append(nil, i); i%11 == 0 {
				staged[k] = nil
			}
		}
		w.begin(staged)
		if i%5 == 0 {
			w.end(kgo.TryAbort)
			continue
		}
		w.end(kgo.TryCommit)
		maps.Copy(want, staged)
	}
	close(done)
	cleaning.Wait()
	maps.DeleteFunc(want, func(_ string, v []byte) bool { return v == nil })
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	state, err := kafka.Restore(ctx, quiet(), kafka.At(b.Addr()), producer(t, b.Addr(), "tx"), topic, 0)
	require.NoError(t, err)
	require.Equal(t, want, state)
	require.NoError(t, b.Clean(t.Context())) // those before may have come too early for the last transactions
	require.Less(t, length(b, topic), int64(rounds), "it is compacted")
}

// length is how many offsets a topic's only partition holds, control records included.
func length(b *devkafka.Broker, topic string) int64 {
	p := b.Cluster().PartitionInfo(topic, 0)
	return p.HighWatermark - p.LogStartOffset
}

func TestCleaningLeavesNoMoreThanTheKeys(t *testing.T) {
	o := options(t)
	o.Nodes = 3 // whichever leads the partition
	b, topic := compactedTopic(t, o)
	p := producer(t, b.Addr(), "tx")
	for range 200 {
		require.NoError(t, p.Begin())
		send(t, p, topic, "v")
		require.NoError(t, p.Commit())
	}
	require.EqualValues(t, 400, length(b, topic), "a record and a control record for each transaction")
	require.NoError(t, b.Clean(t.Context()))
	require.EqualValues(t, 1, length(b, topic))
	require.Equal(t, []string{"v"}, values(t, b.Addr(), topic, 1))
}

func TestRetentionIsApplied(t *testing.T) {
	o := options(t)
	o.Retention = 64 << 10
	b := start(t, o)
	const topic = "data"
	require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), kafka.At(b.Addr()),
		kafka.Topic{Name: topic, Partitions: 1}, kafka.Topic{Name: "audit", Partitions: 1, KeepForever: true}))
	p := producer(t, b.Addr(), "tx")
	for range 40 {
		require.NoError(t, p.Begin())
		send(t, p, topic, rand.Text()+string(make([]byte, 8000)))
		send(t, p, "audit", string(make([]byte, 8000)))
		require.NoError(t, p.Commit())
	}
	require.NoError(t, b.Clean(t.Context()))
	require.LessOrEqual(t, b.Cluster().PartitionInfo(topic, 0).NumBytes, o.Retention)
	require.Positive(t, length(b, topic))
	require.EqualValues(t, 80, length(b, "audit"), "kept for ever")
}

func TestTwoBrokersAtOnce(t *testing.T) {
	a, b := start(t, options(t)), start(t, options(t))
	for _, addr := range []string{a.Addr(), b.Addr()} {
		require.NoError(t, kafka.EnsureTopics(t.Context(), quiet(), kafka.At(addr), kafka.Topic{Name: "topic", Partitions: 1}))
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
	c := kafka.Cluster{}.Settings("test")
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
