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
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/kafka"
)

// The lane decides in which partition the checkpoint of a gateway is: these must never change.
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

func emptyRoster(t *testing.T) *roster.Roster {
	t.Helper()
	r, err := roster.New(roster.Options{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return r
}

func testLane(t *testing.T, open func(ctx context.Context) (Producer, map[string][]byte, error)) *Lane {
	t.Helper()
	known := emptyRoster(t)
	l, err := New(Options{
		Lanes: 1, Open: open, Roster: known, Live: testLive(t, &nats.Conn{}, known, prometheus.NewRegistry()), Progress: NewProgress(), Metrics: NewMetrics(prometheus.NewRegistry()),
		Topics: topics, Log: slog.New(slog.DiscardHandler), MaxReadings: 10,
	})
	require.NoError(t, err)
	return l
}

// testLive is the live path of all gateways.
func testLive(tb testing.TB, nc *nats.Conn, known *roster.Roster, reg prometheus.Registerer) *Live {
	tb.Helper()
	l, err := NewLive(LiveOptions{
		NATS: nc, Line: func(string) (*nats.Conn, error) { return nc, nil }, Roster: known, Log: slog.New(slog.DiscardHandler), Registry: reg,
		Serves: func(string) bool { return true },
	})
	require.NoError(tb, err)
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
		require.Equal(t, []time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 5000 * ms, 7000 * ms, 9000 * ms}, at)
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
	l.shrinkDeadLetters(errors.New("something else"))
	require.Equal(t, startDeadLetter, l.maxDeadLetter)
	for range 20 {
		l.shrinkDeadLetters(fmt.Errorf("sending: %w", sarama.ErrMessageSizeTooLarge))
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
	require.Nil(t, r.load("gw-b"))
	require.Equal(t, uint64(3), r.load("gw-a").pos.Seq)
	require.Zero(t, r.load("gw-new").pos.Seq)
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
	require.Equal(t, []update{
		{to: checkpoint.Checkpoint{Gateway: "a", Seq: 3}, items: 3},
		{to: checkpoint.Checkpoint{Gateway: "b", Seq: 1}, items: 1},
	}, b.updates)
	require.Equal(t, int64(40), b.weight)

	big := itemOf(pack(t, 1, 1, readings(11)...), 1)
	require.True(t, (&batch{}).fits(big, 10), "a pack is never divided")
	require.False(t, b.fits(big, 10))
	b.reset()
	require.True(t, b.empty())
	require.Zero(t, b.weight)
	require.Zero(t, b.entries)
	require.Empty(t, b.updates)
	require.Empty(t, b.losses)
	require.Nil(t, b.items[:1][0].gateway, "packs are not kept")
	require.Zero(t, b.updates[:1][0])
}

func TestProgress(t *testing.T) {
	p := NewProgress()
	at := func(seq uint64, at int64) checkpoint.Checkpoint {
		return checkpoint.Checkpoint{Gateway: "gw", Seq: seq, At: at}
	}
	p.Own(2)
	p.Begin(2, at(7, 0))
	require.True(t, p.Owns(2))
	require.False(t, p.Owns(1))
	p.Fetched(at(8, 100))
	p.Fetched(at(9, 110))
	pos, ok := p.Position("gw")
	require.True(t, ok)
	require.Equal(t, Position{Lane: 2, Committed: at(7, 0), Fetched: at(9, 110), Oldest: 100}, pos)
	p.commit([]update{{to: at(8, 100), items: 1}})
	pos, _ = p.Position("gw")
	require.Equal(t, Position{Lane: 2, Committed: at(8, 100), Fetched: at(9, 110), Oldest: 100}, pos)
	p.commit([]update{{to: at(9, 110), items: 1}})
	pos, _ = p.Position("gw")
	require.Equal(t, Position{Lane: 2, Committed: at(9, 110), Fetched: at(9, 110)}, pos)
	require.Equal(t, []string{"gw"}, p.Gateways())
	p.Disown(2)
	_, ok = p.Position("gw")
	require.False(t, ok)
	require.False(t, p.Owns(2))
	require.Empty(t, p.Gateways())
	p.Fetched(at(1, 1)) // of no lane
	p.Begin(2, checkpoint.Checkpoint{Gateway: "other"})
	p.commit([]update{{to: at(1, 1)}, {to: checkpoint.Checkpoint{Gateway: "other", Seq: 4}}})
	pos, ok = p.Position("other")
	require.True(t, ok)
	require.Equal(t, uint64(4), pos.Committed.Seq, "a gateway of no lane is skipped alone")
}

// miscounting is a producer whose broker has another number of records than was sent.
type miscounting struct{ recorder }

func (m *miscounting) Acknowledged(topic string) (int, error) {
	n, err := m.recorder.Acknowledged(topic)
	return n - 1, err
}

func (m *miscounting) Commit() error { return errors.New("it was committed") }

func TestMiscountedTransactionIsNotCommitted(t *testing.T) {
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	r := &run{Lane: l, producer: &miscounting{}, records: newEncoder(topics, 0)}
	var b batch
	b.add(itemOf(pack(t, 1, 1, readings(3)...), 1))
	require.ErrorIs(t, r.transact(&b, time.Now()), errMiscounted)
	r.producer = &recorder{}
	b.sent = sent{}
	b.items[0].pack = pack(t, 1, 1, readings(3)...)
	require.NoError(t, r.transact(&b, time.Now()))
}

// failing is a producer that fails at one step of a transaction.
type failing struct {
	recorder
	step      string
	committed bool
}

var errStep = errors.New("kafka refuses")

func (f *failing) at(step string) error {
	if f.step == step {
		return errStep
	}
	return nil
}

func (f *failing) Begin() error { return f.at("begin") }

func (f *failing) Send(m *sarama.ProducerMessage) error {
	return errors.Join(f.at("send"), f.recorder.Send(m))
}

func (f *failing) SendTo(partition int32, m *sarama.ProducerMessage) error {
	return errors.Join(f.at("checkpoint"), f.recorder.SendTo(partition, m))
}

func (f *failing) Acknowledged(topic string) (int, error) {
	n, err := f.recorder.Acknowledged(topic)
	return n, errors.Join(f.at("acknowledge"), err)
}

func (f *failing) Commit() error {
	if err := f.at("commit"); err != nil {
		return err
	}
	f.committed = true
	return nil
}

func TestTransactionThatFailsAtAnyStepIsNotCommitted(t *testing.T) {
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	for _, step := range []string{"begin", "send", "checkpoint", "acknowledge", "commit", "none"} {
		t.Run(step, func(t *testing.T) {
			p := &failing{step: step}
			r := &run{Lane: l, producer: p, records: newEncoder(topics, 0)}
			var b batch
			b.add(itemOf(pack(t, 1, 1, readings(3)...), 1))
			err := r.transact(&b, time.Now())
			if step == "none" {
				require.NoError(t, err)
				require.True(t, p.committed)
				return
			}
			require.ErrorIs(t, err, errStep)
			require.False(t, p.committed)
		})
	}
}
