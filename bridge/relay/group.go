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
	// sessionTimeout is when the lanes of a dead bridge are reassigned; brokers allow no less
	// than 6 s by default.
	sessionTimeout = 6 * time.Second
	// groupHeartbeat bounds how late a bridge learns of a rebalance.
	groupHeartbeat = time.Second
	// minPayload is the least max_payload of a hub: the largest pack of a gateway.
	minPayload = 2 << 20
	// severAfter is when connections to Kafka are cut after a stop, with requests pending or
	// not.
	severAfter = 3 * time.Second
)

// joinGroup runs the lanes assigned by the consumer group until ctx ends. It waits for Kafka
// without a limit.
func (r *Relay) joinGroup(ctx context.Context) error {
	return kafka.Member{
		Log: r.log, Group: r.cfg.GroupID, Topics: []string{r.cfg.Checkpoints}, Connect: r.prepare, Outlive: severAfter,
		Session: func(_ sarama.Client, group sarama.ConsumerGroup) sarama.ConsumerGroupHandler {
			return &handler{relay: r, group: group}
		},
	}.Run(ctx)
}

// prepare ensures the topics and reads the number of lanes.
func (r *Relay) prepare(ctx, life context.Context) (sarama.Client, error) {
	specs := r.cfg.Specs()
	specs.Checkpoints.Partitions = int32(r.cfg.Lanes)
	if err := kafka.EnsureTopics(ctx, r.log, r.cfg.Cluster, specs.DeviceData, specs.DeadLetters, specs.Checkpoints); err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrUnusable, err)
	}
	client, err := kafka.NewClient(life, r.cfg.Cluster, r.groupSettings())
	if err != nil {
		return nil, err
	}
	if err := r.countLanes(client); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

func (r *Relay) groupSettings() *sarama.Config {
	c := r.cfg.Settings(clientID)
	c.Consumer.Offsets.Initial = sarama.OffsetNewest // kafka.Restore reads the earlier ones
	c.Consumer.Group.Session.Timeout = sessionTimeout
	c.Consumer.Group.Heartbeat.Interval = groupHeartbeat
	c.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	return c
}

// countLanes reads the number of lanes from the topic, which overrides the environment.
func (r *Relay) countLanes(client sarama.Client) error {
	partitions, err := client.Partitions(r.cfg.Checkpoints)
	if err != nil {
		return fmt.Errorf("reading the partitions of %s: %w", r.cfg.Checkpoints, err)
	}
	lanes := int32(len(partitions))
	if r.lanes.Swap(lanes) != lanes && lanes != int32(r.cfg.Lanes) {
		r.log.Warn("number of lanes taken from the checkpoints topic, BRIDGE_LANES ignored",
			"topic", r.cfg.Checkpoints, "lanes", lanes, "bridge_lanes", r.cfg.Lanes)
	}
	return nil
}

// handler runs the lanes of one session of the group.
type handler struct {
	relay  *Relay
	group  sarama.ConsumerGroup
	drains sync.WaitGroup
}

// Setup implements sarama.ConsumerGroupHandler.
func (h *handler) Setup(s sarama.ConsumerGroupSession) error {
	h.relay.log.Info("lanes assigned", "lanes", s.Claims()[h.relay.cfg.Checkpoints], "of", h.relay.lanes.Load(), "generation", s.GenerationID())
	h.relay.members.enter(s.Claims()[h.relay.cfg.Checkpoints])
	if nc := h.relay.nc; nc.IsConnected() && nc.MaxPayload() < minPayload {
		h.relay.log.Warn("max_payload of the hub is too small for large packs", "max_payload", nc.MaxPayload(), "want", hub.MaxPayload)
	}
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler.
func (h *handler) Cleanup(sarama.ConsumerGroupSession) error {
	h.drains.Wait()
	h.relay.members.leave()
	return nil
}

// ConsumeClaim runs one lane until the group revokes it, which closes the channel of the
// claim's records. The records themselves are this program's own and are not fetched.
func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	release := h.relay.members.claim(claim.Partition())
	defer release()
	h.drains.Go(func() {
		defer cancel()
		for range claim.Messages() { // discarded
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
		Open:   func(ctx context.Context) (lane.Producer, map[string][]byte, error) { return r.open(ctx, partition) },
		Roster: r.roster, Live: r.live, Progress: r.progress, Metrics: r.metrics, Tracer: r.tracer, Topics: r.cfg.Topics, Log: r.base,
		MaxReadings: r.cfg.Batch, CommitMin: r.cfg.CommitMin, CommitMax: r.cfg.CommitMax, TrimMargin: r.cfg.TrimMargin,
	})
}

// open opens a lane: once the producer exists, the previous owner is fenced.
func (r *Relay) open(ctx context.Context, partition int32) (lane.Producer, map[string][]byte, error) {
	p, err := kafka.NewProducer(ctx, r.log, r.cfg.Config, clientID, fmt.Sprintf("%s%d", r.cfg.TxnPrefix, partition))
	if err != nil {
		return nil, nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = p.Close() }) // Restore writes, which has no context
	defer giveUp()
	state, err := kafka.Restore(ctx, r.log, r.cfg.Cluster, p, r.cfg.Checkpoints, partition)
	if err != nil {
		return nil, nil, errors.Join(err, p.Close())
	}
	return r.wrap(partition, p), state, nil
}
