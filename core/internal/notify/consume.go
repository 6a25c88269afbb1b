package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/wire"
)

const (
	// clientID names the notifier to the brokers.
	clientID = "core-notify"
	// commitEvery is how often positions are committed.
	commitEvery = time.Second
	// retryPause is the pause before a Kafka request is retried.
	retryPause = 500 * time.Millisecond
	// commitTimeout bounds the last commit when the program stops; then all connections
	// are closed.
	commitTimeout = 1500 * time.Millisecond
)

// consume is a member of the group until ctx ends.
func (n *Notifier) consume(ctx context.Context) error {
	return kafka.Member{
		Log: n.log, Group: n.group, Topics: []string{n.topic}, Connect: n.prepare, Outlive: commitTimeout,
		Session: func(client sarama.Client, _ sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			return &handler{n: n, client: client}
		},
	}.Run(ctx)
}

func (n *Notifier) prepare(ctx, life context.Context) (sarama.Client, error) {
	if err := kafka.EnsureTopics(ctx, n.log, n.cluster, n.spec); err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrUnusable, err)
	}
	conf := n.cluster.Settings(clientID)
	// Marked offsets are committed: see position.
	conf.Consumer.Offsets.AutoCommit.Enable = true
	conf.Consumer.Offsets.AutoCommit.Interval = commitEvery
	return kafka.NewClient(life, n.cluster, conf)
}

// handler holds one session of the group: one assignment of partitions.
type handler struct {
	n      *Notifier
	client sarama.Client
}

// Setup implements sarama.ConsumerGroupHandler.
func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	h.n.outbox.nextAssignment()
	h.n.log.Info("alert partitions assigned", "partitions", s.Claims()[h.n.topic], "generation", s.GenerationID())
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
	n.outbox.open(partition, resume, first)
	defer n.outbox.drop(partition)
	if !n.rebuild(s.Context(), h.client, partition, resume) {
		return nil
	}
	n.outbox.start(partition, time.Now())
	// At once: if this core dies now, the next one must not take its own start for the
	// first one ever, which sends nothing about ended alarms.
	n.mark(s, partition)
	s.Commit()
	n.metrics.partitions.Inc()
	defer n.metrics.partitions.Dec()
	ticker := time.NewTicker(commitEvery / 2)
	defer ticker.Stop()
	for open := true; open; {
		select {
		case m, more := <-claim.Messages():
			if open = more; more {
				n.receive(m)
			}
		case <-ticker.C:
			n.mark(s, partition)
		}
	}
	n.mark(s, partition)
	return nil
}

// mark marks a partition's position; the group commits it.
func (n *Notifier) mark(s sarama.ConsumerGroupSession, partition int32) {
	if at, ok := n.outbox.position(partition, time.Now()); ok {
		s.MarkOffset(n.topic, partition, at, "")
	}
}

// resume returns the offset of the first news: the committed one, or, if there is none
// (first), the end of the partition.
func (h *handler) resume(ctx context.Context, claim sarama.ConsumerGroupClaim) (offset int64, first, ok bool) {
	if at := claim.InitialOffset(); at >= 0 {
		return at, false, true
	}
	for ctx.Err() == nil {
		end, err := h.client.GetOffset(h.n.topic, claim.Partition(), sarama.OffsetNewest)
		if err == nil {
			return end, true, true
		}
		h.n.log.Warn("reading the end offset of a partition failed, retrying", "partition", claim.Partition(), "err", err)
		lifecycle.Pause(ctx, retryPause)
	}
	return 0, false, false
}

// receive puts a record into the outbox.
func (n *Notifier) receive(m *sarama.ConsumerMessage) {
	a, err := wire.DecodeAlert(m.Value)
	if err != nil || a.AlertID == "" {
		n.metrics.unreadable.Inc()
		n.log.Error("record is not an alert, no notification sent", "partition", m.Partition, "offset", m.Offset, "err", err)
		return
	}
	n.outbox.apply(m.Partition, a, m.Offset, m.Timestamp, time.Now())
}
