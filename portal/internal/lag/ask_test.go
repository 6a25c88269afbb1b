package lag

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/logtest"
)

// answers is a client that knows two partitions.
type answers struct {
	sarama.Client

	ends      map[int32]int64
	committed map[int32]int64 // -1: the group has committed nothing

	noPartitions, noOffsets, noEnd error
}

func (a *answers) Partitions(string) ([]int32, error) { return []int32{0, 1}, a.noPartitions }

func (a *answers) GetOffset(_ string, partition int32, _ int64) (int64, error) {
	return a.ends[partition], a.noEnd
}

// group is an admin that knows what answers says the group committed.
type group struct {
	sarama.ClusterAdmin

	a *answers
}

func (g group) ListConsumerGroupOffsets(_ string, topics map[string][]int32) (*sarama.OffsetFetchResponse, error) {
	resp := &sarama.OffsetFetchResponse{}
	for topic, partitions := range topics {
		for _, p := range partitions {
			if offset, ok := g.a.committed[p]; ok {
				resp.AddBlock(topic, p, &sarama.OffsetFetchResponseBlock{Offset: offset})
			}
		}
	}
	return resp, g.a.noOffsets
}

func poller(tb testing.TB) *Poller {
	tb.Helper()
	p, err := New(Options{Cluster: kafka.At("x:1"), Topic: "t", Group: "g", Log: quiet, Registry: prometheus.NewRegistry()})
	require.NoError(tb, err)
	return p
}

func TestLagCountsFromTheCommitToTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		committed map[int32]int64
		want      []int64
	}{
		"in part":           {map[int32]int64{0: 3, 1: 1}, []int64{5, 3}},
		"everything":        {map[int32]int64{0: 8, 1: 4}, []int64{0, 0}},
		"nothing":           {map[int32]int64{0: -1, 1: -1}, []int64{8, 4}},
		"only the start":    {map[int32]int64{0: 0, 1: 0}, []int64{8, 4}},
		"beyond the end":    {map[int32]int64{0: 9, 1: 50}, []int64{0, 0}},
		"one without reply": {map[int32]int64{1: 2}, []int64{8, 2}},
	} {
		a := &answers{ends: map[int32]int64{0: 8, 1: 4}, committed: c.committed}
		l, err := poller(t).ask(a, group{a: a})
		require.NoError(t, err, name)
		require.Equal(t, []Partition{{Partition: 0, Lag: c.want[0], end: 8}, {Partition: 1, Lag: c.want[1], end: 4}}, l.Partitions, name)
		require.Equal(t, c.want[0]+c.want[1], l.Total, name)
	}
}

// TestPartOfTheLagIsNoAnswer has a different request fail in each case.
func TestPartOfTheLagIsNoAnswer(t *testing.T) {
	failed := errors.New("no reply")
	for reason, a := range map[string]*answers{
		"looking up partitions":         {noPartitions: failed},
		"reading the group's offsets":   {noOffsets: failed},
		"reading the end of partition ": {noEnd: failed},
	} {
		l, err := poller(t).ask(a, group{a: a})
		require.ErrorIs(t, err, failed, reason)
		require.ErrorContains(t, err, reason)
		require.Nil(t, l, reason)
	}
}

func TestAnswerCountsForFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := poller(t)
		require.Nil(t, p.Last())
		p.last = &Lag{Total: 3, At: time.Now().UnixMilli()}
		time.Sleep(staleAfter) //nolint:forbidigo // the bubble's clock
		require.NotNil(t, p.Last())
		time.Sleep(time.Nanosecond) //nolint:forbidigo // the bubble's clock
		require.Nil(t, p.Last())
	})
}

func TestMetricIsTheTotal(t *testing.T) {
	p := poller(t)
	require.InDelta(t, -1, gauge(t, p.o), 0, "unknown")
	p.last = &Lag{Total: 3, At: time.Now().UnixMilli()}
	require.InDelta(t, 3, gauge(t, p.o), 0)
}

// TestFailedSessionIsRetriedAndLogged has Kafka refuse every connection.
func TestFailedSessionIsRetriedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := poller(t), &logtest.Buffer{}
		p.o.Cluster, p.o.Log = kafka.At("127.0.0.1:1"), slog.New(slog.NewTextHandler(log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(every) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 1, strings.Count(log.String(), "retrying"), "the first at once: %s", log)
		require.Contains(t, log.String(), "connecting to kafka")
		require.Contains(t, log.String(), "skipped=0")
		time.Sleep(4 * every) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 2, strings.Count(log.String(), "retrying"), log)
		require.Contains(t, log.String(), "skipped=3\n", "a pause of 3 s after each session, which tries twice in 0.25 s")
		cancel()
		require.NoError(t, <-done)
	})
}

// TestStopDuringASessionIsNoFailure stops while the first connection is retried.
func TestStopDuringASessionIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := poller(t), &logtest.Buffer{}
		p.o.Cluster, p.o.Log = kafka.At("127.0.0.1:1"), slog.New(slog.NewTextHandler(log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the bubble's clock
		cancel()
		require.NoError(t, <-done)
		require.Empty(t, log.String())
	})
}

func TestRateIsHowMuchAPartitionGrew(t *testing.T) {
	before := &Lag{At: 1000, Partitions: []Partition{{Partition: 0, end: 100}, {Partition: 1, end: 50}}}
	l := &Lag{At: 3000, Partitions: []Partition{{Partition: 0, end: 300}, {Partition: 1, end: 40}, {Partition: 2, end: 9}}}
	l.rates(nil)
	require.Nil(t, l.Partitions[0].Rate)
	l.rates(before)
	require.InDelta(t, 100, *l.Partitions[0].Rate, 0)
	require.Nil(t, l.Partitions[1].Rate, "it was made anew")
	require.Nil(t, l.Partitions[2].Rate, "it is new")
}
