package letterbox

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// written is when the letters were: Kafka drops a segment whose newest record is older than its topic keeps.
var written = time.Now().Add(-time.Hour).UnixMilli()

// plant is two topics with boxes over them.
type plant struct {
	t             *testing.T
	brokers       []string
	letters, data string
	txn           string
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, brokers: kafkatest.Brokers(t), letters: kafkatest.Name(t, "dlq"), data: kafkatest.Name(t, "data"), txn: kafkatest.Name(t, "txn")}
	require.NoError(t, kafka.EnsureTopics(t.Context(), slog.New(slog.DiscardHandler), kafka.At(p.brokers...),
		kafka.Topic{Name: p.letters, Partitions: 2}, kafka.Topic{Name: p.data, Partitions: 2}))
	return p
}

func (p *plant) box() *Box {
	p.t.Helper()
	b, err := New(Options{
		Log: slog.New(slog.DiscardHandler), Kafka: kafka.Config{Cluster: kafka.At(p.brokers...)}, DeadLetters: p.letters, DeviceData: p.data, TransactionalID: p.txn,
	})
	require.NoError(p.t, err)
	return b
}

func reading(device string, n int) string {
	return fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋"},"sensors":{"temperature":{"value":%d}}}`, device, written+int64(n), n)
}

func letter(reason telemetry.Reason, key, value string, more ...string) kafkatest.Record {
	r := kafkatest.Record{Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(written)}
	for i, h := range append([]string{
		wire.HeaderReason, string(reason), wire.HeaderGateway, "gw-a", wire.HeaderEpoch, "00000000000000ff", wire.HeaderSeq, "7", wire.HeaderIndex, "3",
		wire.HeaderMessage, "was refused",
	}, more...) {
		if i%2 == 0 {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h})
		} else {
			r.Headers[len(r.Headers)-1].Value = []byte(h)
		}
	}
	return r
}

func (p *plant) write(partition int32, letters ...kafkatest.Record) {
	p.t.Helper()
	kafkatest.Produce(p.t, p.brokers, p.letters, partition, letters...)
}

func (p *plant) replay(b *Box, reason telemetry.Reason, most int) *wire.DeadLetterReplayAnswer {
	p.t.Helper()
	return b.answerReplay(p.t.Context(), fmt.Appendf(nil, `{"reason":%q,"by":"Li Wei","most":%d}`, reason, most))
}

func (p *plant) list(b *Box) map[string]wire.DeadLetterReason {
	p.t.Helper()
	a := b.list(p.t.Context())
	require.Empty(p.t, a.Error)
	out := make(map[string]wire.DeadLetterReason)
	for _, r := range a.Reasons {
		out[r.Reason] = r
	}
	return out
}

func TestLettersAreCountedByReasonWithTheNewestAsASample(t *testing.T) {
	p := newPlant(t)
	p.write(0,
		letter(telemetry.ReasonInvalidJSON, "d1", "{oops"),
		letter(telemetry.ReasonInvalidTimestamp, "d1", reading("d1", 1)),
		letter(telemetry.ReasonHistory, "d1", reading("d1", 2)),
		letter(telemetry.ReasonInvalidMapping, "d1", reading("d1", 3)),
		letter(telemetry.ReasonInvalidReading, "d1", reading("d1", 4), wire.HeaderMapping, "tasmota"),
		letter(telemetry.ReasonInvalidReading, "d1", reading("d1", 4), wire.HeaderTruncated, "99999"),
	)
	late := letter(telemetry.ReasonInvalidJSON, "d2", "\xff<script>")
	late.Timestamp = time.UnixMilli(written + 5)
	p.write(1, late, letter(telemetry.ReasonDeviceMismatch, "d1", reading("d9", 1)))
	b := p.box()
	got := p.list(b)
	require.Equal(t, map[string]int{"refused_again": 2}, got["invalid_json"].Blocked)
	require.Equal(t, 2, got["invalid_json"].Count)
	s := got["invalid_json"].Sample
	require.Equal(t, "\xff<script>", string(s.Raw))
	require.Equal(t, []any{int32(1), int64(0), written + 5, "d2", "gw-a", "was refused"}, []any{s.Partition, s.Offset, s.Time, s.Device, s.Gateway, s.Message})
	require.Contains(t, s.Again, "invalid_utf8")
	require.Equal(t, 1, got["invalid_timestamp"].Ready)
	require.Empty(t, got["invalid_timestamp"].Blocked)
	require.Empty(t, got["invalid_timestamp"].Sample.Again)
	require.Equal(t, map[string]int{"processed": 1}, got["history_refused"].Blocked)
	require.Equal(t, map[string]int{"other_format": 1}, got["invalid_mapping"].Blocked)
	require.Equal(t, map[string]int{"other_format": 1, "truncated": 1}, got["invalid_reading"].Blocked)
	require.Equal(t, map[string]int{"refused_again": 1}, got["device_mismatch"].Blocked, "nobody may speak for another device")
	p.write(0, letter(telemetry.ReasonInvalidJSON, "d1", "x"))
	require.Equal(t, 3, p.list(b)["invalid_json"].Count, "read on")
}

func TestALetterIsReplayedOnceWithItsOrigin(t *testing.T) {
	p := newPlant(t)
	p.write(0, letter(telemetry.ReasonInvalidTimestamp, "d1", reading("d1", 1), wire.HeaderReceived, "1699999999000"), letter(telemetry.ReasonInvalidTimestamp, "d1", "no"))
	p.write(1, letter(telemetry.ReasonInvalidTimestamp, "d2", reading("d2", 2)), letter(telemetry.ReasonInvalidReading, "d3", reading("d3", 3)))
	b := p.box()
	a := p.replay(b, telemetry.ReasonInvalidTimestamp, 100)
	require.Empty(t, a.Error)
	require.Equal(t, 2, a.Count)
	got := kafkatest.ReadAll(t, p.brokers, p.data, 2, 10*time.Second)
	require.Len(t, got, 2)
	by := map[string]kafkatest.Record{string(got[0].Key): got[0], string(got[1].Key): got[1]}
	require.Equal(t, reading("d1", 1), string(by["d1"].Value))
	for key, want := range map[string]string{
		wire.HeaderGateway: "gw-a", wire.HeaderEpoch: "00000000000000ff", wire.HeaderSeq: "7", wire.HeaderIndex: "3", wire.HeaderBackfill: "1",
		wire.HeaderReceived: "1699999999000", wire.HeaderReplayed: "0/0", wire.HeaderReason: "",
	} {
		require.Equal(t, want, by["d1"].Header(key), key)
	}
	require.Equal(t, fmt.Sprint(written), by["d2"].Header(wire.HeaderReceived), "the letter's own time")

	for name, box := range map[string]*Box{"the same core": b, "another core": p.box()} {
		require.Zero(t, p.replay(box, telemetry.ReasonInvalidTimestamp, 100).Count, name)
		r := p.list(box)["invalid_timestamp"]
		require.Equal(t, []int{3, 2, 0}, []int{r.Count, r.Replayed, r.Ready}, name)
		replays := box.list(t.Context()).Replays
		require.Len(t, replays, 1, name)
		require.Equal(t, []any{"Li Wei", "invalid_timestamp", 2, a.ID}, []any{replays[0].By, replays[0].Reason, replays[0].Count, replays[0].ID}, name)
		require.Equal(t, 1, p.list(box)["invalid_reading"].Ready, "%s: another reason", name)
	}
	require.Len(t, kafkatest.ReadAll(t, p.brokers, p.data, 2, 2*time.Second), 2)
}

func TestNoMoreAreReplayedThanWereShown(t *testing.T) {
	p := newPlant(t)
	for i := range 5 {
		l := letter(telemetry.ReasonInvalidTimestamp, "d1", reading("d1", i))
		l.Timestamp = time.UnixMilli(written + int64(i))
		p.write(int32(i%2), l)
	}
	b := p.box()
	require.Equal(t, 3, p.replay(b, telemetry.ReasonInvalidTimestamp, 3).Count)
	got := kafkatest.ReadAll(t, p.brokers, p.data, 3, 10*time.Second)
	for _, r := range got {
		require.NotContains(t, string(r.Value), `"value":4`, "the oldest first")
	}
	require.Equal(t, 2, p.replay(b, telemetry.ReasonInvalidTimestamp, 3).Count)
	require.Equal(t, 5, p.list(b)["invalid_timestamp"].Replayed)
}

func TestReplaysAtTheSameTimeReplayOnce(t *testing.T) {
	p := newPlant(t)
	for i := range 50 {
		p.write(int32(i%2), letter(telemetry.ReasonInvalidTimestamp, "d1", reading("d1", i)))
	}
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() { p.replay(p.box(), telemetry.ReasonInvalidTimestamp, 1000) })
	}
	work.Wait()
	p.replay(p.box(), telemetry.ReasonInvalidTimestamp, 1000) // all of them may have fenced each other
	require.Len(t, kafkatest.ReadAll(t, p.brokers, p.data, 50, 10*time.Second), 50)
	require.Equal(t, 50, p.list(p.box())["invalid_timestamp"].Replayed)
}

// TestReplayBehindAnOpenTransactionReplaysNothing: the record of an earlier replay may be behind
// the transaction of a bridge, where it cannot be read yet.
func TestReplayBehindAnOpenTransactionReplaysNothing(t *testing.T) {
	p := newPlant(t)
	p.write(0, letter(telemetry.ReasonInvalidTimestamp, "d1", reading("d1", 1)))
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.TransactionalID(kafkatest.Name(t, "bridge")), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	require.NoError(t, cl.BeginTransaction())
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: p.letters, Value: []byte("open"), Partition: 0}).FirstErr())

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	a := p.box().answerReplay(ctx, []byte(`{"reason":"invalid_timestamp","by":"Li Wei","most":10}`))
	require.Equal(t, errKafkaAway, a.Error)
	require.NoError(t, cl.EndTransaction(t.Context(), kgo.TryCommit))
	require.Equal(t, 1, p.replay(p.box(), telemetry.ReasonInvalidTimestamp, 10).Count)
	require.Len(t, kafkatest.ReadAll(t, p.brokers, p.data, 1, 10*time.Second), 1)
}

func TestBadRequestsAreRefused(t *testing.T) {
	b, err := New(Options{Log: slog.New(slog.DiscardHandler), DeadLetters: "l", DeviceData: "d", TransactionalID: "t"})
	require.NoError(t, err)
	for _, q := range []string{``, `{}`, `{"reason":"x","most":1}`, `{"by":"y","most":1}`, `{"reason":"x","by":"y","most":5001}`, strings.Repeat("[", 100)} {
		require.Contains(t, b.answerReplay(t.Context(), []byte(q)).Error, "want a reason", q)
	}
	_, err = New(Options{})
	require.Error(t, err)
}

func TestStrangersReasonsAreBounded(t *testing.T) {
	var x index
	for i := range 500 {
		x.reason(fmt.Sprint(i))
	}
	x.reason(strings.Repeat("x", maxReason+1))
	require.LessOrEqual(t, len(x.reasons), maxReasons+1)
}
