// Package records keeps the records of who may connect (package access) in a compacted topic of Kafka.
// It does not judge them. Every function blocks on Kafka, until its context ends.
package records

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/tail"
)

// clientID is how the bridge presents itself to Kafka for this topic.
const clientID = "bridge-access"

// Store is the topic. It has one partition: the order of its records decides between two of them.
type Store struct {
	Cluster kafka.Cluster
	Topic   kafka.Topic
	Log     *slog.Logger
}

// Keep writes a record and returns when all brokers that must have it have it. A nil value removes it.
// The topic is created if it is missing.
func (s *Store) Keep(ctx context.Context, key string, value []byte) (err error) {
	if err := kafka.EnsureTopics(ctx, s.Log, s.Cluster, s.Topic); err != nil {
		return err
	}
	settings := s.Cluster.Settings(clientID)
	settings.Producer.RequiredAcks = sarama.WaitForAll
	settings.Producer.Return.Successes = true
	settings.Producer.Retry.Max = 0 // the caller decides
	client, err := kafka.NewClient(ctx, s.Cluster, settings)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the record was acknowledged, or not
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		return fmt.Errorf("creating a producer: %w", err)
	}
	defer func() { _ = producer.Close() }() // likewise
	m := &sarama.ProducerMessage{Topic: s.Topic.Name, Key: sarama.StringEncoder(key)}
	if value != nil {
		m.Value = sarama.ByteEncoder(value)
	}
	if _, _, err := producer.SendMessage(m); err != nil {
		return fmt.Errorf("writing to %s: %w", s.Topic.Name, err)
	}
	return nil
}

// Follow creates the topic if it is missing and calls apply for each record, in order, and complete
// once those that were there at the start have been applied, until ctx ends.
func (s *Store) Follow(ctx context.Context, apply func(key string, value []byte), complete func()) error {
	if err := kafka.EnsureTopics(ctx, s.Log, s.Cluster, s.Topic); err != nil {
		return err
	}
	tail.New(tail.Options{
		Cluster: s.Cluster, ClientID: clientID, Topic: s.Topic.Name, Log: s.Log,
		Apply:    func(m *sarama.ConsumerMessage, _ bool) { apply(string(m.Key), m.Value) },
		CaughtUp: complete,
	}).Run(ctx)
	return nil
}

// Read returns the newest value of each key.
func (s *Store) Read(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, complete := map[string][]byte{}, false
	err := s.Follow(ctx, func(key string, value []byte) {
		if out[key] = value; value == nil {
			delete(out, key)
		}
	}, func() { complete = true; cancel() })
	if err != nil {
		return nil, err
	}
	if !complete {
		return nil, fmt.Errorf("reading %s: %w", s.Topic.Name, ctx.Err())
	}
	return out, nil
}
