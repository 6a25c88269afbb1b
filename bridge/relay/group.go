package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/bridge/internal/hub"
	"industrial-iot-monitor/bridge/internal/lane"
	"industrial-iot-monitor/internal/kafka"
)

const (
	// clientID names the bridge to the brokers.
	clientID = "bridge"
	// A lane of a bridge that died is taken over after this long; brokers allow no less
	// than 6 s by default.
	sessionTimeout = 6 * time.Second
	// groupHeartbeat bounds how long a bridge does not notice that lanes are to be shared anew.
	groupHeartbeat = time.Second
	// minPayload is what a hub has to let through at least: the largest pack of a gateway.
	minPayload = 2 << 20
	// severAfter is how long after the stop the connections to Kafka are cut, whatever
	// still waits for an answer.
	severAfter = 3 * time.Second
)

// work takes part in the sharing of lanes until ctx ends. It waits for Kafka as long as
// it takes.
func (r *Relay) work(ctx context.Context) error {
	return kafka.Member{
		Log: r.log, Group: r.cfg.GroupID, Topics: []string{r.cfg.Checkpoints}, Connect: r.prepare, Outlive: severAfter,
		Session: func(_ sarama.Client, group sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			return &handler{relay: r, group: group}
		},
	}.Run(ctx)
}

// prepare makes sure of the topics and learns the number of lanes.
func (r *Relay) prepare(ctx, life context.Context) (sarama.Client, error) {
	specs := r.cfg.Specs()
	specs.Checkpoints.Partitions = int32(r.cfg.Lanes)
	if err := kafka.EnsureTopics(ctx, r.log, r.cfg.Brokers, specs.DeviceData, specs.DeadLetters, specs.Checkpoints); err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrUnusable, err)
	}
	client, err := kafka.NewClient(life, r.cfg.Brokers, groupSettings())
	if err != nil {
		return nil, err
	}
	if err := r.countLanes(client); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

func groupSettings() *sarama.Config {
	c := kafka.NewSettings(clientID)
	c.Consumer.Offsets.Initial = sarama.OffsetNewest // what is there is read by kafka.Restore
	c.Consumer.Group.Session.Timeout = sessionTimeout
	c.Consumer.Group.Heartbeat.Interval = groupHeartbeat
	c.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	return c
}

// countLanes learns the number of lanes from the topic, which wins over the environment.
func (r *Relay) countLanes(client sarama.Client) error {
	partitions, err := client.Partitions(r.cfg.Checkpoints)
	if err != nil {
		return fmt.Errorf("asking for the partitions of %s: %w", r.cfg.Checkpoints, err)
	}
	lanes := int32(len(partitions))
	if r.lanes.Swap(lanes) != lanes && lanes != int32(r.cfg.Lanes) {
		r.log.Warn("the checkpoints topic decides the number of lanes, BRIDGE_LANES is ignored",
			"topic", r.cfg.Checkpoints, "lanes", lanes, "bridge_lanes", r.cfg.Lanes)
	}
	return nil
}

// handler works the lanes that the group assigns, for one session.
type handler struct {
	relay  *Relay
	group  sarama.ConsumerGroup
	drains sync.WaitGroup
}

// Setup implements sarama.ConsumerGroupHandler.
func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	h.relay.log.Info("lanes assigned", "lanes", s.Claims()[h.relay.cfg.Checkpoints], "of", h.relay.lanes.Load(), "generation", s.GenerationID())
	h.relay.members.enter()
	if nc := h.relay.nc; nc.IsConnected() && nc.MaxPayload() < minPayload {
		h.relay.log.Warn("the hub may be too narrow for large packs", "max_payload", nc.MaxPayload(), "want", hub.MaxPayload)
	}
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	h.drains.Wait()
	h.relay.members.leave()
	return nil
}

// ConsumeClaim works one lane until it is assigned anew. The records of the claim are
// of no interest, being our own, so they are not fetched; the end of their channel is
// how the group takes the lane away.
func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	giveBack := h.relay.members.take(claim.Partition())
	defer giveBack()
	h.drains.Go(func() {
		defer cancel()
		for range claim.Messages() { // nothing is to be done with them
		}
	})
	h.group.Pause(map[string][]int32{claim.Topic(): {claim.Partition()}})
	l, err := h.relay.newLane(claim.Partition())
	if err != nil {
		return err
	}
	return l.Run(ctx)
}

func (r *Relay) newLane(partition int32) (*lane.Lane, error) {
	return lane.New(lane.Options{
		Partition: partition, Lanes: r.lanes.Load(),
		Open: func(ctx context.Context) (lane.Producer, map[string][]byte, error) { return r.open(ctx, partition) },
		NATS: r.nc, Roster: r.roster, Progress: r.progress, Metrics: r.metrics, Topics: r.cfg.Topics, Log: r.base,
		MaxReadings: r.cfg.Batch, Linger: r.cfg.Linger, TrimMargin: r.cfg.TrimMargin,
	})
}

// open takes a lane: from the moment the producer exists, the owner before can commit
// nothing any more.
func (r *Relay) open(ctx context.Context, partition int32) (lane.Producer, map[string][]byte, error) {
	p, err := kafka.NewProducer(ctx, r.log, r.cfg.Brokers, clientID, fmt.Sprintf("%s%d", r.cfg.TxnPrefix, partition))
	if err != nil {
		return nil, nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = p.Close() }) // Restore writes, and that knows no context
	defer giveUp()
	state, err := kafka.Restore(ctx, r.log, r.cfg.Brokers, p, r.cfg.Checkpoints, partition)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return r.wrap(partition, p), state, nil
}
