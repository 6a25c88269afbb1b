// Package tail reads every partition of a topic from its start and follows it, without a consumer
// group: for topics that every process reads whole. It does not write. Run blocks until its context
// ends, and retries for ever.
package tail

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
	"industrial-iot-monitor/internal/ops"
)

const (
	// silenceIsEnd is how long a partition must deliver no record to count as read: its last
	// offsets may be transaction markers and aborted records, which consumers never receive.
	silenceIsEnd = time.Second
	// failingFor is how long Kafka counts as failing after an error.
	failingFor = 6 * time.Second
	// retryAfter is the pause between sessions.
	retryAfter = 500 * time.Millisecond
	// partitionsEvery is how often the number of partitions is checked.
	partitionsEvery = time.Minute
	// idEvery is how often the id of the topic is checked.
	idEvery = 3 * time.Second
)

// Options of a Tail. The functions but Apply may be nil.
type Options struct {
	Cluster  kafka.Cluster
	ClientID string
	Topic    string
	Log      *slog.Logger
	// Apply receives each committed record, in order within its partition. live is false for
	// records that were there at the start.
	Apply func(m *sarama.ConsumerMessage, live bool)
	// CaughtUp is called each time all partitions have been read to their ends.
	CaughtUp func()
	// Start are the offsets from which partitions are read first; others are read from their start.
	Start map[int32]int64
	// Last, if not 0, limits the first read of each partition to that many offsets before its
	// end. If that leaves out records, Skipped is called with the time of the first one read.
	Last    int64
	Skipped func(time.Time)
	// Restart is called before a partition is read again from its start.
	Restart func(partition int32)
	// ID, if not empty, is the topic's (kafka.TopicID). MadeAgain is called, and has to end Run's context,
	// when there is another topic under its name: consumers go on in it at their offset.
	ID        string
	MadeAgain func()
}

// Tail reads one topic. Its methods but Run may be called by any goroutine.
type Tail struct {
	o           Options
	lastFailure atomic.Int64 // ns since 1970

	mu         sync.Mutex
	partitions map[int32]*position
	complete   bool // all partitions were read to their ends once
}

// position is how far a partition was read.
type position struct {
	next     int64 // offset, or sarama.OffsetOldest
	caughtUp bool
	started  bool // the first offset was chosen
	skipped  bool // records before the first one read were left out
}

// New returns a Tail, which reads once it runs.
func New(o Options) *Tail {
	o.Log = o.Log.With("topic", o.Topic)
	return &Tail{o: o, partitions: make(map[int32]*position)}
}

// Run reads until ctx ends.
func (t *Tail) Run(ctx context.Context) {
	var limit ops.LogLimit
	for {
		err := t.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			t.Failed()
			if skipped, ok := limit.Allow(); ok {
				t.o.Log.Warn("reading from kafka failed, retrying", "err", err, "skipped", skipped)
			}
		}
		lifecycle.Pause(ctx, retryAfter)
	}
}

var errMorePartitions = errors.New("partitions were added")

// session reads with one client until a partition fails.
func (t *Tail) session(ctx context.Context) error {
	settings := t.o.Cluster.Settings(t.o.ClientID)
	settings.Metadata.Retry.Max = 1 // consumers retry by themselves and report each failure
	client, err := kafka.NewClient(ctx, t.o.Cluster, settings)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is written through it
	if err := t.checkID(client); err != nil {
		return err
	}
	partitions, err := client.Partitions(t.o.Topic)
	if err != nil {
		return fmt.Errorf("looking up partitions: %w", err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating a consumer: %w", err)
	}
	defer func() { _ = consumer.Close() }() // likewise
	positions := t.positionsOf(partitions)
	group, ctx := errgroup.WithContext(ctx)
	for p, pos := range positions {
		group.Go(func() error { return t.partition(ctx, client, consumer, p, pos) })
	}
	group.Go(func() error { return t.checkPartitions(ctx, client, len(partitions)) })
	group.Go(func() error { return t.watchID(ctx, client) })
	return group.Wait()
}

// watchID ends the session when the topic was made again.
func (t *Tail) watchID(ctx context.Context, client sarama.Client) error {
	for lifecycle.Pause(ctx, idEvery) {
		if err := t.checkID(client); errors.Is(err, kafka.ErrMadeAgain) {
			return err // the partitions' consumers report other failures
		}
	}
	return nil
}

// checkID fails if the topic has another id than it should, or Kafka does not tell.
func (t *Tail) checkID(client sarama.Client) error {
	if t.o.ID == "" {
		return nil
	}
	err := kafka.SameTopic(client, t.o.Topic, t.o.ID)
	if errors.Is(err, kafka.ErrMadeAgain) {
		t.o.Log.Warn("the topic was deleted and made again")
		t.o.MadeAgain()
	}
	return err
}

// positionsOf returns the positions of all partitions, new ones included.
func (t *Tail) positionsOf(partitions []int32) map[int32]*position {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[int32]*position, len(partitions))
	for _, p := range partitions {
		if t.partitions[p] == nil {
			t.partitions[p] = &position{next: sarama.OffsetOldest}
			if next, ok := t.o.Start[p]; ok {
				t.partitions[p].next = next
			}
		}
		out[p] = t.partitions[p]
	}
	return out
}

// checkPartitions ends the session when partitions were added.
func (t *Tail) checkPartitions(ctx context.Context, client sarama.Client, n int) error {
	for lifecycle.Pause(ctx, partitionsEvery) {
		if client.RefreshMetadata(t.o.Topic) != nil {
			continue // the partitions' consumers report the failure
		}
		if now, err := client.Partitions(t.o.Topic); err == nil && len(now) != n {
			return errMorePartitions
		}
	}
	return nil
}

// partition reads one partition until ctx ends or its consumer gives up.
func (t *Tail) partition(ctx context.Context, client sarama.Client, consumer sarama.Consumer, p int32, pos *position) error {
	end, err := client.GetOffset(t.o.Topic, p, sarama.OffsetNewest)
	if err != nil {
		return fmt.Errorf("looking up the end of partition %d: %w", p, err)
	}
	if err := t.chooseStart(client, p, pos, end); err != nil {
		return err
	}
	pc, err := consumer.ConsumePartition(t.o.Topic, p, pos.next)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		t.restart(p, pos)
	}
	if err != nil {
		return fmt.Errorf("reading partition %d: %w", p, err)
	}
	defer func() { _ = pc.Close() }() // its errors were read
	quiet := time.NewTimer(silenceIsEnd)
	defer quiet.Stop()
	if pos.next >= end || end == 0 {
		t.reachedEnd(pos)
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
			t.o.Apply(m, pos.caughtUp)
			pos.next = m.Offset + 1
			if !pos.caughtUp {
				quiet.Reset(silenceIsEnd)
				if pos.next >= end {
					t.reachedEnd(pos)
				}
			}
		case err, ok := <-pc.Errors():
			if !ok {
				return fmt.Errorf("partition %d: %w", p, errEnded)
			}
			t.Failed()
			quiet.Reset(silenceIsEnd)
			if errors.Is(err, sarama.ErrOffsetOutOfRange) {
				t.restart(p, pos)
				return err
			}
		case <-quiet.C:
			t.reachedEnd(pos)
		}
	}
}

// chooseStart sets the offset from which a partition is read first.
func (t *Tail) chooseStart(client sarama.Client, p int32, pos *position, end int64) error {
	if pos.started || t.o.Last == 0 {
		return nil
	}
	oldest, err := client.GetOffset(t.o.Topic, p, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("looking up the start of partition %d: %w", p, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	pos.started = true
	if from := end - t.o.Last; from > oldest {
		pos.next, pos.skipped = from, true
	}
	return nil
}

var errEnded = errors.New("consumer stopped")

// restart rewinds a partition that no longer has the position: the topic was created again or
// its tail deleted. Alerts that are read twice are recognised by their ids.
func (t *Tail) restart(p int32, pos *position) {
	t.o.Log.Warn("position out of range, reading the partition from its start", "partition", p, "offset", pos.next)
	t.mu.Lock()
	defer t.mu.Unlock()
	pos.next, pos.caughtUp = sarama.OffsetOldest, false
	if t.o.Restart != nil {
		t.o.Restart(p)
	}
}

// reachedEnd notes that a partition was read to its end.
func (t *Tail) reachedEnd(pos *position) {
	t.mu.Lock()
	if pos.caughtUp {
		t.mu.Unlock()
		return
	}
	pos.caughtUp = true
	all := true
	for _, other := range t.partitions {
		all = all && other.caughtUp
	}
	t.mu.Unlock()
	if !all {
		return
	}
	if t.o.CaughtUp != nil {
		t.o.CaughtUp()
	}
	t.mu.Lock() // last: what CaughtUp did is done where the tail is seen complete
	t.complete = true
	t.mu.Unlock()
}

// CaughtUp reports whether the records that were there at the start have been read.
func (t *Tail) CaughtUp() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.complete
}

// Failed notes a failure of what the topic needs.
func (t *Tail) Failed() { t.lastFailure.Store(time.Now().UnixNano()) }

// Failing reports whether Kafka failed lately.
func (t *Tail) Failing() bool { return time.Since(time.Unix(0, t.lastFailure.Load())) < failingFor }
