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
type line struct {
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
func (d *Desk) Run(ctx context.Context) error {
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
func (d *Desk) serve(ctx context.Context) error {
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
	l := &line{producer: producer, waiting: make(chan struct{}, mostSends), broken: make(chan struct{})}
	d.open(l)
	select {
	case <-ctx.Done():
	case <-l.broken:
	}
	d.open(nil)
	l.settle(cut)
	return producer.Close()
}

// open makes l the line that commands are written with; nil: there is none.
func (d *Desk) open(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.line = l
	if l != nil {
		close(d.ready)
		return
	}
	d.ready = make(chan struct{})
}

// settle waits for the writes under way; those that take too long are cut off.
func (l *line) settle(cut func()) {
	t := time.AfterFunc(grace, cut)
	defer t.Stop()
	l.sends.Wait()
}

// take returns the line, with one write counted on it, as soon as there is one.
func (d *Desk) take(ctx context.Context) (*line, error) {
	for {
		d.mu.Lock()
		l, ready := d.line, d.ready
		if l != nil {
			l.sends.Add(1)
		}
		d.mu.Unlock()
		if l != nil {
			return l, nil
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
func (d *Desk) produce(ctx context.Context, messages []*sarama.ProducerMessage) error {
	l, err := d.take(ctx)
	if err != nil {
		return err
	}
	select {
	case l.waiting <- struct{}{}:
	default:
		l.sends.Done()
		return errBusy
	}
	done := make(chan error, 1)
	go func() { // waited for by settle
		defer l.sends.Done()
		err := l.producer.SendMessages(messages)
		<-l.waiting
		if err != nil {
			l.breaking.Do(func() { close(l.broken) })
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
