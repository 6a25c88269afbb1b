package tail

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

func TestCaughtUpMeansEveryPartition(t *testing.T) {
	var seen []bool // what others saw during each call
	var restarted []int32
	var tl *Tail
	tl = New(Options{Log: quiet, CaughtUp: func() { seen = append(seen, tl.CaughtUp()) }, Restart: func(p int32) { restarted = append(restarted, p) }})
	pos := tl.positionsOf([]int32{0, 1})
	require.Equal(t, sarama.OffsetOldest, pos[0].next)
	pos[0].next = 7
	require.Same(t, pos[0], tl.positionsOf([]int32{0, 1})[0], "a new session goes on where the last one was")

	tl.reachedEnd(pos[0])
	tl.reachedEnd(pos[0])
	require.Empty(t, seen)
	require.False(t, tl.CaughtUp())
	tl.reachedEnd(pos[1])
	require.Equal(t, []bool{false}, seen, "what is done with the past is done before it is said to be read")
	require.True(t, tl.CaughtUp())
	tl.reachedEnd(pos[1])
	require.Len(t, seen, 1, "once for each time")

	tl.restart(0, pos[0])
	require.Equal(t, position{next: sarama.OffsetOldest}, *pos[0], "its records are old until the end is reached again")
	require.Equal(t, []int32{0}, restarted)
	require.True(t, tl.CaughtUp(), "what was read is still served")
	tl.reachedEnd(pos[0])
	require.Len(t, seen, 2)
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
		tl := New(Options{Log: quiet, Last: c.last})
		pos := &position{next: sarama.OffsetOldest}
		require.NoError(t, tl.chooseStart(offsets{oldest: c.oldest}, 0, pos, c.end), name)
		require.Equal(t, c.want, *pos, name)
		require.NoError(t, tl.chooseStart(offsets{}, 0, pos, 1000), name)
		require.Equal(t, c.want, *pos, "%s: only the first read is limited", name)
	}
	tl, failed := New(Options{Log: quiet, Last: 1}), errors.New("no answer")
	pos := &position{next: sarama.OffsetOldest}
	require.ErrorIs(t, tl.chooseStart(offsets{err: failed}, 0, pos, 10), failed)
	require.False(t, pos.started)
}

func TestFailureCountsForSomeSeconds(t *testing.T) {
	tl := New(Options{Log: quiet})
	require.False(t, tl.Failing())
	tl.Failed()
	require.True(t, tl.Failing())
	tl.lastFailure.Store(time.Now().Add(-failingFor).UnixNano())
	require.False(t, tl.Failing())
}
