package processor

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
)

// clientID is core's client id at the brokers.
const clientID = "core"

// sessionTimeout is how long after its last heartbeat a member loses its partitions: six
// heartbeats are missing then. A member that only seemed dead is fenced, so a mistake costs
// repeated work.
const sessionTimeout = 6 * time.Second

// prepare creates the topics that are missing and returns a client, once the changes of rules
// have been read. It waits for Kafka until ctx ends. The client ends with life.
func (p *Processor) prepare(ctx, life context.Context) (sarama.Client, error) {
	c, specs := &p.cfg, p.cfg.Specs()
	err := kafka.EnsureTopics(ctx, p.log, c.Cluster, specs.DeviceData, specs.Alerts, specs.DeadLetters, specs.Audit,
		specs.Commands, specs.AlarmState, specs.DeviceState, specs.DeviceMeta, specs.DetectState, specs.Rules)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrUnusable, err)
	}
	conf := c.Settings(clientID)
	// Range assigns the same partitions of both inputs to a member.
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	conf.Consumer.Group.Session.Timeout = sessionTimeout
	client, err := kafka.NewClient(life, c.Cluster, conf)
	if err != nil {
		return nil, err
	}
	if err := p.checkPartitions(client); err != nil {
		_ = client.Close() // the first error says why
		return nil, err
	}
	// No reading is judged before every approved change of a rule is in force.
	if !p.changesRead(ctx) {
		_ = client.Close() // the end of ctx says why
		return nil, ctx.Err()
	}
	return client, nil
}

// checkPartitions makes sure that the commands and the state topics have the partitions of
// the readings, for which partitions may have been added since the topics were created.
func (p *Processor) checkPartitions(client sarama.Client) error {
	c := &p.cfg
	counts := make(map[string]int)
	topics := []string{c.DeviceData, c.Commands, c.AlarmState, c.DeviceState, c.DeviceMeta, c.DetectState}
	if err := client.RefreshMetadata(topics...); err != nil {
		return fmt.Errorf("refreshing the metadata of %v: %w", topics, err)
	}
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return fmt.Errorf("listing the partitions of %s: %w", topic, err)
		}
		counts[topic] = len(partitions)
	}
	want := counts[c.DeviceData]
	p.partitions.Store(int32(want))
	if rules, err := client.Partitions(c.Rules); err == nil && len(rules) != 1 {
		return fmt.Errorf("%w: %s has %d partitions; want one, because the order of its records decides", kafka.ErrUnusable, c.Rules, len(rules))
	}
	for _, topic := range topics[1:] {
		if counts[topic] != want {
			return fmt.Errorf("%w: %s has %d partitions and %s has %d, but a device's commands and state must be in the partition of its readings: "+
				"give %s %d partitions, or remove it while core is stopped (its data is then lost)",
				kafka.ErrUnusable, topic, counts[topic], c.DeviceData, want, topic, want)
		}
	}
	return nil
}

// partitionOf returns the partition of a device's readings, commands and state.
func (p *Processor) partitionOf(id string) int32 {
	// Only the encoding of a key can fail, and a string's cannot.
	k, _ := p.placement.Partition(&sarama.ProducerMessage{Key: sarama.StringEncoder(id)}, max(p.partitions.Load(), 1))
	return k
}
