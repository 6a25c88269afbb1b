package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/tail"
	"industrial-iot-monitor/portal/internal/audit"
	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

const (
	// recorderQueue is how many records wait for the database; then Kafka is not read on.
	recorderQueue = 1000
	// recorderBatch is how many are written at once, recorderBytes from how many bytes on no more are added to
	// them: a picture is as long as hundreds of others.
	recorderBytes = 4 << 20
	recorderBatch = 500
	// recorderRetry is the pause before a write is tried again.
	recorderRetry = time.Second
)

// recorder copies a topic into the database, from where the database has it. While the database is
// away it reads nothing; then it catches up.
type recorder struct {
	store   *store.Store
	cluster kafka.Cluster
	topic   kafka.Topic
	read    func(*sarama.ConsumerMessage) (store.Record, error)
	log     *slog.Logger
	missing bool // the topic may be missing, and nobody else creates it

	rewound string      // id of the topic of which a partition had lost the position
	failing bool        // the database answers and takes no records, which was said
	behind  atomic.Bool // there are records in Kafka that the database lacks, as far as is known
}

// copyInto makes the recorders of a store.
func (f *Feed) copyInto(s *store.Store) {
	if s == nil {
		return
	}
	specs := f.opts.Topics.Specs()
	f.registrar = &registrar{store: s, model: f.model, log: f.log, ready: func() bool { return f.states.CaughtUp() && f.metas.CaughtUp() }}
	add := func(t kafka.Topic, missing bool, read func(*sarama.ConsumerMessage) (store.Record, error)) {
		r := &recorder{store: s, cluster: f.opts.Cluster, topic: t, read: read, log: f.log, missing: missing}
		r.behind.Store(true) // nothing is known yet
		f.copies = append(f.copies, r)
	}
	add(specs.Audit, false, readEntry)
	add(specs.Alerts, false, readAlarm)
	add(specs.Metadata, true, readChange)
	add(specs.Security, true, readSecurity)
}

func readEntry(m *sarama.ConsumerMessage) (store.Record, error) {
	e, err := audit.Parse(m.Value, m.Partition, m.Offset, m.Timestamp.UnixMilli())
	return store.Record{Entry: e, Value: m.Value}, err
}

func readAlarm(m *sarama.ConsumerMessage) (store.Record, error) {
	a, err := state.ParseAlert(m.Value)
	return store.Record{Alarm: a}, err
}

func readChange(m *sarama.ConsumerMessage) (store.Record, error) {
	c, err := metadata.Parse(m.Value)
	return store.Record{Change: c}, err
}

func readSecurity(m *sarama.ConsumerMessage) (store.Record, error) {
	r, err := securityaudit.Decode(m.Value)
	return store.Record{Security: r, Value: m.Value}, err
}

// StoreBehind reports whether Kafka has records that the store lacks, as far as is known. The security audit does not
// count: who may not read it at Kafka has the plant's past whole.
func (f *Feed) StoreBehind() bool {
	return slices.ContainsFunc(f.copies, func(r *recorder) bool { return r.topic.Name != f.opts.Topics.Security && r.behind.Load() })
}

// SecurityBehind reports the same of the security audit.
func (f *Feed) SecurityBehind() bool {
	return slices.ContainsFunc(f.copies, func(r *recorder) bool { return r.topic.Name == f.opts.Topics.Security && r.behind.Load() })
}

// run copies until ctx ends.
func (r *recorder) run(ctx context.Context) {
	down := false // it was said
	for ctx.Err() == nil {
		err := r.session(ctx)
		r.behind.Store(true)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrUnavailable): // the store logs it
		case errors.Is(err, sarama.ErrUnknownTopicOrPartition) && !down: // at the first start of a plant
			r.log.Info("a topic does not exist yet, waiting until core creates it", "topic", r.topic.Name)
		case err != nil && !down:
			r.log.Warn("copying a topic into the database failed, retrying", "topic", r.topic.Name, "err", err)
		}
		down = err != nil
		lifecycle.Pause(ctx, recorderRetry)
	}
}

// errRewound ends a session when a partition does not have the position: the topic was made again, or
// its records up to there were deleted.
var errRewound = errors.New("a partition has lost the position")

// session copies until ctx ends, or the topic is another one.
func (r *recorder) session(ctx context.Context) error {
	if r.missing {
		if err := kafka.EnsureTopics(ctx, r.log, r.cluster, r.topic); err != nil {
			return err
		}
		r.missing = false
	}
	client, err := kafka.NewClient(ctx, r.cluster, r.cluster.Settings("portal"))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is written through it
	id, err := kafka.TopicIDOver(client, r.topic.Name)
	if err != nil {
		return err
	}
	topic := store.Topic{Name: r.topic.Name, ID: id}
	same := r.rewound == id // it was not made again: the records are gone, those that are left count
	start, err := r.store.Positions(ctx, topic)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	messages := make(chan *sarama.ConsumerMessage, recorderQueue)
	t := tail.New(tail.Options{
		Cluster: r.cluster, ClientID: "portal", Topic: r.topic.Name, Log: r.log, Start: start,
		Apply: func(m *sarama.ConsumerMessage, _ bool) {
			select {
			case messages <- m:
			case <-ctx.Done():
			}
		},
		Restart: func(partition int32) {
			if _, had := start[partition]; had && !same {
				stop(errRewound)
			}
		},
		ID: id, MadeAgain: func() { stop(kafka.ErrMadeAgain) },
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Run(ctx)
	}()
	err = r.copy(ctx, topic, messages, t, func() error { return kafka.SameTopic(client, r.topic.Name, id) })
	stop(nil)
	<-done
	if errors.Is(err, errRewound) {
		r.rewound = id
	}
	return err
}

// copy writes messages until ctx ends. It calls same before it stores what came, so that no record of a topic
// that was made again is stored under the id of the one before.
func (r *recorder) copy(ctx context.Context, topic store.Topic, messages <-chan *sarama.ConsumerMessage, t follower, same func() error) error {
	tick := time.NewTicker(recorderRetry)
	defer tick.Stop()
	batch := make([]store.Record, 0, recorderBatch)
	var size int // of batch, in bytes
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			r.behind.Store(!t.CaughtUp())
			continue
		case m := <-messages:
			batch, size = append(batch[:0], r.parse(m)), len(m.Value)
		}
		for more := true; more && len(batch) < recorderBatch && size < recorderBytes; {
			select {
			case m := <-messages:
				batch, size = append(batch, r.parse(m)), size+len(m.Value)
			default:
				more = false
			}
		}
		if err := same(); err != nil {
			return err
		}
		if err := r.write(ctx, topic, batch); err != nil {
			return err
		}
		r.behind.Store(!t.CaughtUp() || len(messages) > recorderBatch)
	}
}

// parse returns the record of a message; one that cannot be read is only a position.
func (r *recorder) parse(m *sarama.ConsumerMessage) store.Record {
	record, err := r.read(m)
	if err != nil {
		r.log.Debug("malformed record is not stored", "topic", m.Topic, "partition", m.Partition, "offset", m.Offset, "err", err)
		record = store.Record{}
	}
	record.Partition, record.Offset = m.Partition, m.Offset
	return record
}

// write stores records, and tries again while the database is away. Of records that it refuses it
// finds the one, which is left out.
func (r *recorder) write(ctx context.Context, topic store.Topic, records []store.Record) error {
	for {
		err := r.store.Write(ctx, topic, records)
		switch {
		case err == nil:
			if r.failing {
				r.failing = false
				r.log.Info("the database takes records again", "topic", topic.Name)
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, store.ErrStartOver):
			return err
		case errors.Is(err, store.ErrRefused) && len(records) > 1:
			half := len(records) / 2
			if err := r.write(ctx, topic, records[:half]); err != nil {
				return err
			}
			records = records[half:]
			continue
		case errors.Is(err, store.ErrRefused) && !records[0].Unread():
			r.store.Refused()
			r.log.Error("the database refuses a record, left out", "topic", topic.Name, "partition", records[0].Partition, "offset", records[0].Offset, "err", err)
			records = []store.Record{{Partition: records[0].Partition, Offset: records[0].Offset}}
			continue
		case errors.Is(err, store.ErrRefused):
			return fmt.Errorf("storing a position: %w", err)
		}
		r.behind.Store(true)
		if !r.failing && r.store.Up() == nil { // else the store has said it
			r.failing = true
			r.log.Error("the database takes no records, retrying; they wait in Kafka", "topic", topic.Name, "err", err)
		}
		lifecycle.Pause(ctx, recorderRetry)
	}
}
