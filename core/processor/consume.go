package processor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
)

const (
	// A stop takes at most 5 s, whatever state Kafka is in. stopTimeout bounds the last
	// commit; closing the producer takes up to 2 s more. After disconnectTimeout the
	// group's connections are cut; sarama may then still be in a back-off of 2 s, looking
	// for a coordinator, that cannot be interrupted.
	stopTimeout       = time.Second
	disconnectTimeout = 2 * time.Second
	// rebalanceTimeout bounds the last commit before a rebalance. It is below the group's
	// rebalance timeout.
	rebalanceTimeout = 10 * time.Second
)

// consume is a member of the group until ctx ends. After any error the next session
// starts from the last commit.
func (p *Processor) consume(ctx context.Context) error {
	return kafka.Member{
		Log: p.log, Group: p.cfg.GroupID, Topics: []string{p.cfg.DeviceData, p.cfg.Commands},
		Connect: p.prepare, Outlive: disconnectTimeout,
		Session: func(client sarama.Client, _ sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			return &handler{p: p, client: client, quit: ctx.Done()}
		},
	}.Run(ctx)
}

// handler holds one session of the group: one assignment of partitions.
type handler struct {
	p      *Processor
	client sarama.Client
	quit   <-chan struct{}
	s      *session
	err    error // the error that ended the session, nil after a rebalance or stop
}

// Err implements kafka.Judge.
func (h *handler) Err() error { return h.err }

// Setup takes over the assigned partitions: nothing is read before their state is restored.
func (h *handler) Setup(sess sarama.ConsumerGroupSession) error {
	p := h.p
	if err := p.checkPartitions(h.client); err != nil {
		return err
	}
	partitions, err := p.claimed(sess.Claims())
	if err != nil {
		return err
	}
	s := newSession(p, sarama.NewConsumerGroupMetadataFromSession(sess, p.cfg.GroupID, nil))
	start := time.Now()
	if err := s.restore(sess.Context(), partitions); err != nil {
		return err
	}
	p.metrics.restore.Observe(time.Since(start).Seconds())
	p.log.Info("partitions assigned", "partitions", partitions, "generation", sess.GenerationID(),
		"devices", s.deviceCount(), "took", time.Since(start).Round(time.Millisecond))
	h.s = s
	p.session.Store(s)
	go s.run(p.cfg.CommitMin, p.cfg.CommitMax)
	return nil
}

// claimed returns the assigned partitions. They must be the same of both inputs, because a
// device's commands and readings change the same state.
func (p *Processor) claimed(claims map[string][]int32) ([]int32, error) {
	readings := slices.Sorted(slices.Values(claims[p.cfg.DeviceData]))
	commands := slices.Sorted(slices.Values(claims[p.cfg.Commands]))
	if !slices.Equal(readings, commands) {
		return nil, fmt.Errorf("the group assigned partitions %v of %s and %v of %s; want the same of both: "+
			"does a member of group %s consume other topics, such as an older core?",
			readings, p.cfg.DeviceData, commands, p.cfg.Commands, p.cfg.GroupID)
	}
	return readings, nil
}

// ConsumeClaim processes one partition of an input until the session ends. The task runs
// on the goroutine of its readings; that of its commands forwards them.
func (h *handler) ConsumeClaim(sess sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	t := h.s.tasks[claim.Partition()]
	if claim.Topic() == h.p.cfg.Commands {
		t.forward(sess.Context(), claim, h.s.failed)
		return nil
	}
	t.run(sess.Context(), claim, h.s.failed)
	return nil
}

// Cleanup commits the last results and releases the partitions.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	if h.s == nil {
		return nil // Setup failed
	}
	h.p.session.CompareAndSwap(h.s, nil)
	h.err = h.s.close(h.quit)
	return nil
}
