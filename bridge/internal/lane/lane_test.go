package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/kafka"
)

// Where a gateway's checkpoint lies follows from its lane: these must never change.
func TestLaneOfAGatewayIsFixed(t *testing.T) {
	for gateway, want := range map[string]int32{"gw-a": 1, "gw-b": 0, "gw-c": 3, "building_17": 2} {
		require.Equal(t, want, Of(gateway, 4), gateway)
	}
	seen := map[int32]int{}
	for i := range 1000 {
		l := Of(fmt.Sprintf("gw-%d", i), 7)
		require.True(t, l >= 0 && l < 7)
		seen[l]++
	}
	require.Len(t, seen, 7)
}

func testLane(t *testing.T, open func(ctx context.Context) (Producer, map[string][]byte, error)) *Lane {
	t.Helper()
	l, err := New(Options{
		Lanes: 1, Open: open, NATS: &nats.Conn{}, Roster: heard(t), Progress: NewProgress(), Metrics: NewMetrics(prometheus.NewRegistry()),
		Topics: topics, Log: slog.New(slog.DiscardHandler), MaxReadings: 10,
	})
	require.NoError(t, err)
	return l
}

func TestLaneTriesAgainWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) {
			at = append(at, time.Since(start))
			if len(at) == 8 {
				cancel()
			}
			return nil, nil, errors.New("kafka is away")
		})
		require.NoError(t, l.Run(ctx))
		const ms = time.Millisecond
		require.Equal(t, []time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms, 11200 * ms, 16200 * ms}, at)
	})
}

func TestFencedLaneIsLeft(t *testing.T) {
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) {
		return nil, nil, fmt.Errorf("opening: %w", kafka.ErrFenced)
	})
	require.ErrorIs(t, l.Run(t.Context()), kafka.ErrFenced)
}

func TestDeadLettersShrinkUntilKafkaTakesThem(t *testing.T) {
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	l.learn(errors.New("something else"))
	require.Equal(t, startDeadLetter, l.maxDeadLetter)
	for range 20 {
		l.learn(fmt.Errorf("sending: %w", sarama.ErrMessageSizeTooLarge))
	}
	require.Zero(t, l.maxDeadLetter)
}

func TestUnreadableCheckpointLeavesItsGatewayAlone(t *testing.T) {
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	good, err := checkpoint.Checkpoint{Gateway: "gw-a", Seq: 3}.Encode()
	require.NoError(t, err)
	got := l.decode(map[string][]byte{"gw-a": good, "gw-b": good, "gw-c": []byte("{")})
	require.Len(t, got, 3)
	require.Equal(t, uint64(3), got["gw-a"].Seq)
	require.Nil(t, got["gw-b"], "it is of another gateway")
	require.Nil(t, got["gw-c"])

	r := &run{Lane: l, start: got}
	require.Nil(t, r.meet("gw-b"))
	require.Equal(t, uint64(3), r.meet("gw-a").pos.Seq)
	require.Zero(t, r.meet("gw-new").pos.Seq)
}

func TestNextBatch(t *testing.T) {
	one := &batch{items: make([]item, 1), entries: 5}
	for name, tc := range map[string]struct {
		b          *batch
		due, held  bool
		take, hand bool
	}{
		"empty":               {b: &batch{}, take: true},
		"empty and due":       {b: &batch{}, due: true, take: true},
		"small":               {b: one, take: true},
		"small and due":       {b: one, due: true, take: true, hand: true},
		"the next is too big": {b: one, held: true, hand: true},
		"full":                {b: &batch{items: make([]item, 1), entries: 10}, take: true, hand: true},
		"checkpoints only":    {b: &batch{items: make([]item, 1)}, due: true, take: true, hand: true},
	} {
		t.Run(name, func(t *testing.T) {
			take, hand := nextBatch(tc.b, 10, tc.due, tc.held)
			require.Equal(t, tc.take, take, "take")
			require.Equal(t, tc.hand, hand, "hand")
		})
	}
}

func TestBatchKeepsTheNewestCheckpoints(t *testing.T) {
	var b batch
	for i, gw := range []string{"a", "b", "a", "a"} {
		b.add(&item{next: checkpoint.Checkpoint{Gateway: gw, Seq: uint64(i)}, weight: 10})
	}
	require.Equal(t, []move{
		{to: checkpoint.Checkpoint{Gateway: "a", Seq: 3}, items: 3},
		{to: checkpoint.Checkpoint{Gateway: "b", Seq: 1}, items: 1},
	}, b.moves)
	require.Equal(t, int64(40), b.weight)

	big := itemOf(pack(t, 1, 1, readings(11)...), 1)
	require.True(t, (&batch{}).fits(big, 10), "a pack is never divided")
	require.False(t, b.fits(big, 10))
	b.reset()
	require.True(t, b.empty())
	require.Zero(t, b.weight)
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProgress()
		p.Own(2)
		p.begin(2, checkpoint.Checkpoint{Gateway: "gw", Seq: 7})
		require.True(t, p.Owns(2))
		require.False(t, p.Owns(1))
		p.fetched("gw", 100)
		p.fetched("gw", 110)
		pos, ok := p.Position("gw")
		require.True(t, ok)
		require.Equal(t, Position{Seq: 7, Oldest: 100}, pos)
		time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
		p.commit([]move{{to: checkpoint.Checkpoint{Gateway: "gw", Seq: 8, At: 100}, items: 1}})
		require.Equal(t, time.Now(), p.Moved())
		pos, _ = p.Position("gw")
		require.Equal(t, Position{Seq: 8, Oldest: 100}, pos)
		p.commit([]move{{to: checkpoint.Checkpoint{Gateway: "gw", Seq: 9, At: 110}, items: 1}})
		pos, _ = p.Position("gw")
		require.Equal(t, Position{Seq: 9}, pos)
		p.Disown(2)
		_, ok = p.Position("gw")
		require.False(t, ok)
		require.False(t, p.Owns(2))
		p.fetched("gw", 1) // nobody's any more
		p.commit([]move{{to: checkpoint.Checkpoint{Gateway: "gw"}}})
	})
}
