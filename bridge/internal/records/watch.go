package records

import (
	"context"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/tail"
)

// retryAfter is the pause after the topic's id could not be read.
const retryAfter = time.Second

// Watcher is called with what is in the topic: Start with the topic's id, then Apply with each record and
// its version, Complete once those that were there at the start have been applied. If Kafka has lost
// records it begins again.
type Watcher interface {
	Start(topic string)
	Apply(key string, value []byte, version int64)
	Complete()
}

// Watch creates the topic if it is missing and has w see it until ctx ends.
func (s *Store) Watch(ctx context.Context, w Watcher) error {
	if err := kafka.EnsureTopics(ctx, s.Log, s.Cluster, s.Topic); err != nil {
		return err
	}
	for ctx.Err() == nil {
		id, err := kafka.TopicID(ctx, s.Cluster, s.Topic.Name)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.Warn("the id of a topic is unreadable, retrying", "topic", s.Topic.Name, "err", err)
			}
			lifecycle.Pause(ctx, retryAfter)
			continue
		}
		w.Start(id)
		s.watch(ctx, w)
	}
	return nil
}

// watch reads until ctx ends or Kafka has lost records.
func (s *Store) watch(ctx context.Context, w Watcher) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tail.New(tail.Options{
		Cluster: s.Cluster, ClientID: clientID, Topic: s.Topic.Name, Log: s.Log,
		Apply: func(m *sarama.ConsumerMessage, _ bool) {
			if ctx.Err() == nil {
				w.Apply(string(m.Key), m.Value, m.Offset+1)
			}
		},
		CaughtUp: w.Complete,
		Restart:  func(int32) { cancel() },
	}).Run(ctx)
}
