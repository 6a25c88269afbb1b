// Package auditlog writes the security audit to Kafka, and reads it for a Verifier. It does not judge what is to be
// recorded. Write, Flush and Verify block on Kafka until their context ends, Run until its own does; Note does not block.
package auditlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
	"industrial-iot-monitor/internal/securityaudit"
)

const (
	// writeWithin bounds a Write: its caller waits for it.
	writeWithin = 10 * time.Second
	// mostWaiting bounds the notes that wait for Kafka; of further ones only the number is known.
	mostWaiting = 1000
	// lookEvery is how often is looked for notes that were counted for a minute, or could not be written.
	lookEvery = time.Second
	// grace is how long the last notes may take at the end.
	grace = 2 * time.Second
)

// Options of a Journal. Cluster, Topic, Program and Log are required.
type Options struct {
	Cluster kafka.Cluster
	Topic   kafka.Topic
	// Program stands in the records.
	Program  string
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics
	Now      func() time.Time      // nil: time.Now
}

// Journal is a securityaudit.Writer. It is safe for concurrent use.
type Journal struct {
	o       Options
	log     *slog.Logger
	metrics *metrics

	turn chan struct{} // holds one value while no write runs
	line *line         // nil: none is open; of who has the turn

	mu      sync.Mutex
	sum     securityaudit.Sum
	waiting []securityaudit.Record // oldest first
	wake    chan struct{}
}

var errOptions = errors.New("auditlog: Cluster, Topic, Program and Log are required")

// New returns a Journal, which connects when there is something to write.
func New(o Options) (*Journal, error) {
	if len(o.Cluster.Brokers) == 0 || o.Topic.Name == "" || o.Program == "" || o.Log == nil {
		return nil, errOptions
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Journal{o: o, log: o.Log.With("component", "security audit"), turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	j.turn <- struct{}{}
	var err error
	j.metrics, err = newMetrics(o.Registry, o.Program, j)
	return j, err
}

func (j *Journal) complete(r securityaudit.Record) securityaudit.Record {
	if r.Time == 0 {
		r.Time = j.o.Now().UnixMilli()
	}
	r.Program = j.o.Program
	return r
}

// Write implements securityaudit.Writer.
func (j *Journal) Write(ctx context.Context, r securityaudit.Record) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := j.write(ctx, j.complete(r)); err != nil {
		j.log.Error("security audit not written", "what", r.What, "about", r.About, "err", err)
		return fmt.Errorf("%w: %w", securityaudit.ErrUnavailable, err)
	}
	return nil
}

// Note implements securityaudit.Writer.
func (j *Journal) Note(r securityaudit.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keep(j.sum.Add(j.complete(r)))
}

// keep is called with j.mu held.
func (j *Journal) keep(records []securityaudit.Record) {
	for i := range records {
		if len(j.waiting) >= mostWaiting {
			j.metrics.lost.Add(float64(max(records[i].Count, 1)))
			continue
		}
		j.waiting = append(j.waiting, records[i])
	}
	if len(records) > 0 {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// Run writes what was noted until ctx ends, and then what is left.
func (j *Journal) Run(ctx context.Context) error {
	var limit ops.LogLimit
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	// A write that is cut off may be in the topic all the same, and would be there twice: the last one has its time.
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cut) })
	defer stop()
	for ctx.Err() == nil {
		j.mu.Lock()
		j.keep(j.sum.Due(j.o.Now().UnixMilli(), false))
		j.mu.Unlock()
		if err := j.drain(life); err != nil && ctx.Err() == nil {
			if skipped, ok := limit.Allow(); ok {
				j.log.Error("security audit not written, retrying", "waiting", j.Waiting(), "err", err, "skipped", skipped)
			}
			lifecycle.Pause(ctx, lookEvery)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-j.wake:
		}
	}
	if err := j.Flush(life); err != nil {
		j.log.Error("security audit not written at the end", "waiting", j.Waiting(), "err", err)
	}
	return nil
}

// Flush writes what was noted, also what is still counted, and ends the connection. A further Write makes another one.
func (j *Journal) Flush(ctx context.Context) error {
	j.mu.Lock()
	j.keep(j.sum.Due(j.o.Now().UnixMilli(), true))
	j.mu.Unlock()
	err := j.drain(ctx)
	select {
	case <-j.turn:
		j.hangUp()
		j.turn <- struct{}{}
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// Waiting returns how many records wait for Kafka.
func (j *Journal) Waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting)
}

// drain writes the notes that wait. Only one caller at a time.
func (j *Journal) drain(ctx context.Context) error {
	for {
		j.mu.Lock()
		if len(j.waiting) == 0 {
			j.waiting = nil
			j.mu.Unlock()
			return nil
		}
		r := j.waiting[0]
		j.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, writeWithin)
		err := j.write(within, r)
		cancel()
		if err != nil {
			return err
		}
		j.mu.Lock()
		j.waiting = j.waiting[1:]
		j.mu.Unlock()
	}
}

// write appends a record to the chain, or to another one after a failure: then it is not known whether the record before was
// written.
func (j *Journal) write(ctx context.Context, r securityaudit.Record) (err error) {
	select {
	case <-j.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { j.turn <- struct{}{} }()
	if j.line == nil {
		if j.line, err = j.dial(ctx); err != nil {
			return err
		}
	}
	linked := j.line.chain.Link(r)
	if err := j.line.send(ctx, j.o.Topic.Name, linked.Encode()); err != nil {
		j.hangUp()
		return err
	}
	j.metrics.written.Inc()
	return nil
}

// hangUp is called by who has the turn.
func (j *Journal) hangUp() {
	if j.line != nil {
		j.line.close()
		j.line = nil
	}
}

// line is a connection, with its chain.
type line struct {
	producer sarama.SyncProducer
	client   sarama.Client
	cut      context.CancelFunc
	chain    *securityaudit.Chain
}

func (j *Journal) dial(ctx context.Context) (*line, error) {
	if err := kafka.EnsureTopics(ctx, j.log, j.o.Cluster, j.o.Topic); err != nil {
		return nil, err
	}
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cut)
	defer stop()
	client, err := kafka.NewClient(life, j.o.Cluster, j.settings())
	if err != nil {
		cut()
		return nil, err
	}
	newest, err := newestHash(ctx, client, j.o.Topic.Name)
	if err != nil {
		cut()
		return nil, err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		cut()
		return nil, fmt.Errorf("creating a producer: %w", err)
	}
	return &line{producer, client, cut, securityaudit.NewChain(newest)}, nil
}

// settings are those of a producer that neither doubles records nor changes their order.
func (j *Journal) settings() *sarama.Config {
	c := j.o.Cluster.Settings(j.o.Program + "-security-audit")
	c.Net.MaxOpenRequests = 1
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = time.Second, 5*time.Second, 2*time.Second
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff, c.Metadata.Timeout = 3, 100*time.Millisecond, 2*time.Second
	c.Producer.Idempotent, c.Producer.RequiredAcks = true, sarama.WaitForAll
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 3, 100*time.Millisecond
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Timeout = 2 * time.Second
	return c
}

func (l *line) send(ctx context.Context, topic string, value []byte) error {
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	_, _, err := l.producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Partition: 0, Value: sarama.ByteEncoder(value)})
	if err != nil {
		return fmt.Errorf("writing to %s: %w", topic, err)
	}
	return nil
}

func (l *line) close() {
	l.cut() // every record was acknowledged, or given up
	_ = l.producer.Close()
	_ = l.client.Close()
}
