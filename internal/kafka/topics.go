package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"industrial-iot-monitor/internal/lifecycle"
)

// Topic describes a topic to create when it is missing.
type Topic struct {
	Name       string
	Partitions int32
	// Like, when set, is a topic that is created first and whose number of partitions counts
	// in place of Partitions.
	Like      *Topic
	Compacted bool
	// KeepForever switches deletion by age and size off.
	KeepForever bool
	// OnePartition says that the topic must have one: the order of its records decides.
	OnePartition bool
	// MinRetention is the shortest retention.ms with which the product keeps its promises; 0: any.
	MinRetention time.Duration
	// MaxMessageBytes, when not 0, is set as max.message.bytes.
	MaxMessageBytes int
}

// detail returns the request to create the topic.
func (t Topic) detail() *sarama.TopicDetail {
	d := &sarama.TopicDetail{
		NumPartitions:     t.Partitions,
		ReplicationFactor: -1, // the broker's default (KIP-464)
		ConfigEntries:     map[string]*string{},
	}
	set := func(k, v string) { d.ConfigEntries[k] = &v }
	if t.Compacted {
		set("cleanup.policy", "compact")
		// Only closed segments are compacted, and Restore reads the open one whole: the
		// default of 1 GiB would make a new owner read millions of outdated records.
		set("segment.bytes", strconv.Itoa(compactedSegment))
	}
	// Kafka does not apply retention to a compacted topic; other brokers do.
	if t.Compacted || t.KeepForever {
		for _, k := range retention {
			set(k, unlimited)
		}
	}
	if t.MaxMessageBytes != 0 {
		set("max.message.bytes", strconv.Itoa(t.MaxMessageBytes))
	}
	return d
}

// compactedSegment is the size of a compacted topic's segments in bytes.
const compactedSegment = 16 << 20

// retention names the settings by which a topic's records are deleted.
var retention = []string{"retention.ms", "retention.bytes"}

// unlimited is a retention setting's value for no limit.
const unlimited = "-1"

// EnsureTopics creates the topics that are missing, with the broker's default
// replication factor, and leaves the others as they are. It waits until each has
// leaders. It retries until ctx ends while the brokers are unreachable. Settings of a topic that break a
// promise are logged, and counted if the cluster is of Open; they are no error.
func EnsureTopics(ctx context.Context, log *slog.Logger, cluster Cluster, topics ...Topic) error {
	return persist(ctx, log, "creating topics", func() error {
		admin, err := cluster.admin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = admin.Close() }()
		var first, second []Topic
		for _, t := range topics {
			if t.Like != nil {
				second = append(second, t)
				t = *t.Like
			}
			if !slices.ContainsFunc(first, func(o Topic) bool { return o.Name == t.Name }) {
				first = append(first, t)
			}
		}
		known, err := ensure(ctx, log, admin, first)
		if err != nil {
			return err
		}
		for i := range second {
			second[i].Partitions = int32(len(known[second[i].Like.Name].Partitions))
		}
		if len(second) > 0 {
			if _, err = ensure(ctx, log, admin, second); err != nil {
				return err
			}
		}
		cluster.checkSettings(log, admin, topics)
		return nil
	})
}

// ensure creates the missing topics and returns the metadata of all.
func ensure(ctx context.Context, log *slog.Logger, admin sarama.ClusterAdmin, topics []Topic) (map[string]*sarama.TopicMetadata, error) {
	known, err := describe(admin, topics)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		err := error(sarama.ErrTopicAlreadyExists)
		if known[t.Name] == nil {
			err = admin.CreateTopic(t.Name, t.detail(), false)
		}
		switch {
		case err == nil:
			log.Info("topic created", "topic", t.Name, "partitions", t.Partitions)
		case !errors.Is(err, sarama.ErrTopicAlreadyExists):
			return nil, fmt.Errorf("creating topic %s: %w", t.Name, err)
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

func awaitLeaders(ctx context.Context, admin sarama.ClusterAdmin, topics []Topic) (map[string]*sarama.TopicMetadata, error) {
	for {
		known, err := describe(admin, topics)
		if err != nil {
			return nil, err
		}
		if led(known, topics) {
			return known, nil
		}
		if !lifecycle.Pause(ctx, 50*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

// led reports whether every partition of every topic has a leader.
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

// Missing returns those of the topics that do not exist.
func Missing(ctx context.Context, cluster Cluster, topics ...Topic) (missing []string, err error) {
	admin, err := cluster.admin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	known, err := describe(admin, topics)
	for _, t := range topics {
		if err == nil && known[t.Name] == nil {
			missing = append(missing, t.Name)
		}
	}
	return missing, err
}

// TopicID returns the id that Kafka gave a topic when it was made: another one if it was made again
// under its name. Brokers before 2.8 give none, which is an id of zeros.
func TopicID(ctx context.Context, cluster Cluster, topic string) (id string, err error) {
	admin, err := cluster.admin(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	return topicID(admin, topic)
}

// TopicIDOver is TopicID over the connections of a client.
func TopicIDOver(client sarama.Client, topic string) (string, error) {
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed, which would close the client
	if err != nil {
		return "", err
	}
	return topicID(admin, topic)
}

// ErrMadeAgain says that a topic was deleted, and that there is another one under its name.
var ErrMadeAgain = errors.New("the topic was deleted and made again")

// SameTopic is nil if the topic has that id, ErrMadeAgain if it has another one. What a consumer, which
// knows names alone, delivered before is of the topic with that id only if this is nil.
func SameTopic(client sarama.Client, topic, id string) error {
	now, err := TopicIDOver(client, topic)
	if err == nil && now != id {
		err = ErrMadeAgain
	}
	return err
}

func topicID(admin sarama.ClusterAdmin, topic string) (string, error) {
	known, err := describe(admin, []Topic{{Name: topic}})
	if err != nil {
		return "", err
	}
	m := known[topic]
	if m == nil {
		return "", fmt.Errorf("describing topic %s: %w", topic, sarama.ErrUnknownTopicOrPartition)
	}
	return m.Uuid.String(), nil
}
