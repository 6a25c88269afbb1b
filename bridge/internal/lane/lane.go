// Package lane moves the packs of some gateways into Kafka, each exactly once and in
// order. A lane owns one partition of the checkpoints topic and the gateways whose ids
// hash to it. One transaction contains the readings of some packs, their dead letters and
// the new checkpoints; after any error the lane drops its state and restarts from the
// checkpoints in Kafka. It does not decide who owns a lane (the consumer group does, in
// package relay) and does not parse readings.
//
// On their way into Kafka the packs are sent to screens, by Live, which works without Kafka.
//
// In a lane one puller for each gateway fetches packs, the collector gathers them into the
// next transaction, and the committer writes the previous one to Kafka. Queues between them
// are bounded: the faster side blocks.
//
// Lane.Run blocks until its context ends or another owner took the lane.
package lane

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"industrial-iot-monitor/bridge/internal/checkpoint"
	"industrial-iot-monitor/bridge/internal/roster"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/topology"
	"industrial-iot-monitor/internal/tracing"
)

const (
	// memory bounds the uncommitted packs of one lane, in bytes. The window of each gateway
	// comes on top.
	memory = 16 << 20
	// waitingPacks bounds the packs, besides memory, that wait while a transaction is full: a
	// puller that need not wait for it sends to screens in time.
	waitingPacks = 256
	// commitGrace is how long a stopping lane waits for the current transaction.
	commitGrace = 1500 * time.Millisecond
	// A failed lane restarts after a pause between these.
	minPause = 200 * time.Millisecond
	maxPause = 2 * time.Second
)

// Producer is the transactional producer of a lane, implemented by internal/kafka. Close may
// be called during another call, and ends it.
type Producer interface {
	Begin() error
	Send(m *sarama.ProducerMessage) error
	SendTo(partition int32, m *sarama.ProducerMessage) error
	Commit() error
	Close() error
	// Acknowledged waits for all records of the open transaction and returns how many of a
	// topic the brokers acknowledged.
	Acknowledged(topic string) (int, error)
}

// Options of a Lane. All but CommitMin, CommitMax, Tracer and TrimMargin are required.
type Options struct {
	Partition int32 // of the checkpoints topic, the number of the lane
	Lanes     int32 // number of lanes
	// Open creates the lane's producer, which fences the previous owner, and reads the
	// lane's checkpoints by gateway.
	Open     func(ctx context.Context) (Producer, map[string][]byte, error)
	Roster   *roster.Roster
	Live     *Live
	Progress *Progress
	Metrics  *Metrics
	Topics   topology.Topics
	Log      *slog.Logger

	MaxReadings int // per transaction; a pack is never divided
	// CommitMin and CommitMax are how long a transaction gathers packs: CommitMin when they
	// are worth one, at most CommitMax.
	CommitMin, CommitMax time.Duration
	Tracer               *tracing.Tracer // nil: packs are not followed
	TrimMargin           uint64          // packs kept in a gateway's stream behind the checkpoint
}

// Lane is one lane.
type Lane struct {
	o   Options
	log *slog.Logger
	// maxDeadLetter is the longest payload of a dead letter, in bytes. It shrinks when Kafka
	// refuses a record as too large: a dead letter must not block readings.
	maxDeadLetter int
}

// New returns a lane, to be Run.
func New(o Options) (*Lane, error) {
	switch {
	case o.Log == nil:
		return nil, errors.New("lane: Options.Log is required")
	case o.Open == nil, o.Roster == nil, o.Live == nil, o.Progress == nil, o.Metrics == nil:
		return nil, errors.New("lane: Options.Open, Roster, Live, Progress and Metrics are required")
	case o.MaxReadings < 1 || o.Lanes < 1:
		return nil, errors.New("lane: Options.MaxReadings and Lanes must be positive")
	}
	return &Lane{o: o, log: o.Log.With("component", "lane", "lane", o.Partition), maxDeadLetter: startDeadLetter}, nil
}

// Of returns the lane of a gateway. It must never change: a gateway's checkpoint is in the
// partition of its lane.
func Of(gateway string, lanes int32) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(gateway)) // cannot fail
	return int32(h.Sum32() % uint32(lanes))
}

// Run runs the lane until ctx ends, and restarts it after errors. It returns kafka.ErrFenced
// when another owner took the lane, nil when ctx ended; the next owner continues from the
// last commit.
func (l *Lane) Run(ctx context.Context) error {
	l.o.Metrics.lanesOwned.Inc()
	defer l.o.Metrics.lanesOwned.Dec()
	pause := minPause
	for {
		committed, err := l.attempt(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafka.ErrFenced):
			return fmt.Errorf("lane %d: %w", l.o.Partition, err)
		}
		l.o.Metrics.restarts.Inc()
		l.log.Error("lane failed, restarting from its checkpoints", "err", err)
		l.shrinkDeadLetters(err)
		if committed {
			pause = minPause
		}
		if !lifecycle.Pause(ctx, pause) {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// shrinkDeadLetters makes dead letters smaller after Kafka refused a record as too large.
func (l *Lane) shrinkDeadLetters(err error) {
	if errors.Is(err, sarama.ErrMessageSizeTooLarge) && l.maxDeadLetter > 0 {
		l.maxDeadLetter /= 4
		l.log.Warn("record too large for kafka, truncating dead letters further", "payload_bytes", l.maxDeadLetter)
	}
}

// attempt runs the lane from opening the producer to the first error. It reports whether a
// transaction was committed.
func (l *Lane) attempt(ctx context.Context) (committed bool, err error) {
	producer, stored, err := l.o.Open(ctx)
	if err != nil {
		return false, err
	}
	g, ctx := errgroup.WithContext(ctx)
	r := &run{
		Lane:     l,
		producer: producer,
		start:    l.decode(stored),
		budget:   semaphore.NewWeighted(memory),
		packs:    make(chan item, waitingPacks),
		ready:    make(chan *batch),
		free:     make(chan *batch, 2),
		records:  newEncoder(l.o.Topics, l.maxDeadLetter),
	}
	l.o.Progress.Own(l.o.Partition)
	defer l.o.Progress.Disown(l.o.Partition)
	for _, c := range r.start {
		if c != nil {
			l.o.Progress.Begin(l.o.Partition, *c)
		}
	}
	l.log.Info("lane started", "checkpoints", len(r.start))

	idle := make(chan struct{}) // closed when the committer is done with the producer
	g.Go(func() error { return r.pullAll(ctx) })
	g.Go(func() error { return r.collect(ctx) })
	g.Go(func() error { defer close(idle); return r.commit(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		select {
		case <-idle:
		case <-time.After(commitGrace): // Close ends the commit
		}
		if err := producer.Close(); err != nil {
			l.log.Debug("producer closed with an error", "err", err)
		}
		return nil
	})
	err = g.Wait()
	l.log.Info("lane stopped") // Run logs the reason
	return r.committed, err
}

// decode returns the checkpoints of the lane's gateways, nil for an unreadable one: that
// gateway is skipped, because any guess would lose or double its readings.
func (l *Lane) decode(stored map[string][]byte) map[string]*checkpoint.Checkpoint {
	out := make(map[string]*checkpoint.Checkpoint, len(stored))
	for gateway, data := range stored {
		c, err := checkpoint.Decode(data)
		if err == nil && c.Gateway != gateway {
			err = fmt.Errorf("checkpoint of gateway %q: %w", c.Gateway, checkpoint.ErrUnreadable)
		}
		if err != nil {
			l.log.Error("checkpoint unreadable, skipping its gateway", "gateway", gateway, "err", err)
			out[gateway] = nil
			continue
		}
		out[gateway] = &c
	}
	return out
}

// run is the state of one attempt of a lane.
type run struct {
	*Lane
	producer  Producer
	start     map[string]*checkpoint.Checkpoint
	budget    *semaphore.Weighted
	packs     chan item   // pullers to collector
	ready     chan *batch // collector to committer
	free      chan *batch // committer to collector, for reuse
	records   *encoder
	committed bool // owned by the committer while it runs
}
