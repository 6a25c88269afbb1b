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
)

const (
	// retryAfter is the pause before a new producer is made.
	retryAfter = 500 * time.Millisecond
	// grace is how long writes under way may take when the producer is to be closed.
	grace = time.Second
	// mostSends bounds the writes that wait for Kafka.
	mostSends = 64
)

// line is one producer's life. After an error it is not trusted any more and replaced.
type writer struct {
	producer sarama.SyncProducer
	sends    sync.WaitGroup
	waiting  chan struct{} // one for each write under way
	broken   chan struct{} // closed at the first error
	breaking sync.Once
}

// newSettings returns the settings of the commands' producer: it is idempotent, waits for
// all replicas and gives up soon, because a person is waiting.
func newSettings() *sarama.Config {
	c := kafka.NewSettings("portal-commands")
	c.Net.MaxOpenRequests = 1 // idempotence asks for it
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
	var logged time.Time
	for ctx.Err() == nil {
		err := d.serve(ctx)
		if err != nil && ctx.Err() == nil && time.Since(logged) > 10*time.Second {
			logged = time.Now()
			d.log.Warn("commands cannot be written to kafka, trying again", "err", err)
		}
		lifecycle.Pause(ctx, retryAfter)
	}
	return nil
}

// serve makes a producer and lets commands be written with it until ctx ends or it fails.
func (d *Dispatcher) serve(ctx context.Context) error {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	making := context.AfterFunc(ctx, cut)
	client, err := kafka.NewClient(life, d.o.Brokers, newSettings())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // everything was answered, or given up
	// With the partitions of the readings: the owner of a device's readings reads its commands.
	if err := kafka.EnsureTopics(ctx, d.log, d.o.Brokers, d.o.Topics.Specs().Commands); err != nil {
		return err
	}
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return fmt.Errorf("making the commands' producer: %w", err)
	}
	making() // from here on ctx ends writing in order
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

// open makes l the line that commands are written with; nil: there is none.
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

// settle waits for the writes under way; those that take too long are cut off.
func (w *writer) drain(cut func()) {
	t := time.AfterFunc(grace, cut)
	defer t.Stop()
	w.sends.Wait()
}

// take returns the line, with one write counted on it, as soon as there is one.
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
	errNoProducer = errors.New("kafka cannot be reached")
	errBusy       = errors.New("too many commands are waiting for kafka")
	errSlow       = errors.New("kafka has not answered in time")
)

// produce writes messages and waits until they are stored or ctx ends; then they may still be
// stored.
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
	go func() { // waited for by settle
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
