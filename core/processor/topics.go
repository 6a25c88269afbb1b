package processor

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

// clientID names core to the brokers.
const clientID = "core"

// prepare creates the topics that are missing and returns a client. It waits for Kafka
// until ctx ends. life is the client's life.
func (p *Processor) prepare(ctx, life context.Context) (sarama.Client, error) {
	c := &p.cfg
	err := kafka.EnsureTopics(ctx, p.log, c.Brokers,
		kafka.Topic{Name: c.DeviceData, Partitions: wire.DeviceDataPartitions, MaxMessageBytes: kafka.MaxRecordBytes},
		kafka.Topic{Name: c.Alerts, Partitions: wire.AlertsPartitions, MaxMessageBytes: kafka.MaxRecordBytes},
		kafka.Topic{Name: c.DeadLetters, Partitions: wire.AlertsPartitions, MaxMessageBytes: kafka.MaxRecordBytes},
	)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTopics, err)
	}
	conf := kafka.NewSettings(clientID)
	conf.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	kafka.Bind(life, conf)
	client, err := sarama.NewClient(c.Brokers, conf)
	if err != nil {
		return nil, fmt.Errorf("connecting to kafka: %w", err)
	}
	if err := p.ensureState(ctx, client); err != nil {
		_ = client.Close() // the first error says why
		return nil, err
	}
	return client, nil
}

// ensureState makes sure that the state topics have the partitions of the input: the
// state of a device lies in the partition its readings are in.
func (p *Processor) ensureState(ctx context.Context, client sarama.Client) error {
	c := &p.cfg
	input, err := client.Partitions(c.DeviceData)
	if err != nil {
		return fmt.Errorf("asking for the partitions of %s: %w", c.DeviceData, err)
	}
	want := int32(len(input))
	err = kafka.EnsureTopics(ctx, p.log, c.Brokers,
		kafka.Topic{Name: c.AlarmState, Partitions: want, Compacted: true, MaxMessageBytes: kafka.MaxRecordBytes},
		kafka.Topic{Name: c.DeviceState, Partitions: want, Compacted: true, MaxMessageBytes: kafka.MaxRecordBytes},
	)
	if err != nil {
		return fmt.Errorf("%w: %w", errTopics, err)
	}
	return p.checkPartitions(client)
}

// checkPartitions compares the topics as they are now: somebody may have added
// partitions to the input.
func (p *Processor) checkPartitions(client sarama.Client) error {
	c := &p.cfg
	counts := make(map[string]int)
	topics := []string{c.DeviceData, c.AlarmState, c.DeviceState}
	if err := client.RefreshMetadata(topics...); err != nil {
		return fmt.Errorf("asking for the partitions of %v: %w", topics, err)
	}
	for _, topic := range topics {
		partitions, err := client.Partitions(topic)
		if err != nil {
			return fmt.Errorf("asking for the partitions of %s: %w", topic, err)
		}
		counts[topic] = len(partitions)
	}
	want := counts[c.DeviceData]
	for _, topic := range topics[1:] {
		if counts[topic] != want {
			return fmt.Errorf("%w: %s has %d partitions and %s has %d, but a device's state lies beside its readings: "+
				"give %s %d partitions, or remove it while core is stopped (what it holds is then forgotten)",
				errTopics, topic, counts[topic], c.DeviceData, want, topic, want)
		}
	}
	return nil
}
