package command

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

const (
	// retryAfter is the pause before a new producer is created.
	retryAfter = 500 * time.Millisecond
	// grace is how long pending writes may take when the producer closes.
	grace = time.Second
	// mostSends bounds the pending writes.
	mostSends = 64
)

// writer is a producer and its pending writes. It is replaced after any error.
type writer struct {
	producer sarama.SyncProducer
	sends    sync.WaitGroup
	waiting  chan struct{} // one for each pending write
	broken   chan struct{} // closed at the first error
	breaking sync.Once
}

// newSettings returns the producer's settings: idempotent, all replicas, short timeouts because
// an operator is waiting.
func newSettings(cluster kafka.Cluster) *sarama.Config {
	c := cluster.Settings("portal-commands")
	c.Net.MaxOpenRequests = 1 // required by idempotence
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = time.Second, 5*time.Second, 2*time.Second
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff, c.Metadata.Timeout = 3, 100*time.Millisecond, 2*time.Second
	c.Producer.Idempotent = true
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 3, 100*time.Millisecond
	c.Producer.Timeout = 2 * time.Second
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	return c
}

// Run keeps a producer until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	var limit ops.LogLimit
	for ctx.Err() == nil {
		if err := d.serve(ctx); err != nil && ctx.Err() == nil {
			if skipped, ok := limit.Allow(); ok {
				d.log.Warn("kafka producer for commands failed, retrying", "err", err, "skipped", skipped)
			}
		}
		lifecycle.Pause(ctx, retryAfter)
	}
	return nil
}

// serve creates a producer and offers it to produce until ctx ends or a write fails.
func (d *Dispatcher) serve(ctx context.Context) error {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	making := context.AfterFunc(ctx, cut)
	client, err := kafka.NewClient(life, d.o.Cluster, newSettings(d.o.Cluster))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // every write was answered or abandoned
	// With the partitions of the readings: the owner of a device's readings reads its commands.
	if err := kafka.EnsureTopics(ctx, d.log, d.o.Cluster, d.o.Topics.Specs().Commands); err != nil {
		return err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating the producer for commands: %w", err)
	}
	making() // from here on ctx stops the writer in order
	w := &writer{producer: producer, waiting: make(chan struct{}, mostSends), broken: make(chan struct{})}
	d.setWriter(w)
	select {
	case <-ctx.Done():
	case <-w.broken:
	}
	d.setWriter(nil)
	w.drain(cut)
	return producer.Close()
}

// setWriter replaces the current writer; nil: there is none.
func (d *Dispatcher) setWriter(w *writer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writer = w
	if w != nil {
		close(d.ready)
		return
	}
	d.ready = make(chan struct{})
}

// drain waits for the pending writes and cuts them off after grace.
func (w *writer) drain(cut func()) {
	t := time.AfterFunc(grace, cut)
	defer t.Stop()
	w.sends.Wait()
}

// acquire waits for a writer and counts one pending write on it.
func (d *Dispatcher) acquire(ctx context.Context) (*writer, error) {
	for {
		d.mu.Lock()
		w, ready := d.writer, d.ready
		if w != nil {
			w.sends.Add(1)
		}
		d.mu.Unlock()
		if w != nil {
			return w, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, errNoProducer
		}
	}
}

var (
	errNoProducer = errors.New("no connection to kafka")
	errBusy       = errors.New("too many pending commands")
	errSlow       = errors.New("no answer from kafka in time")
)

// Put writes a record to another topic of operators, which exists, and waits until it is stored. It fails with
// ErrUnavailable; the record may still be stored later.
func (d *Dispatcher) Put(ctx context.Context, topic, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, d.o.SendWithin)
	defer cancel()
	m := &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.ByteEncoder(value)}
	if err := d.produce(ctx, []*sarama.ProducerMessage{m}); err != nil {
		d.log.Warn("record not written", "topic", topic, "err", err)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// produce writes messages and waits until they are stored. When ctx ends first they may still be
// stored later.
func (d *Dispatcher) produce(ctx context.Context, messages []*sarama.ProducerMessage) error {
	w, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	select {
	case w.waiting <- struct{}{}:
	default:
		w.sends.Done()
		return errBusy
	}
	done := make(chan error, 1)
	go func() { // drain waits for it
		defer w.sends.Done()
		err := w.producer.SendMessages(messages)
		<-w.waiting
		if err != nil {
			w.breaking.Do(func() { close(w.broken) })
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errSlow
	}
}
