package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
)

const (
	// quietFor is how long a partition that answers may have no record for us
	// before we take it as read: its end may hold only markers and what was aborted,
	// which no consumer gets to see.
	quietFor = time.Second
	// troubleFor is how long after a broker's last error it counts as failing.
	troubleFor = 6 * time.Second
	// retryAfter is the pause before everything is set up anew.
	retryAfter = 500 * time.Millisecond
	// lookEvery is how often the number of partitions is looked up.
	lookEvery = time.Minute
)

// tailOptions of a tail. The functions but Apply may be nil.
type tailOptions struct {
	Brokers []string
	Topic   string
	Log     *slog.Logger
	// Apply takes a record, committed and in order within its partition. live is
	// false while what was there at the start is read.
	Apply func(m *sarama.ConsumerMessage, live bool)
	// CaughtUp is called each time that everything which was there has been read.
	CaughtUp func()
	// Last, when not 0, is how many offsets before its end each partition is read from
	// when it is read first. Skipped is then called with the time of the first record
	// that is read, if there were records before it.
	Last    int64
	Skipped func(time.Time)
	// StartOver is called before a partition is read again from its start.
	StartOver func(partition int32)
}

// tail reads every partition of a topic from its beginning and then goes on for ever,
// in no group: every portal reads everything.
type tail struct {
	o       tailOptions
	trouble atomic.Int64 // when a broker failed last, ns since 1970

	mu         sync.Mutex
	partitions map[int32]*position
	complete   bool // everything was read once
}

// position is how far a partition was read.
type position struct {
	next    int64 // offset, or sarama.OffsetOldest
	caught  bool
	begun   bool // where to begin was decided
	skipped bool // there are records before the first one that will be read
}

func newTail(o tailOptions) *tail {
	o.Log = o.Log.With("topic", o.Topic)
	return &tail{o: o, partitions: make(map[int32]*position)}
}

// run reads until ctx ends.
func (t *tail) run(ctx context.Context) {
	var logged time.Time
	for {
		err := t.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			t.troubled()
			if now := time.Now(); now.Sub(logged) > 10*time.Second {
				logged = now
				t.o.Log.Warn("reading from kafka failed, trying again", "err", err)
			}
		}
		lifecycle.Pause(ctx, retryAfter)
	}
}

var errMorePartitions = errors.New("the topic has more partitions now")

// session reads with one client until something ends it.
func (t *tail) session(ctx context.Context) error {
	settings := kafka.NewSettings("portal")
	settings.Metadata.Retry.Max = 1 // consumers go on trying, and say so each time
	client, err := kafka.NewClient(ctx, t.o.Brokers, settings)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is written through it
	partitions, err := client.Partitions(t.o.Topic)
	if err != nil {
		return fmt.Errorf("looking up partitions: %w", err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("making a consumer: %w", err)
	}
	defer func() { _ = consumer.Close() }() // likewise
	positions := t.positionsOf(partitions)
	group, ctx := errgroup.WithContext(ctx)
	for p, pos := range positions {
		group.Go(func() error { return t.partition(ctx, client, consumer, p, pos) })
	}
	group.Go(func() error { return t.watchPartitions(ctx, client, len(partitions)) })
	return group.Wait()
}

// positionsOf returns the positions of all partitions, new ones included.
func (t *tail) positionsOf(partitions []int32) map[int32]*position {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[int32]*position, len(partitions))
	for _, p := range partitions {
		if t.partitions[p] == nil {
			t.partitions[p] = &position{next: sarama.OffsetOldest}
		}
		out[p] = t.partitions[p]
	}
	return out
}

// watchPartitions ends the session when partitions were added.
func (t *tail) watchPartitions(ctx context.Context, client sarama.Client, n int) error {
	for lifecycle.Pause(ctx, lookEvery) {
		if client.RefreshMetadata(t.o.Topic) != nil {
			continue // the partitions' own consumers report what is wrong
		}
		if now, err := client.Partitions(t.o.Topic); err == nil && len(now) != n {
			return errMorePartitions
		}
	}
	return nil
}

// partition reads one partition until ctx ends or its consumer gives up.
func (t *tail) partition(ctx context.Context, client sarama.Client, consumer sarama.Consumer, p int32, pos *position) error {
	end, err := client.GetOffset(t.o.Topic, p, sarama.OffsetNewest)
	if err != nil {
		return fmt.Errorf("looking up the end of partition %d: %w", p, err)
	}
	if err := t.begin(client, p, pos, end); err != nil {
		return err
	}
	pc, err := consumer.ConsumePartition(t.o.Topic, p, pos.next)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		t.startOver(p, pos)
	}
	if err != nil {
		return fmt.Errorf("reading partition %d: %w", p, err)
	}
	defer func() { _ = pc.Close() }() // its errors were read, and it holds nothing of ours
	quiet := time.NewTimer(quietFor)
	defer quiet.Stop()
	if pos.next >= end || end == 0 {
		t.caught(pos)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-pc.Messages():
			if !ok {
				return fmt.Errorf("partition %d: %w", p, errEnded)
			}
			if pos.skipped && t.o.Skipped != nil {
				t.o.Skipped(m.Timestamp)
			}
			pos.skipped = false
			t.o.Apply(m, pos.caught)
			pos.next = m.Offset + 1
			if !pos.caught {
				quiet.Reset(quietFor)
				if pos.next >= end {
					t.caught(pos)
				}
			}
		case err, ok := <-pc.Errors():
			if !ok {
				return fmt.Errorf("partition %d: %w", p, errEnded)
			}
			t.troubled()
			quiet.Reset(quietFor)
			if errors.Is(err, sarama.ErrOffsetOutOfRange) {
				t.startOver(p, pos)
				return err
			}
		case <-quiet.C:
			t.caught(pos)
		}
	}
}

// begin decides where a partition is read from first.
func (t *tail) begin(client sarama.Client, p int32, pos *position, end int64) error {
	if pos.begun || t.o.Last == 0 {
		return nil
	}
	oldest, err := client.GetOffset(t.o.Topic, p, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("looking up the start of partition %d: %w", p, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	pos.begun = true
	if from := end - t.o.Last; from > oldest {
		pos.next, pos.skipped = from, true
	}
	return nil
}

var errEnded = errors.New("the consumer gave up")

// startOver begins a partition anew whose records we knew are gone: the topic was made
// again or its tail was deleted. What is read again is recognised by its alert id.
func (t *tail) startOver(p int32, pos *position) {
	t.o.Log.Warn("partition does not hold the position any more, reading it from the start", "partition", p, "offset", pos.next)
	t.mu.Lock()
	defer t.mu.Unlock()
	pos.next, pos.caught = sarama.OffsetOldest, false
	if t.o.StartOver != nil {
		t.o.StartOver(p)
	}
}

// caught notes that a partition was read to its end.
func (t *tail) caught(pos *position) {
	t.mu.Lock()
	if pos.caught {
		t.mu.Unlock()
		return
	}
	pos.caught = true
	all := true
	for _, other := range t.partitions {
		all = all && other.caught
	}
	t.complete = t.complete || all
	t.mu.Unlock()
	if all && t.o.CaughtUp != nil {
		t.o.CaughtUp()
	}
}

// caughtUp tells whether everything that was there at the start has been read.
func (t *tail) caughtUp() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complete
}

func (t *tail) troubled() { t.trouble.Store(time.Now().UnixNano()) }

func (t *tail) inTrouble() bool { return time.Since(time.Unix(0, t.trouble.Load())) < troubleFor }
