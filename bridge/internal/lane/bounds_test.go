package lane

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

func TestNewRefusesIncompleteOptions(t *testing.T) {
	whole := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil }).o
	for name, change := range map[string]func(*Options){
		"no log":         func(o *Options) { o.Log = nil },
		"no producer":    func(o *Options) { o.Open = nil },
		"no roster":      func(o *Options) { o.Roster = nil },
		"no progress":    func(o *Options) { o.Progress = nil },
		"no metrics":     func(o *Options) { o.Metrics = nil },
		"no transaction": func(o *Options) { o.MaxReadings = 0 },
		"no lanes":       func(o *Options) { o.Lanes = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := whole
			change(&o)
			_, err := New(o)
			require.Error(t, err)
		})
	}
}

func TestUncommittedPacksAreBoundedInBytes(t *testing.T) {
	p := &puller{
		live: &liveGateway{},
		r:    &run{budget: semaphore.NewWeighted(memory), packs: make(chan item, 3)},
		g:    &gateway{id: "gw"},
	}
	next := func(seq uint64) item { return item{next: checkpoint.Checkpoint{Seq: seq}} }
	require.NoError(t, p.enqueueData(t.Context(), next(1), memory/2))
	require.NoError(t, p.enqueueData(t.Context(), next(2), memory/2))
	require.Equal(t, uint64(2), p.g.pos.Seq)
	full, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.enqueueData(full, next(3), 1), context.Canceled, "it waits for memory")
	require.Equal(t, uint64(2), p.g.pos.Seq)

	first := <-p.r.packs
	require.Equal(t, int64(memory/2), first.weight)
	require.Same(t, p.g, first.gateway)
	p.r.budget.Release(2 * first.weight)
}

func TestMemoryOfAPackThatWasNotEnqueuedIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &puller{live: &liveGateway{}, r: &run{budget: semaphore.NewWeighted(memory), packs: make(chan item)}, g: &gateway{id: "gw"}}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- p.enqueueData(ctx, item{}, 10*memory) }()
		synctest.Wait()
		require.False(t, p.r.budget.TryAcquire(1), "a pack larger than the memory takes all of it")
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
		require.True(t, p.r.budget.TryAcquire(memory))
	})
}

// A gateway wrote a pack whose checksum is right and whose second entry is not readable.
func TestPackWithAnUnreadableEntryIsBridgedUpToIt(t *testing.T) {
	r := newRunning(t, nil)
	one := len(r.build(readings(1)...))
	r.counter, r.totals = 0, wire.PackTotals{}
	data := r.build(readings(3)...)
	end := len(data) - 4
	data[one-4] = 99 // the kind of the second entry
	binary.BigEndian.PutUint32(data[end:], crc32.Checksum(data[:end], crc32.MakeTable(crc32.Castagnoli)))
	r.put(data)
	r.run()
	c := r.reaches(1)
	require.Equal(t, checkpoint.Counts{Committed: 1, Damaged: 2, DamagedPacks: 1, Late: 1}, c.Ledger.Total())
	require.Len(t, r.store.in(topics.DeviceData), 1)
	letters := r.store.in(topics.DeadLetters)
	require.Len(t, letters, 1)
	require.Equal(t, "1", header(letters[0], wire.HeaderIndex))
	r.shows(1, "bridge_losses_total")
}

func TestLaneReadsItsOwnGatewaysOnly(t *testing.T) {
	const others = "aa" // before gw-a on the roster
	require.NotEqual(t, Of(others, 4), Of("gw-a", 4))
	r := newRunning(t, func(o *Options) { o.Lanes, o.Partition = 4, Of("gw-a", 4) })
	data, err := wire.GatewayStatus{Gateway: others}.Encode()
	require.NoError(t, err)
	_, err = r.roster.Observe(wire.StatusSubject(others), data)
	require.NoError(t, err)
	r.testGateway.store(1, 1)
	r.run()
	r.reaches(1)
	require.Equal(t, []string{"gw-a"}, r.lane.o.Progress.Gateways())
}

func TestLedgerIncludesAnEpochWithoutPacks(t *testing.T) {
	pos := Position{Committed: checkpoint.Checkpoint{Gateway: "gw"}}
	beat := wire.GatewayStatus{Epoch: checkpoint.Hex(epochA), Accepted: 7, Packed: wire.PackTotals{Readings: 5}}
	for range 2 { // with and without the epoch in the checkpoint
		l := Ledger(pos, []wire.GatewayStatus{beat}, time.UnixMilli(1))
		require.Len(t, l.Epochs, 1)
		require.Equal(t, []uint64{7, 5}, []uint64{l.Total.Accepted, l.Total.Packed})
		pos.Committed.Ledger.Epochs = []checkpoint.EpochLedger{{Epoch: epochA}}
	}
}

// collecting is a collector whose pullers and committer are the test.
func collecting(t *testing.T, most int, shortest, longest time.Duration) *run {
	t.Helper()
	l := testLane(t, func(context.Context) (Producer, map[string][]byte, error) { return nil, nil, nil })
	l.o.MaxReadings, l.o.CommitMin, l.o.CommitMax = most, shortest, longest
	r := &run{Lane: l, packs: make(chan item), ready: make(chan *batch), free: make(chan *batch, 2)}
	go func() { _ = r.collect(t.Context()) }()
	return r
}

func TestCollectorFlushesWhenFullOrAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := collecting(t, 10, 0, time.Second)
		r.packs <- *itemOf(pack(t, 1, 1, readings(4)...), 1)
		r.packs <- *itemOf(pack(t, 1, 2, readings(4)...), 2)
		start := time.Now()
		b := <-r.ready
		require.Equal(t, time.Second, time.Since(start), "it waits for more")
		require.Len(t, b.items, 2)

		r.packs <- *itemOf(pack(t, 1, 3, readings(8)...), 3)
		r.packs <- *itemOf(pack(t, 1, 4, readings(3)...), 4) // 11 do not fit into 10
		start = time.Now()
		b = <-r.ready
		require.Zero(t, time.Since(start), "it is full")
		require.Equal(t, uint64(3), b.items[len(b.items)-1].next.Seq)
		b = <-r.ready
		require.Zero(t, time.Since(start), "the pack that did not fit has waited")
		require.Equal(t, uint64(4), b.items[0].next.Seq)

		used := &batch{items: make([]item, 0, 7)}
		synctest.Wait() // the collector has its next batch
		r.free <- used
		r.packs <- *itemOf(pack(t, 1, 5, readings(10)...), 5)
		<-r.ready
		r.packs <- *itemOf(pack(t, 1, 6, readings(10)...), 6)
		require.Same(t, used, <-r.ready, "batches are reused")
	})
}

func TestFirstPackOfABatchStartsTheWait(t *testing.T) {
	for _, wait := range []time.Duration{0, 1, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := collecting(t, 10, 0, wait)
			start := time.Now()
			r.packs <- *itemOf(pack(t, 1, 1, readings(1)...), 1)
			<-r.ready
			require.Equal(t, wait, time.Since(start))
		})
	}
}

// The time of a transaction follows the rate: it gathers what is worth one, not longer than
// CommitMax, and not shorter than CommitMin.
func TestTransactionsFollowTheRate(t *testing.T) {
	const shortest, longest = 50 * time.Millisecond, 500 * time.Millisecond
	for name, c := range map[string]struct {
		every    time.Duration // between packs
		readings int           // in each
		want     time.Duration
	}{
		"few":                {100 * time.Millisecond, 10, longest},
		"2,000 a second":     {10 * time.Millisecond, 20, 170 * time.Millisecond}, // the 18th pack
		"20,000 a second":    {10 * time.Millisecond, 200, shortest},
		"one pack of enough": {time.Hour, enoughReadings, shortest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				r := collecting(t, 5000, shortest, longest)
				it := itemOf(pack(t, 1, 1, readings(c.readings)...), 1)
				start := time.Now()
				go func() {
					for lifecycle.Pause(ctx, 0) {
						select {
						case r.packs <- *it:
						case <-ctx.Done():
						}
						lifecycle.Pause(ctx, c.every)
					}
				}()
				<-r.ready
				require.Equal(t, c.want, time.Since(start))
				cancel()
			})
		})
	}
}

func TestBatchWaitsForWhatItIsWorth(t *testing.T) {
	for name, c := range map[string]struct {
		b    batch
		want time.Duration
	}{
		"little":              {batch{entries: enoughReadings - 1, weight: enoughBytes - 1}, time.Second},
		"enough readings":     {batch{entries: enoughReadings}, time.Millisecond},
		"enough bytes":        {batch{weight: enoughBytes}, time.Millisecond},
		"a backlog drains":    {batch{entries: 1, hurry: true}, 0},
		"and there is plenty": {batch{entries: enoughReadings, hurry: true}, 0},
	} {
		require.Equal(t, c.want, c.b.wait(time.Millisecond, time.Second), name)
	}
}

func TestViewHasThePackAtASequence(t *testing.T) {
	g := newTestGateway(t, 0)
	v, err := g.view(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, checkpoint.View{}, v, "an empty stream")
	g.store(3, 1)
	g.put([]byte("no pack"))
	v, err = g.view(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, checkpoint.View{First: 1, Last: 4, Anchor: checkpoint.Anchor{Readable: true, Epoch: epochA, Counter: 1}}, v)
	s, err := g.js.Stream(t.Context(), wire.PackStream("gw-a"))
	require.NoError(t, err)
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSequence(2)))
	for seq, want := range map[uint64]checkpoint.Anchor{
		0: {}, 1: {}, 2: {Readable: true, Epoch: epochA, Counter: 2}, 3: {Readable: true, Epoch: epochA, Counter: 3}, 4: {}, 5: {},
	} {
		v, err := g.view(t.Context(), seq)
		require.NoError(t, err)
		require.Equal(t, checkpoint.View{First: 2, Last: 4, Anchor: want}, v, "sequence %d", seq)
	}
	require.NoError(t, s.DeleteMsg(t.Context(), 3))
	v, err = g.view(t.Context(), 3)
	require.NoError(t, err)
	require.False(t, v.Anchor.Readable, "a hole")
}

func TestStreamIsNotTrimmedWithoutItsConsumer(t *testing.T) {
	g := newTestGateway(t, 0)
	g.store(5, 1)
	cons, err := g.consume(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, g.trim(t.Context(), cons, 3))
	require.Equal(t, uint64(3), g.state().FirstSeq)
	g.drop(t.Context(), cons)
	require.ErrorIs(t, g.trim(t.Context(), cons, 5), jetstream.ErrConsumerNotFound)
	require.Equal(t, uint64(3), g.state().FirstSeq)
}

func TestUnreadableGatewayIsRetriedAndWarnedAboutOnce(t *testing.T) {
	var out strings.Builder
	r := newRunning(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	r.testGateway.store(1, 1)
	r.beat(r.roster, "")
	stream, err := r.js.Stream(t.Context(), wire.PackStream("gw-a"))
	require.NoError(t, err)
	require.NoError(t, r.js.DeleteStream(t.Context(), wire.PackStream("gw-a")))
	r.runLane()
	for warnings := 1; warnings <= 2; warnings++ {
		failures := r.metric("bridge_pull_failures_total")
		require.Eventually(t, func() bool { return r.metric("bridge_pull_failures_total") >= failures+3 }, waitTimeout, time.Millisecond)
		_, err = r.js.CreateStream(t.Context(), stream.CachedInfo().Config)
		require.NoError(t, err)
		r.epoch, r.counter, r.totals = uint64(warnings), 0, wire.PackTotals{}
		r.testGateway.store(1, 1)
		require.Eventually(t, func() bool { return r.store.checkpoint(t).Epoch == r.epoch }, waitTimeout, time.Millisecond)
		require.NoError(t, r.js.DeleteStream(t.Context(), wire.PackStream("gw-a")))
	}
	r.stop()
	require.Equal(t, 2, strings.Count(out.String(), "gateway readable again"))
	require.LessOrEqual(t, strings.Count(out.String(), "gateway unreadable, retrying"), 3, "the last deletion may be noticed")
	require.GreaterOrEqual(t, strings.Count(out.String(), "gateway unreadable, retrying"), 2)
}

func TestBacklogBoundaries(t *testing.T) {
	for name, c := range map[string]struct {
		s    wire.GatewayStatus
		want bool
	}{
		"one pack too few": {wire.GatewayStatus{LastSeq: 100 + behindPacks, BufferLimit: 100}, false},
		"enough packs":     {wire.GatewayStatus{LastSeq: 101 + behindPacks, BufferBytes: 49, BufferLimit: 100}, true},
		"half full":        {wire.GatewayStatus{LastSeq: 101 + behindPacks, BufferBytes: 50, BufferLimit: 100}, false},
	} {
		c.s.Gateway = "gw-a"
		p := &puller{live: &liveGateway{}, r: heard(t, c.s), g: &gateway{id: "gw-a"}}
		require.Equal(t, c.want, p.unhurried(Position{Committed: checkpoint.Checkpoint{Seq: 100}}), name)
	}
}

func TestPackSizesAreAveraged(t *testing.T) {
	var p pace
	for _, c := range [][2]int{{8000, 8000}, {16_000, 9000}, {1000, 8000}} {
		p.observe(c[0])
		require.Equal(t, c[1], p.size)
	}
	var empty pace
	empty.observe(0)
	require.Equal(t, 1, empty.size)
	for range 1000 {
		p.observe(0)
	}
	require.Positive(t, p.size)
	require.Less(t, p.size, 10)
}

func TestContentOfAPackCountsItsEntriesAndLeavesItUnread(t *testing.T) {
	refused := wire.PackEntry{Refusal: &telemetry.Refusal{Reason: telemetry.ReasonEmpty}}
	entries := append(readings(3), refused, refused)
	p := pack(t, epochA, 7, entries...)
	now := time.UnixMilli(p.Header.Base).Add(wire.BackfillAge)
	c := contentOf(9, p, now)
	require.Equal(t, checkpoint.Pack{Seq: 9, Epoch: epochA, Counter: 7, At: p.Header.Base, Holds: wire.PackTotals{Readings: 3, Refused: 2}}, c)
	require.True(t, contentOf(9, p, now.Add(time.Millisecond)).Late)
	n := 0
	for _, ok := p.Next(); ok; _, ok = p.Next() {
		n++
	}
	require.Equal(t, 5, n)
}

func TestGatewaysThatAreReadAreCounted(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(1, 1)
	r.run()
	r.reaches(1)
	require.Equal(t, 1, r.lane.o.Progress.reading())
	r.stop()
	require.Zero(t, r.lane.o.Progress.reading())
}

func TestFailedTrimIsCountedAndRetried(t *testing.T) {
	r := newRunning(t, nil)
	r.testGateway.store(10, 1)
	stream, err := r.js.Stream(t.Context(), wire.PackStream("gw-a"))
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	config.DenyPurge = true
	_, err = r.js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
	r.run()
	r.reaches(10)
	require.Eventually(t, func() bool { return r.metric("bridge_trim_failures_total") >= 2 }, waitTimeout, time.Millisecond)
	require.Equal(t, uint64(1), r.state().FirstSeq)
	r.testGateway.store(1, 1)
	r.reaches(11) // the lane continues
}

func TestTextOfThePreviousTransactionIsDropped(t *testing.T) {
	e := newEncoder(topics, 0)
	e.number(1234)
	e.begin(time.UnixMilli(1_700_000_000_000))
	require.Empty(t, e.digits)
	require.NoError(t, e.sendCheckpoint(&stamped{t: t, want: time.UnixMilli(1_700_000_000_000)}, 0, &update{}))
}

// stamped is a producer that checks the time of its records.
type stamped struct {
	recorder
	t    *testing.T
	want time.Time
}

func (s *stamped) SendTo(_ int32, m *sarama.ProducerMessage) error {
	require.True(s.t, s.want.Equal(m.Timestamp))
	return nil
}
