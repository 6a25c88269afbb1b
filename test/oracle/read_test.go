package oracle

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/wire"
)

// produce writes readings of a device in one transaction, which it commits or aborts.
func produce(t *testing.T, brokers []string, topic, device string, commit bool, timestamps ...int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.TransactionalID(kafkatest.Name(t, "oracle")))
	require.NoError(t, err)
	defer cl.Close()
	require.NoError(t, cl.BeginTransaction())
	for i, ts := range timestamps {
		value := fmt.Sprintf(`{"device_id":%q,"timestamp":%d,"location":{"building":"A栋","floor":1,"room":"101"},"sensors":{}}`, device, ts)
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{
			Topic: topic, Key: []byte(device), Value: []byte(value),
			Headers: []kgo.RecordHeader{
				{Key: wire.HeaderGateway, Value: []byte("gw")},
				{Key: wire.HeaderEpoch, Value: []byte("00")},
				{Key: wire.HeaderSeq, Value: fmt.Append(nil, ts)},
				{Key: wire.HeaderIndex, Value: fmt.Append(nil, i)},
			},
		}).FirstErr())
	}
	end := kgo.TryAbort
	if commit {
		end = kgo.TryCommit
	}
	require.NoError(t, cl.EndTransaction(t.Context(), end))
}

func TestCommittedRecordsAloneCount(t *testing.T) {
	brokers, topic := kafkatest.Brokers(t), kafkatest.Name(t, "oracle")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, kafka.EnsureTopics(ctx, slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 3}))
	start := time.Now().UnixMilli()
	produce(t, brokers, topic, "device_1", true, start, start+1)
	produce(t, brokers, topic, "device_2", false, start+2)

	o := New()
	o.Acked("device_1", start)
	o.Acked("device_2", start+2)
	require.NoError(t, o.Read(ctx, brokers, topic))
	v := o.Verdict()
	require.Equal(t, 2, v.Records)
	require.Equal(t, 1, v.Lost, "an aborted record does not count")

	produce(t, brokers, topic, "device_2", true, start+2)
	o = New()
	o.Acked("device_1", start)
	o.Acked("device_2", start+2)
	require.NoError(t, o.Read(ctx, brokers, topic))
	v = o.Verdict()
	require.NoError(t, v.Err())
	require.Equal(t, 3, v.Records)
	require.Equal(t, 1, v.Foreign)
}

func TestDecodeRefuses(t *testing.T) {
	good := func() *kgo.Record {
		return &kgo.Record{
			Key:   []byte("d"),
			Value: []byte(`{"device_id":"d","timestamp":1640995200000,"location":{"building":"A栋","floor":1,"room":"1"},"sensors":{}}`),
			Headers: []kgo.RecordHeader{
				{Key: wire.HeaderSeq, Value: []byte("12")}, {Key: wire.HeaderIndex, Value: []byte("34")},
			},
		}
	}
	got, err := Decode(good())
	require.NoError(t, err)
	require.Equal(t, Record{Device: "d", Timestamp: 1640995200000, Origin: Origin{Seq: 12, Index: 34}}, got)
	for name, spoil := range map[string]func(*kgo.Record){
		"no reading":  func(r *kgo.Record) { r.Value = []byte("x") },
		"another key": func(r *kgo.Record) { r.Key = []byte("e") },
		"no seq":      func(r *kgo.Record) { r.Headers = r.Headers[1:] },
		"large index": func(r *kgo.Record) { r.Headers[1].Value = []byte("4294967296") },
		"no index":    func(r *kgo.Record) { r.Headers = r.Headers[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			spoil(r)
			_, err := Decode(r)
			require.Error(t, err)
		})
	}
}
