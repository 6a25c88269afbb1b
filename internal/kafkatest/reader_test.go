package kafkatest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"industrial-iot-monitor/internal/kafka"
)

func TestCatchUpEndsWithItsContext(t *testing.T) {
	r, err := NewReader(Brokers(t), Name(t, "absent"))
	require.NoError(t, err)
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.CatchUp(ctx, func(*kgo.Record) error { return nil }), context.DeadlineExceeded)
}

func TestNoRecordIsLostWhenPollEnds(t *testing.T) {
	brokers, topic := Brokers(t), Name(t, "reader")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, kafka.EnsureTopics(ctx, slog.New(slog.DiscardHandler), kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 3}))
	Produce(t, brokers, topic, 0, Record{Value: []byte("1")}, Record{Value: []byte("2")}, Record{Value: []byte("3")})
	r, err := NewReader(brokers, topic)
	require.NoError(t, err)
	defer r.Close()
	require.Eventually(t, func() bool { return r.client.BufferedFetchRecords() > 0 }, time.Minute, 10*time.Millisecond)

	records := 0
	count := func(*kgo.Record) error { records++; return nil }
	over, end := context.WithCancel(ctx)
	end()
	require.ErrorIs(t, r.Poll(over, count), context.Canceled)
	require.NoError(t, r.CatchUp(ctx, count))
	require.Equal(t, 3, records, "what had been fetched when the first call ended is not lost")
}
