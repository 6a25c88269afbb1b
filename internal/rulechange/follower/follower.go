// Package follower reads the alarm-rules topic from its start, and then on, into a
// rulechange.Book. Every member of core and every portal reads all of it: it has no consumer
// group. Run blocks until its context ends, Await until its condition holds; nothing else
// blocks.
package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/rulechange"
)

const (
	// retryAfter is the pause between sessions.
	retryAfter = 500 * time.Millisecond
	// silenceIsEnd is how long nothing must come for the end to count as reached although its
	// last offset was not seen: deleted records and markers of transactions have offsets, and
	// are never delivered.
	silenceIsEnd = 5 * time.Second
)

// Options of a Follower. All but Changed are required.
type Options struct {
	Cluster  kafka.Cluster
	Topic    kafka.Topic // created if it is missing
	ClientID string
	Log      *slog.Logger
	// Changed is called with the book once it has every record that was there at the start, and
	// after each record from then on, by one goroutine. It must not keep the book.
	Changed func(*rulechange.Book)
}

// Follower holds the book of the topic.
type Follower struct {
	o     Options
	log   *slog.Logger
	limit ops.LogLimit
	read  chan struct{} // closed when the book is complete

	mu      sync.Mutex
	book    *rulechange.Book // nil until it is complete
	changed chan struct{}    // closed with the next record

	topic string // id of the topic that the book is of; of Run's goroutine
}

// New returns a follower; Run reads.
func New(o Options) *Follower {
	if o.Changed == nil {
		o.Changed = func(*rulechange.Book) {}
	}
	return &Follower{o: o, log: o.Log.With("topic", o.Topic.Name), read: make(chan struct{}), changed: make(chan struct{})}
}

// Read returns a channel that is closed once everything that was in the topic at the start
// has been read.
func (f *Follower) Read() <-chan struct{} { return f.read }

// View calls look with the book, which it must neither change nor keep, and reports whether
// there is one: not before everything was read.
func (f *Follower) View(look func(*rulechange.Book)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.book == nil {
		return false
	}
	look(f.book)
	return true
}

// Await calls look like View, now and after each record, until it returns true. It reports
// whether it did before ctx ended.
func (f *Follower) Await(ctx context.Context, look func(*rulechange.Book) bool) bool {
	for ctx.Err() == nil {
		f.mu.Lock()
		next, done := f.changed, f.book != nil && look(f.book)
		f.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-next:
		case <-ctx.Done():
		}
	}
	return false
}

// Run reads until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := f.session(ctx)
		if err != nil && ctx.Err() == nil {
			if skipped, ok := f.limit.Allow(); ok {
				f.log.Warn("reading changes of rules failed, retrying", "err", err, "skipped", skipped)
			}
		}
		lifecycle.Pause(ctx, retryAfter)
	}
	return nil
}

var (
	errPartitions = errors.New("the topic has several partitions; want one, whose order decides")
	errEnded      = errors.New("consumer stopped")
)

// session reads with one client until it fails.
func (f *Follower) session(ctx context.Context) error {
	if err := kafka.EnsureTopics(ctx, f.log, f.o.Cluster, f.o.Topic); err != nil {
		return err
	}
	id, err := kafka.TopicID(ctx, f.o.Cluster, f.o.Topic.Name)
	if err != nil {
		return err
	}
	settings := f.o.Cluster.Settings(f.o.ClientID)
	settings.Metadata.Retry.Max = 1 // the consumer retries by itself and reports each failure
	client, err := kafka.NewClient(ctx, f.o.Cluster, settings)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is written through it
	partitions, err := client.Partitions(f.o.Topic.Name)
	if err != nil {
		return fmt.Errorf("looking up partitions: %w", err)
	}
	if len(partitions) != 1 {
		return errPartitions
	}
	oldest, err := client.GetOffset(f.o.Topic.Name, 0, sarama.OffsetOldest)
	if err != nil {
		return fmt.Errorf("looking up the start: %w", err)
	}
	end, err := client.GetOffset(f.o.Topic.Name, 0, sarama.OffsetNewest)
	if err != nil {
		return fmt.Errorf("looking up the end: %w", err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating a consumer: %w", err)
	}
	defer func() { _ = consumer.Close() }() // likewise
	book := f.resume(id, oldest, end)
	pc, err := consumer.ConsumePartition(f.o.Topic.Name, 0, max(book.Position(), oldest))
	if err != nil {
		return fmt.Errorf("reading changes: %w", err)
	}
	defer func() { _ = pc.Close() }() // its errors were read
	return f.follow(ctx, pc, book, end)
}

// resume returns the book to go on with: an empty one if Kafka no longer has the records
// that the present one is of.
func (f *Follower) resume(topic string, oldest, end int64) *rulechange.Book {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.topic
	f.topic = topic
	switch {
	case f.book == nil:
		return rulechange.NewBook()
	case was == topic && f.book.Position() <= end && (f.book.Position() >= oldest || f.book.Position() == 0):
		return f.book
	}
	f.log.Error("kafka has lost changes of rules, what it has left counts", "position", f.book.Position(), "oldest", oldest, "end", end, "approved", len(f.book.Approved()))
	return rulechange.NewBook()
}

// follow applies records to the book, and publishes it once it has those up to end.
func (f *Follower) follow(ctx context.Context, pc sarama.PartitionConsumer, book *rulechange.Book, end int64) error {
	reached := book.Position() >= end
	if reached {
		f.publish(book)
	}
	quiet := time.NewTimer(silenceIsEnd)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-pc.Messages():
			if !ok {
				return errEnded
			}
			f.apply(book, m)
			if reached = reached || book.Position() >= end; reached {
				f.publish(book)
			}
			quiet.Reset(silenceIsEnd)
		case e, ok := <-pc.Errors():
			if !ok {
				return errEnded
			}
			return e
		case <-quiet.C:
			if !reached && pc.HighWaterMarkOffset() >= end {
				f.log.Warn("no records at the end of the changes of rules, taking them as read", "position", book.Position(), "end", end)
				reached = true
				f.publish(book)
			}
			quiet.Reset(silenceIsEnd)
		}
	}
}

// apply adds a record to the book.
func (f *Follower) apply(book *rulechange.Book, m *sarama.ConsumerMessage) {
	f.mu.Lock()
	err := book.Apply(string(m.Key), m.Value, m.Offset)
	f.mu.Unlock()
	if err != nil {
		f.log.Error("record of a change of a rule unreadable, ignored", "offset", m.Offset, "err", err)
	}
}

// publish puts the book, which has everything up to now, in the place of the former.
func (f *Follower) publish(book *rulechange.Book) {
	f.mu.Lock()
	first := f.book == nil
	f.book = book
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	f.o.Changed(book)
	if first {
		close(f.read)
	}
}
