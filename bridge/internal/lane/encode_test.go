package lane

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var topics = topology.Topics{DeviceData: "data", DeadLetters: "dlq", Checkpoints: "checkpoints"}

// record is a copy of a record passed to a producer.
type record struct {
	topic      string
	partition  int32
	key, value string
	headers    []string
}

// recorder is a producer that remembers.
type recorder struct {
	records []record
	err     error
}

func (r *recorder) Begin() error  { return nil }
func (r *recorder) Commit() error { return r.err }
func (r *recorder) Close() error  { return nil }

func (r *recorder) Acknowledged(topic string) (int, error) {
	n := 0
	for i := range r.records {
		if r.records[i].topic == topic {
			n++
		}
	}
	return n, r.err
}

func (r *recorder) Send(m *sarama.ProducerMessage) error { return r.SendTo(-1, m) }

func (r *recorder) SendTo(partition int32, m *sarama.ProducerMessage) error {
	rec := record{topic: m.Topic, partition: partition, key: "<none>"}
	if m.Key != nil {
		key, err := m.Key.Encode()
		if err != nil {
			return err
		}
		rec.key = string(key)
	}
	value, err := m.Value.Encode()
	if err != nil {
		return err
	}
	rec.value = string(value)
	for _, h := range m.Headers {
		rec.headers = append(rec.headers, string(h.Key)+"="+string(h.Value))
	}
	r.records = append(r.records, rec)
	return r.err
}

func pack(tb testing.TB, epoch, counter uint64, entries ...wire.PackEntry) *wire.Pack {
	tb.Helper()
	var b wire.PackBuilder
	b.Reset(epoch, counter)
	for _, e := range entries {
		b.Add(e)
	}
	p, err := wire.OpenPack(b.Finish())
	require.NoError(tb, err)
	return p
}

func readings(n int) []wire.PackEntry {
	out := make([]wire.PackEntry, n)
	for i := range out {
		out[i] = wire.PackEntry{Device: "d", Payload: []byte("{}")}
	}
	return out
}

func itemOf(p *wire.Pack, seq uint64) *item {
	return &item{
		gateway: &gateway{id: "gw", text: []byte("gw")}, pack: p,
		next: checkpoint.Checkpoint{Gateway: "gw", Seq: seq, Epoch: 0xab, Counter: 1},
	}
}

func TestRecordsOfAPack(t *testing.T) {
	now := time.UnixMilli(1_700_000_020_000)
	it := itemOf(pack(t, 0xab, 1,
		wire.PackEntry{Device: "d1", Received: 1_700_000_015_000, Payload: []byte("one\n")},
		wire.PackEntry{Device: "d2", Received: 1_700_000_015_000, Payload: nil},
		wire.PackEntry{Received: 1_700_000_015_002, Payload: []byte("bad"), Refusal: &telemetry.Refusal{
			Reason: telemetry.ReasonInvalidJSON, Field: "x", Message: strings.Repeat("m", 2000),
		}},
		wire.PackEntry{Device: "d1", Received: 1_700_000_015_003, Payload: []byte("two"), Mapping: "tasmota"},
	), 77)
	var got recorder
	var b batch
	e := newEncoder(topics, 2)
	e.begin(now)
	b.add(it)
	require.NoError(t, e.send(&got, &b, it))
	common := func(index, received string) []string {
		return []string{"iot-gateway=gw", "iot-epoch=00000000000000ab", "iot-seq=77", "iot-index=" + index, "iot-received=" + received}
	}
	require.Equal(t, []record{
		{"data", -1, "d1", "one\n", common("0", "1700000015000")},
		{"data", -1, "d2", "", common("1", "1700000015000")},
		{"dlq", -1, "<none>", "ba", append(common("2", "1700000015002"),
			"iot-reason=invalid_json", "iot-field=x", "iot-message="+strings.Repeat("m", maxRefusalText), "iot-truncated=3")},
		{"data", -1, "d1", "two", append(common("3", "1700000015003"), "iot-mapping=tasmota")},
	}, got.records)
	require.Equal(t, sent{readings: 3, letters: 1, packs: 1}, b.sent)
	require.Empty(t, b.losses)
}

func TestBackfillIsMarked(t *testing.T) {
	for name, tc := range map[string]struct {
		age  time.Duration
		mark bool
	}{"live": {10 * time.Second, false}, "waited": {10*time.Second + time.Millisecond, true}, "clock ahead": {-time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			now := time.UnixMilli(1_700_000_000_000)
			it := itemOf(pack(t, 1, 1, wire.PackEntry{Device: "d", Received: now.Add(-tc.age).UnixMilli(), Payload: []byte("x")}), 1)
			content := contentOf(1, it.pack, now)
			require.Equal(t, tc.mark, content.Late)
			it.late = content.Late
			var got recorder
			e := newEncoder(topics, 2)
			e.begin(now)
			require.NoError(t, e.send(&got, &batch{}, it))
			require.Equal(t, tc.mark, strings.Contains(fmt.Sprint(got.records[0].headers), "iot-backfill=1"))
		})
	}
}

func TestContentOfAPack(t *testing.T) {
	var b wire.PackBuilder
	b.Reset(0xab, 7)
	b.Follow(wire.PackTotals{Readings: 100, Refused: 3})
	b.Add(wire.PackEntry{Device: "d", Received: 5, Payload: []byte("x")})
	b.Add(wire.PackEntry{Device: "d", Received: 6, Refusal: &telemetry.Refusal{Reason: telemetry.ReasonEmpty}})
	b.Add(wire.PackEntry{Device: "d", Received: 7, Payload: []byte("y")})
	p, err := wire.OpenPack(b.Finish())
	require.NoError(t, err)
	require.Equal(t, checkpoint.Pack{
		Seq: 9, Epoch: 0xab, Counter: 7, At: 5, Before: wire.PackTotals{Readings: 100, Refused: 3}, Holds: wire.PackTotals{Readings: 2, Refused: 1},
	}, contentOf(9, p, time.UnixMilli(5)))
	n := 0
	for _, ok := p.Next(); ok; _, ok = p.Next() {
		n++
	}
	require.Equal(t, 3, n, "looking uses nothing up")
}

func TestLargeIndexesAreSpelled(t *testing.T) {
	e := newEncoder(topics, 0)
	for _, i := range []int{0, 9, 10, 4095, 4096, 1_000_000} {
		require.Equal(t, fmt.Sprint(i), string(e.indexText(i)))
	}
	e.begin(time.Now())
	for range preformatted {
		e.number(9999)
	}
	for i := range preformatted {
		require.Equal(t, fmt.Sprint(i), string(e.indexText(i)), "later text does not overwrite it")
	}
}

func TestDamagedPackLeavesANote(t *testing.T) {
	it := itemOf(nil, 5)
	it.damaged = []byte("rubbish")
	var got recorder
	var b batch
	e := newEncoder(topics, 100)
	e.begin(time.UnixMilli(1000))
	b.add(it)
	require.NoError(t, e.send(&got, &b, it))
	require.Equal(t, []record{{"dlq", -1, "<none>", "rubbish", []string{
		"iot-gateway=gw", "iot-seq=5", "iot-index=0", "iot-received=1000",
		"iot-reason=damaged_pack", "iot-field=", "iot-message=the gateway's pack is unreadable",
	}}}, got.records)
	require.Equal(t, sent{letters: 1, packs: 1, damaged: 1}, b.sent)
}

func TestCheckpointGoesToTheLanesPartition(t *testing.T) {
	var got recorder
	e := newEncoder(topics, 0)
	m := update{to: checkpoint.Checkpoint{Gateway: "gw", Seq: 9, Epoch: 1, Counter: 2}}
	require.NoError(t, e.sendCheckpoint(&got, 3, &m))
	require.Len(t, got.records, 1)
	require.Equal(t, "checkpoints", got.records[0].topic)
	require.Equal(t, int32(3), got.records[0].partition)
	require.Equal(t, "gw", got.records[0].key)
	c, err := checkpoint.Decode([]byte(got.records[0].value))
	require.NoError(t, err)
	require.Equal(t, m.to, c)
}

func TestSendStopsAtTheFirstError(t *testing.T) {
	got := recorder{err: errors.New("no")}
	it := itemOf(pack(t, 1, 1, wire.PackEntry{Device: "d"}, wire.PackEntry{Device: "d"}), 1)
	require.Error(t, newEncoder(topics, 0).send(&got, &batch{}, it))
	require.Len(t, got.records, 1)
}

// discard is a producer that ignores its records.
type discard struct{ recorder }

func (*discard) Send(*sarama.ProducerMessage) error { return nil }

func BenchmarkEncode(b *testing.B) {
	const readings = 300
	var pb wire.PackBuilder
	pb.Reset(1, 1)
	for i := range readings {
		pb.Add(wire.PackEntry{
			Device: fmt.Sprintf("device_%03d", i), Received: time.Now().UnixMilli() + int64(i/100), Payload: make([]byte, 560),
		})
	}
	data := pb.Finish()
	e := newEncoder(topics, 0)
	it := itemOf(nil, 1)
	var bt batch
	var p discard
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		var err error
		if it.pack, err = wire.OpenPack(data); err != nil {
			b.Fatal(err)
		}
		e.begin(time.Now())
		if err := e.send(&p, &bt, it); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*readings), "ns/record")
}
