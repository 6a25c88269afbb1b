package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

const (
	// clientID names the notifier to the brokers.
	clientID = "core-notify"
	// commitEvery is how often positions are taken note of and committed.
	commitEvery = time.Second
	// retryPause is the pause before something is tried again with Kafka.
	retryPause = 500 * time.Millisecond
	// errorPause is the pause between two logged errors of the consumer.
	errorPause = 10 * time.Second
	// lifePatience bounds the last commit when the program stops; then every connection
	// is cut.
	lifePatience = 1500 * time.Millisecond
)

// consume is a member of the group until ctx ends.
func (n *Notifier) consume(ctx context.Context) error {
	life, cut := outlive(ctx, lifePatience)
	defer cut()
	for ctx.Err() == nil {
		err := n.member(ctx, life)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errTopic):
			return err
		case err != nil:
			n.log.Warn("kafka is not usable, trying again", "err", err)
			pause(ctx)
		}
	}
	return nil
}

// errTopic says that the topic cannot be used, which no waiting mends.
var errTopic = errors.New("topic is not usable")

// member joins the group and works as long as the client is good.
func (n *Notifier) member(ctx, life context.Context) error {
	err := kafka.EnsureTopics(ctx, n.log, n.brokers,
		kafka.Topic{Name: n.topic, Partitions: wire.AlertsPartitions, MaxMessageBytes: kafka.MaxRecordBytes})
	if err != nil {
		return fmt.Errorf("%w: %w", errTopic, err)
	}
	conf := kafka.NewSettings(clientID)
	// What is marked is committed: see position.
	conf.Consumer.Offsets.AutoCommit.Enable = true
	conf.Consumer.Offsets.AutoCommit.Interval = commitEvery
	client, err := kafka.NewClient(life, n.brokers, conf)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the group has closed before
	group, err := sarama.NewConsumerGroupFromClient(n.group, client)
	if err != nil {
		return fmt.Errorf("making a consumer group: %w", err)
	}
	var errs sync.WaitGroup
	errs.Go(func() { n.logErrors(group.Errors()) })
	for ctx.Err() == nil {
		err = group.Consume(ctx, []string{n.topic}, &handler{n: n, client: client})
		if ctx.Err() != nil || errors.Is(err, sarama.ErrClosedConsumerGroup) {
			break
		}
		if err != nil {
			n.log.Warn("consumer group session failed, joining again", "err", err)
			pause(ctx)
		}
	}
	_ = group.Close() // leaves the group; without a broker there is none to leave
	errs.Wait()
	return err
}

// logErrors logs one error in a while: an outage is reported by every partition.
func (n *Notifier) logErrors(errs <-chan error) {
	var last time.Time
	more := 0
	for err := range errs {
		if time.Since(last) < errorPause {
			more++
			continue
		}
		n.log.Warn("consumer group error", "err", err, "unlogged", more)
		last, more = time.Now(), 0
	}
}

// outlive returns a context that ends some time after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(by, cut)
		context.AfterFunc(life, func() { t.Stop() })
	})
	return life, func() {
		stop()
		cut()
	}
}

// pause waits before something is tried again.
func pause(ctx context.Context) {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// handler holds one session of the group: one assignment of partitions.
type handler struct {
	n      *Notifier
	client sarama.Client
}

// Setup implements sarama.ConsumerGroupHandler.
func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	h.n.book.turn()
	h.n.log.Info("alarms to tell of assigned", "partitions", s.Claims()[h.n.topic], "generation", s.GenerationID())
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (*handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim reads the past of a partition, then follows it until the session ends.
func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	n, partition := h.n, claim.Partition()
	resume, first, ok := h.resume(s.Context(), claim)
	if !ok {
		return nil
	}
	n.book.open(partition, resume, first)
	defer n.book.drop(partition)
	if !n.rebuild(s.Context(), h.client, partition, resume) {
		return nil
	}
	n.book.begin(partition, time.Now())
	ticker := time.NewTicker(commitEvery / 2)
	defer ticker.Stop()
	for open := true; open; {
		select {
		case m, more := <-claim.Messages():
			if open = more; more {
				n.take(m)
			}
		case <-ticker.C:
			n.mark(s, partition)
		}
	}
	n.mark(s, partition)
	return nil
}

// mark takes note of how far a partition was told; the group commits it.
func (n *Notifier) mark(s sarama.ConsumerGroupSession, partition int32) {
	if at, ok := n.book.position(partition, time.Now()); ok {
		s.MarkOffset(n.topic, partition, at, "")
	}
}

// resume returns where news begins: at the committed offset, and without one, which is
// first, at the end of the partition.
func (h *handler) resume(ctx context.Context, claim sarama.ConsumerGroupClaim) (offset int64, first, ok bool) {
	if at := claim.InitialOffset(); at >= 0 {
		return at, false, true
	}
	for ctx.Err() == nil {
		end, err := h.client.GetOffset(h.n.topic, claim.Partition(), sarama.OffsetNewest)
		if err == nil {
			return end, true, true
		}
		h.n.log.Warn("the end of a partition is not known, asking again", "partition", claim.Partition(), "err", err)
		pause(ctx)
	}
	return 0, false, false
}

// take brings a record into the book.
func (n *Notifier) take(m *sarama.ConsumerMessage) {
	a, err := wire.DecodeAlert(m.Value)
	if err != nil || a.AlertID == "" {
		n.metrics.unreadable.Inc()
		n.log.Error("record is no alert, nobody is told of it", "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	n.book.take(m.Partition, a, m.Offset, m.Timestamp, time.Now())
}
