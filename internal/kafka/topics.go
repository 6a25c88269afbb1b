package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/lifecycle"
)

// Topic describes a topic to create when it is missing.
type Topic struct {
	Name       string
	Partitions int32
	Compacted  bool
	// MaxMessageBytes, when not 0, is set as max.message.bytes.
	MaxMessageBytes int
}

// detail returns what the broker is asked to create.
func (t Topic) detail() *sarama.TopicDetail {
	d := &sarama.TopicDetail{
		NumPartitions:     t.Partitions,
		ReplicationFactor: -1, // the broker's default (KIP-464)
		ConfigEntries:     map[string]*string{},
	}
	set := func(k, v string) { d.ConfigEntries[k] = &v }
	if t.Compacted {
		set("cleanup.policy", "compact")
		// Kafka does not apply retention to a compacted topic; others do.
		set("retention.ms", "-1")
		set("retention.bytes", "-1")
		// Only closed segments are compacted, and Restore reads what is not: the default
		// of 1 GiB would make a new owner read millions of outdated records.
		set("segment.bytes", strconv.Itoa(compactedSegment))
	}
	if t.MaxMessageBytes != 0 {
		set("max.message.bytes", strconv.Itoa(t.MaxMessageBytes))
	}
	return d
}

// compactedSegment is the size of a compacted topic's segments in bytes.
const compactedSegment = 16 << 20

// EnsureTopics creates the topics that are missing, with the broker's default
// replication factor, and leaves the others as they are. It waits until each has
// leaders. It retries until ctx ends while the brokers cannot be reached.
func EnsureTopics(ctx context.Context, log *slog.Logger, brokers []string, topics ...Topic) error {
	return persist(ctx, log, "creating topics", func() error {
		admin, err := newAdmin(ctx, brokers)
		if err != nil {
			return err
		}
		defer func() { _ = admin.Close() }()
		return ensure(ctx, log, admin, topics)
	})
}

func newAdmin(ctx context.Context, brokers []string) (sarama.ClusterAdmin, error) {
	c := NewSettings("topics")
	bindOnce(ctx, c)
	return sarama.NewClusterAdmin(brokers, c)
}

func ensure(ctx context.Context, log *slog.Logger, admin sarama.ClusterAdmin, topics []Topic) error {
	known, err := describe(admin, topics)
	if err != nil {
		return err
	}
	for _, t := range topics {
		if known[t.Name] != nil {
			continue
		}
		err := admin.CreateTopic(t.Name, t.detail(), false)
		switch {
		case err == nil:
			log.Info("topic created", "topic", t.Name, "partitions", t.Partitions)
		case !errors.Is(err, sarama.ErrTopicAlreadyExists):
			return fmt.Errorf("creating topic %s: %w", t.Name, err)
		}
	}
	return awaitLeaders(ctx, admin, topics)
}

// describe returns the topics that exist, by name.
func describe(admin sarama.ClusterAdmin, topics []Topic) (map[string]*sarama.TopicMetadata, error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	all, err := admin.DescribeTopics(names)
	if err != nil {
		return nil, fmt.Errorf("describing topics: %w", err)
	}
	known := make(map[string]*sarama.TopicMetadata, len(all))
	for _, m := range all {
		switch m.Err {
		case sarama.ErrUnknownTopicOrPartition:
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			known[m.Name] = m
		default:
			return nil, fmt.Errorf("describing topic %s: %w", m.Name, m.Err)
		}
	}
	return known, nil
}

func awaitLeaders(ctx context.Context, admin sarama.ClusterAdmin, topics []Topic) error {
	for {
		known, err := describe(admin, topics)
		if err != nil {
			return err
		}
		if led(known, topics) {
			return nil
		}
		if !lifecycle.Pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// led says whether every partition of every topic has a leader.
func led(known map[string]*sarama.TopicMetadata, topics []Topic) bool {
	for _, t := range topics {
		m := known[t.Name]
		if m == nil || !errors.Is(m.Err, sarama.ErrNoError) || len(m.Partitions) == 0 {
			return false
		}
		for _, p := range m.Partitions {
			if !errors.Is(p.Err, sarama.ErrNoError) || p.Leader < 0 {
				return false
			}
		}
	}
	return true
}
