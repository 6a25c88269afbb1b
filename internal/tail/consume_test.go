package tail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/kafkatest"
	"industrial-iot-monitor/internal/logtest"
)

// source is a consumer of one partition whose records the test delivers.
type source struct {
	sarama.Consumer

	from     int64 // offset that was asked for
	refusal  error
	messages chan *sarama.ConsumerMessage
	errs     chan *sarama.ConsumerError
}

func (s *source) ConsumePartition(_ string, _ int32, from int64) (sarama.PartitionConsumer, error) {
	s.from = from
	return opened{s: s}, s.refusal
}

// opened is the partition of a source.
type opened struct {
	sarama.PartitionConsumer

	s *source
}

func (o opened) Messages() <-chan *sarama.ConsumerMessage { return o.s.messages }
func (o opened) Errors() <-chan *sarama.ConsumerError     { return o.s.errs }
func (o opened) Close() error                             { return nil }

// reading is a tail that reads one partition from a source.
type reading struct {
	tb      testing.TB
	tail    *Tail
	pos     *position
	source  *source
	applied []string
	done    chan error
	stop    context.CancelFunc
}

// read starts reading a partition that ends at an offset; it must run in a bubble.
func read(tb testing.TB, o Options, pos position, end int64) *reading {
	tb.Helper()
	r := &reading{tb: tb, pos: &pos, done: make(chan error, 1)}
	r.source = &source{messages: make(chan *sarama.ConsumerMessage), errs: make(chan *sarama.ConsumerError)}
	o.Log = quiet
	o.Apply = func(m *sarama.ConsumerMessage, live bool) { r.applied = append(r.applied, fmt.Sprint(m.Offset, live)) }
	r.tail = New(o)
	r.tail.partitions[0] = r.pos
	ctx, cancel := context.WithCancel(tb.Context())
	r.stop = cancel
	tb.Cleanup(cancel)
	go func() { r.done <- r.tail.partition(ctx, offsets{oldest: end}, r.source, 0, r.pos) }()
	synctest.Wait()
	return r
}

// deliver delivers one record.
func (r *reading) deliver(offset int64) {
	r.source.messages <- &sarama.ConsumerMessage{Offset: offset, Timestamp: time.UnixMilli(offset)}
	synctest.Wait()
}

// fail reports a failure of the consumer.
func (r *reading) fail(err error) {
	r.source.errs <- &sarama.ConsumerError{Err: err}
	synctest.Wait()
}

// pass lets time pass.
func (r *reading) pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock
	synctest.Wait()
}

// ends stops reading if it has not ended and returns its error.
func (r *reading) ends() error {
	r.tb.Helper()
	r.stop()
	return <-r.done
}

func TestRecordsAreOldUpToTheEndFoundAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := read(t, Options{}, position{next: sarama.OffsetOldest}, 3)
		require.Equal(t, sarama.OffsetOldest, r.source.from)
		r.deliver(0)
		r.deliver(1)
		require.False(t, r.tail.CaughtUp())
		r.deliver(2)
		require.True(t, r.tail.CaughtUp())
		r.deliver(3)
		require.Equal(t, []string{"0 false", "1 false", "2 false", "3 true"}, r.applied)
		require.Equal(t, int64(4), r.pos.next)
		require.NoError(t, r.ends())
	})
}

func TestNothingToReadIsCaughtUpAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		next, end int64
		want      bool
	}{
		"read to its end":  {5, 5, true},
		"one left":         {4, 5, false},
		"empty":            {sarama.OffsetOldest, 0, true},
		"one record":       {sarama.OffsetOldest, 1, false},
		"everything to do": {sarama.OffsetOldest, 9, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := read(t, Options{}, position{next: c.next}, c.end)
			require.Equal(t, c.want, r.tail.CaughtUp(), name)
			require.Equal(t, c.next, r.source.from, name)
			require.NoError(t, r.ends())
		})
	}
}

// TestSilenceIsTheEndOfAPartition has a partition whose last offset is a transaction marker.
func TestSilenceIsTheEndOfAPartition(t *testing.T) {
	const nearly = silenceIsEnd - time.Millisecond
	for name, event := range map[string]func(*reading){
		"record":  func(r *reading) { r.deliver(0) },
		"failure": func(r *reading) { r.fail(sarama.ErrOutOfBrokers) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := read(t, Options{}, position{next: sarama.OffsetOldest}, 3)
			r.pass(nearly)
			event(r)
			r.pass(nearly)
			require.False(t, r.tail.CaughtUp(), "a %s breaks the silence", name)
			r.pass(time.Millisecond)
			require.True(t, r.tail.CaughtUp(), name)
			require.Equal(t, name == "failure", r.tail.Failing())
			require.NoError(t, r.ends())
		})
	}
}

func TestLostPositionIsReadAgainFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var restarted []int32
		o := Options{Restart: func(p int32) { restarted = append(restarted, p) }}
		r := read(t, o, position{next: 7, caughtUp: true}, 9)
		r.fail(sarama.ErrOutOfBrokers)
		require.Empty(t, restarted, "the consumer retries other failures by itself")
		require.Equal(t, int64(7), r.pos.next)
		r.fail(sarama.ErrOffsetOutOfRange)
		require.ErrorIs(t, r.ends(), sarama.ErrOffsetOutOfRange)
		require.Equal(t, []int32{0}, restarted)
		require.Equal(t, position{next: sarama.OffsetOldest}, *r.pos)
	})
}

func TestRefusedPositionIsReadAgainFromTheStart(t *testing.T) {
	for refusal, want := range map[error]int64{sarama.ErrOffsetOutOfRange: sarama.OffsetOldest, sarama.ErrOutOfBrokers: 7} {
		pos := &position{next: 7}
		err := New(Options{Log: quiet}).partition(t.Context(), offsets{oldest: 9}, &source{refusal: refusal}, 4, pos)
		require.ErrorIs(t, err, refusal)
		require.ErrorContains(t, err, "reading partition 4")
		require.Equal(t, want, pos.next, refusal)
	}
}

func TestEndedConsumerIsAnError(t *testing.T) {
	for name, end := range map[string]func(*source){
		"messages": func(s *source) { close(s.messages) }, "errors": func(s *source) { close(s.errs) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := read(t, Options{}, position{next: 1}, 1)
			end(r.source)
			synctest.Wait()
			require.ErrorIs(t, r.ends(), errEnded, name)
		})
	}
}

func TestSkippedRecordsAreReportedOnce(t *testing.T) {
	for skipped, want := range map[bool][]int64{true: {5}, false: nil} {
		synctest.Test(t, func(t *testing.T) {
			var got []int64
			o := Options{Skipped: func(at time.Time) { got = append(got, at.UnixMilli()) }}
			r := read(t, o, position{next: 5, skipped: skipped}, 7)
			r.deliver(5)
			r.deliver(6)
			require.Equal(t, want, got, "the time of the first one read")
			require.NoError(t, r.ends())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := read(t, Options{}, position{next: 5, skipped: true}, 7)
		r.deliver(5)
		require.NoError(t, r.ends(), "a stop is no failure")
	})
}

// started is a client that knows the end of partitions, and not their start.
type started struct {
	sarama.Client

	err error
}

func (s started) GetOffset(_ string, _ int32, at int64) (int64, error) {
	if at == sarama.OffsetOldest {
		return 0, s.err
	}
	return 9, nil
}

func TestUnknownOffsetsAreErrors(t *testing.T) {
	tl, failed := New(Options{Log: quiet, Last: 3}), errors.New("no reply")
	err := tl.partition(t.Context(), offsets{err: failed}, nil, 4, &position{})
	require.ErrorIs(t, err, failed)
	require.ErrorContains(t, err, "looking up the end of partition 4")
	err = tl.partition(t.Context(), started{err: failed}, nil, 4, &position{})
	require.ErrorIs(t, err, failed)
	require.ErrorContains(t, err, "looking up the start of partition 4")
}

// growing is a client of a topic that can get more partitions.
type growing struct {
	sarama.Client

	mu              sync.Mutex
	partitions      int
	stale, noAnswer error
}

func (g *growing) set(partitions int, stale, noAnswer error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.partitions, g.stale, g.noAnswer = partitions, stale, noAnswer
}

func (g *growing) RefreshMetadata(...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stale
}

func (g *growing) Partitions(string) ([]int32, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return make([]int32, g.partitions), g.noAnswer
}

func TestAddedPartitionsEndTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, failed := &growing{}, errors.New("no reply")
		g.set(3, failed, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		check := func() { done <- New(Options{Log: quiet}).checkPartitions(ctx, g, 2) }
		minute := func() {
			time.Sleep(partitionsEvery) //nolint:forbidigo // the bubble's clock
			synctest.Wait()
		}
		go check()
		synctest.Wait()
		minute()
		require.Empty(t, done, "the number is out of date")
		g.set(3, nil, failed)
		minute()
		require.Empty(t, done, "the number is unknown")
		g.set(2, nil, nil)
		minute()
		require.Empty(t, done, "nothing was added")
		g.set(3, nil, nil)
		minute()
		require.ErrorIs(t, <-done, errMorePartitions)
		go check()
		cancel()
		require.NoError(t, <-done)
	})
}

func TestFailureCountsForSixSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := New(Options{Log: quiet})
		tl.Failed()
		time.Sleep(failingFor - 1) //nolint:forbidigo // the bubble's clock
		require.True(t, tl.Failing())
		time.Sleep(time.Nanosecond) //nolint:forbidigo // the bubble's clock
		require.False(t, tl.Failing())
	})
}

// TestFailedSessionIsRetriedAndLogged has Kafka refuse every connection.
func TestFailedSessionIsRetriedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logtest.Buffer{}
		tl := New(Options{Cluster: kafka.At("127.0.0.1:1"), Topic: "alerts", Log: slog.New(slog.NewTextHandler(log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); tl.Run(ctx) }()
		time.Sleep(retryAfter) //nolint:forbidigo // the bubble's clock
		require.True(t, tl.Failing())
		require.Equal(t, 1, strings.Count(log.String(), "retrying"), log)
		require.Contains(t, log.String(), "topic=alerts")
		require.Contains(t, log.String(), "connecting to kafka")
		require.Contains(t, log.String(), "skipped=0")
		time.Sleep(10*time.Second + retryAfter) //nolint:forbidigo // the bubble's clock
		require.Equal(t, 2, strings.Count(log.String(), "retrying"), log)
		require.Contains(t, log.String(), "skipped=13\n", "a pause of 0.5 s after each session, which tries twice in 0.25 s")
		cancel()
		<-done
	})
}

func TestSessionEndsWithTheFirstFailure(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	tl := New(Options{Cluster: kafka.At(brokers...), Topic: kafkatest.Name(t, "missing"), Log: quiet})
	require.ErrorContains(t, tl.session(t.Context()), "looking up partitions")

	topic := kafkatest.Name(t, "followed")
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	require.NoError(t, kafka.EnsureTopics(ctx, quiet, kafka.At(brokers...), kafka.Topic{Name: topic, Partitions: 3}))
	tl = New(Options{Cluster: kafka.At(brokers...), Topic: topic, Log: quiet})
	tl.partitions[1] = &position{next: 99}
	var err error
	require.Eventually(t, func() bool { // a broker that has just been told may not lead a new partition yet
		err = tl.session(t.Context())
		return !errors.Is(err, sarama.ErrNotLeaderForPartition)
	}, waitTimeout, 10*time.Millisecond)
	require.ErrorIs(t, err, sarama.ErrOffsetOutOfRange)
	require.Equal(t, sarama.OffsetOldest, tl.partitions[1].next)
}
