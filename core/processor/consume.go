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
	// A stop takes 5 s at most, whatever Kafka is at. stopPatience bounds the last
	// commit; closing the producer takes 2 s more. lifePatience is when the group's
	// connections are cut, and sarama may be in a pause of 2 s by then, while it looks
	// for a coordinator, that nothing ends.
	stopPatience = time.Second
	lifePatience = 2 * time.Second
	// rebalancePatience bounds the last commit when the group changes hands. It lies
	// below the group's rebalance timeout.
	rebalancePatience = 10 * time.Second
)

// consume is a member of the group until ctx ends. Whatever goes wrong with a session
// is forgotten with it: the next one starts from what was committed last.
func (p *Processor) consume(ctx context.Context) error {
	return kafka.Member{
		Log: p.log, Group: p.cfg.GroupID, Topics: []string{p.cfg.DeviceData, p.cfg.Commands},
		Connect: p.prepare, Outlive: lifePatience,
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
	err    error // what ended the session, nil for the group's ordinary course
}

// Err implements kafka.Judge.
func (h *handler) Err() error { return h.err }

// Setup takes over the assigned partitions: nothing is read before their state is back.
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
	go s.run(p.cfg.CommitInterval)
	return nil
}

// claimed returns the partitions that the group gave us: the same of both inputs, because
// what is commanded about a device and its readings change one state.
func (p *Processor) claimed(claims map[string][]int32) ([]int32, error) {
	readings := slices.Sorted(slices.Values(claims[p.cfg.DeviceData]))
	commands := slices.Sorted(slices.Values(claims[p.cfg.Commands]))
	if !slices.Equal(readings, commands) {
		return nil, fmt.Errorf("the group assigned partitions %v of %s and %v of %s; want the same of both: "+
			"is there a member in group %s that consumes something else, such as an older core?",
			readings, p.cfg.DeviceData, commands, p.cfg.Commands, p.cfg.GroupID)
	}
	return readings, nil
}

// ConsumeClaim processes one partition of an input until the session ends. The task has
// one goroutine, that of its readings; commands are handed to it.
func (h *handler) ConsumeClaim(sess sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	t := h.s.tasks[claim.Partition()]
	if claim.Topic() == h.p.cfg.Commands {
		t.forward(sess.Context(), claim, h.s.failed)
		return nil
	}
	t.run(sess.Context(), claim, h.s.failed)
	return nil
}

// Cleanup commits what was processed and gives the partitions back.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	if h.s == nil {
		return nil // Setup failed
	}
	h.p.session.CompareAndSwap(h.s, nil)
	h.err = h.s.close(h.quit)
	return nil
}
