// Package letterbox knows what is in the topic of dead letters, and replays them: a dead letter
// that would be accepted now goes to device-data, once. It keeps an index of the newest letters
// in memory, which it makes when it is asked first, and answers on the hub. It is not for writing
// dead letters: see package deadletter. Run blocks until its context ends; an answer waits for
// Kafka, 25 s at most.
package letterbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

const (
	// queue of the core instances: one of them answers.
	queue = "core"
	// answerWithin bounds an answer.
	answerWithin = 25 * time.Second
	// maxIndexed bounds the index: the newest letters of the topic. An entry has 24 bytes.
	maxIndexed = 100_000
	// maxReplays is how many replays are listed.
	maxReplays = 50
	clientID   = "core-dead-letters"
)

// Options of a Box. All fields are required.
type Options struct {
	Log         *slog.Logger
	Kafka       kafka.Config
	DeadLetters string // topic
	DeviceData  string // topic
	// TransactionalID is the same in all core instances, so that a replay fences one that another
	// instance has begun.
	TransactionalID string
}

// Box answers questions about dead letters.
type Box struct {
	o   Options
	log *slog.Logger

	mu    sync.Mutex // held by the answer in progress
	index index
}

// New returns a Box that has read nothing yet.
func New(o Options) (*Box, error) {
	if o.Log == nil || o.DeadLetters == "" || o.DeviceData == "" || o.TransactionalID == "" {
		return nil, errors.New("letterbox: Options.Log, DeadLetters, DeviceData and TransactionalID are required")
	}
	return &Box{o: o, log: o.Log.With("component", "dead letters")}, nil
}

// Run answers requests on nc until ctx ends.
func (b *Box) Run(ctx context.Context, nc *nats.Conn) error {
	var work sync.WaitGroup
	answer := func(subject string, f func(context.Context, []byte) any) (*nats.Subscription, error) {
		sub, err := nc.QueueSubscribe(subject, queue, func(m *nats.Msg) {
			work.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, answerWithin)
				defer cancel()
				b.respond(m, f(ctx, m.Data))
			})
		})
		if err != nil {
			return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		return sub, nil
	}
	list, err := answer(wire.DeadLettersSubject, func(ctx context.Context, _ []byte) any { return b.list(ctx) })
	if err != nil {
		return err
	}
	replay, err := answer(wire.DeadLettersReplaySubject, func(ctx context.Context, q []byte) any { return b.answerReplay(ctx, q) })
	if err != nil {
		return err
	}
	<-ctx.Done()
	_, _ = list.Unsubscribe(), replay.Unsubscribe() // the connection is closed next
	work.Wait()
	return nil
}

func (b *Box) respond(m *nats.Msg, answer any) {
	data, err := json.Marshal(answer)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		b.log.Debug("answer about dead letters not sent", "err", err)
	}
}

// list answers what is in the topic.
func (b *Box) list(ctx context.Context) *wire.DeadLettersAnswer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.update(ctx, ""); err != nil {
		b.log.Warn("dead letters not read", "err", err)
		return &wire.DeadLettersAnswer{Error: errKafkaAway, Reasons: []wire.DeadLetterReason{}, Replays: []wire.DeadLetterReplay{}}
	}
	return b.index.answer()
}

// errKafkaAway is what an answer says; the log has the cause.
const errKafkaAway = "Kafka is unavailable at the moment"

// update brings the index up to date: to the end of the topic, or with an id up to the record in
// each partition with which the replay of that id begun.
func (b *Box) update(ctx context.Context, id string) (err error) {
	log, err := kafka.OpenLog(ctx, b.o.Kafka.Cluster, b.o.DeadLetters, clientID)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was read
	if err := b.index.read(ctx, log, id); err != nil {
		b.index = index{} // from the beginning next time
		return err
	}
	return nil
}
