package feed

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/state"
)

func TestEachPartIsRequired(t *testing.T) {
	good := func() Options {
		return Options{
			Model: state.New(state.Options{}), Trail: audit.NewTrail(1), HubURL: "nats://127.0.0.1:1", Cluster: kafka.At("127.0.0.1:1"),
			Topics: kafkatest.Topics(t), Log: quiet, Registry: prometheus.NewRegistry(),
		}
	}
	_, err := New(good())
	require.NoError(t, err)
	for name, change := range map[string]func(*Options){
		"Model": func(o *Options) { o.Model = nil }, "Trail": func(o *Options) { o.Trail = nil }, "HubURL": func(o *Options) { o.HubURL = "" },
		"Brokers": func(o *Options) { o.Cluster.Brokers = nil }, "Log": func(o *Options) { o.Log = nil }, "Registry": func(o *Options) { o.Registry = nil },
		"Alerts": func(o *Options) { o.Topics.Alerts = "" }, "DeviceState": func(o *Options) { o.Topics.DeviceState = "" }, "Audit": func(o *Options) { o.Topics.Audit = "" },
	} {
		o := good()
		change(&o)
		_, err := New(o)
		require.ErrorIs(t, err, errMissing, name)
	}
}

func TestCaughtUpMeansEveryPartition(t *testing.T) {
	calls := 0
	var restarted []int32
	tl := newTail(tailOptions{Log: quiet, CaughtUp: func() { calls++ }, Restart: func(p int32) { restarted = append(restarted, p) }})
	pos := tl.positionsOf([]int32{0, 1})
	require.Equal(t, sarama.OffsetOldest, pos[0].next)
	pos[0].next = 7
	require.Same(t, pos[0], tl.positionsOf([]int32{0, 1})[0], "a new session goes on where the last one was")

	tl.reachedEnd(pos[0])
	tl.reachedEnd(pos[0])
	require.Zero(t, calls)
	require.False(t, tl.caughtUp())
	tl.reachedEnd(pos[1])
	require.Equal(t, 1, calls)
	require.True(t, tl.caughtUp())
	tl.reachedEnd(pos[1])
	require.Equal(t, 1, calls, "once for each time")

	tl.restart(0, pos[0])
	require.Equal(t, position{next: sarama.OffsetOldest}, *pos[0], "its records are old until the end is reached again")
	require.Equal(t, []int32{0}, restarted)
	require.True(t, tl.caughtUp(), "what was read is still served")
	tl.reachedEnd(pos[0])
	require.Equal(t, 2, calls)
}

// offsets is a client that knows the start of partitions.
type offsets struct {
	sarama.Client

	oldest int64
	err    error
}

func (o offsets) GetOffset(string, int32, int64) (int64, error) { return o.oldest, o.err }

func TestFirstReadIsLimitedToTheLastRecords(t *testing.T) {
	oldest := position{next: sarama.OffsetOldest, started: true}
	for name, c := range map[string]struct {
		last, oldest, end int64
		want              position
	}{
		"no limit":             {0, 0, 25, position{next: sarama.OffsetOldest}},
		"more than the limit":  {10, 0, 25, position{next: 15, started: true, skipped: true}},
		"exactly the limit":    {10, 15, 25, oldest},
		"one more":             {10, 14, 25, position{next: 15, started: true, skipped: true}},
		"less than the limit":  {10, 20, 25, oldest},
		"an empty partition":   {10, 0, 0, oldest},
		"the first of records": {10, 0, 10, oldest},
	} {
		tl := newTail(tailOptions{Log: quiet, Last: c.last})
		pos := &position{next: sarama.OffsetOldest}
		require.NoError(t, tl.chooseStart(offsets{oldest: c.oldest}, 0, pos, c.end), name)
		require.Equal(t, c.want, *pos, name)
		require.NoError(t, tl.chooseStart(offsets{}, 0, pos, 1000), name)
		require.Equal(t, c.want, *pos, "%s: only the first read is limited", name)
	}
	tl, failed := newTail(tailOptions{Log: quiet, Last: 1}), errors.New("no answer")
	pos := &position{next: sarama.OffsetOldest}
	require.ErrorIs(t, tl.chooseStart(offsets{err: failed}, 0, pos, 10), failed)
	require.False(t, pos.started)
}

func TestFailureCountsForSomeSeconds(t *testing.T) {
	tl := newTail(tailOptions{Log: quiet})
	require.False(t, tl.failing())
	tl.failed()
	require.True(t, tl.failing())
	tl.lastFailure.Store(time.Now().Add(-failingFor).UnixNano())
	require.False(t, tl.failing())
}
