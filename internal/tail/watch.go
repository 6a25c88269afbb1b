package tail

import (
	"context"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
)

// Watcher is called with what is in a topic of one partition: Start with the topic's id, then Apply with each
// record and its version, which is its offset and 1, Complete once those that were there at the start have been applied. If Kafka has lost
// records, or the topic was deleted and made again, it begins again: within seconds.
type Watcher interface {
	Start(topic string)
	Apply(key string, value []byte, version int64)
	Complete()
}

// Watch creates the topic if it is missing and has w see all of it, until ctx ends. Apply, CaughtUp, Restart,
// ID and MadeAgain of the options are not used.
func Watch(ctx context.Context, o Options, topic kafka.Topic, w Watcher) error {
	if err := kafka.EnsureTopics(ctx, o.Log, o.Cluster, topic); err != nil {
		return err
	}
	o.Topic = topic.Name
	for ctx.Err() == nil {
		id, err := kafka.TopicID(ctx, o.Cluster, topic.Name)
		if err == nil {
			w.Start(id)
			watch(ctx, o, id, w)
			continue
		}
		if ctx.Err() == nil {
			o.Log.Warn("the id of a topic is unreadable, retrying", "topic", topic.Name, "err", err)
		}
		lifecycle.Pause(ctx, retryAfter)
	}
	return nil
}

// watch reads the topic with an id until ctx ends, Kafka has lost records or the topic has another id.
func watch(ctx context.Context, o Options, id string, w Watcher) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.Apply = func(m *sarama.ConsumerMessage, _ bool) {
		if ctx.Err() == nil {
			w.Apply(string(m.Key), m.Value, m.Offset+1)
		}
	}
	o.CaughtUp, o.Restart = w.Complete, func(int32) { cancel() }
	o.ID, o.MadeAgain = id, cancel
	New(o).Run(ctx)
}
