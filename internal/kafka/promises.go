package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// facts are how a topic is, as the brokers say.
type facts struct {
	config               map[string]string // a setting that the broker does not know is missing
	partitions, replicas int
	brokers              int // of the cluster
}

// finding is what a promise wants of one setting of a topic.
type finding struct {
	setting, value string
	want           string // empty: the value is right
	promise        string
}

// promise is what the product needs of one setting.
type promise struct {
	setting string
	// judge returns what would be right, empty if the value is, and the promise that needs it, empty where none does.
	judge func(t *Topic, f *facts, value string) (want, promise string)
}

// The promises that settings of a topic can break, as they stand in logs.
const (
	keptForever = "its records are kept for ever"
	keptWhole   = "every record is kept, not the newest of its key alone"
	keptState   = "the newest record of every key is kept for ever"
	keptAwhile  = "a reader that was down for a day has lost nothing"
	durable     = "what was acknowledged outlives the disk of one broker"
	taken       = "every record of the product fits"
	ordered     = "the order of its records decides between two of them"
	together    = "what belongs to a device is in the partition of its readings"
	timed       = "a restored trail has the times of its records"
	writable    = "records can be written"
)

// promises are checked against every topic.
var promises = []promise{
	{"cleanup.policy", judgePolicy},
	{"retention.ms", judgeRetention},
	{"retention.bytes", judgeRetainedBytes},
	{"max.message.bytes", judgeMessageBytes},
	{"message.timestamp.type", judgeTimestamps},
	{"unclean.leader.election.enable", judgeElection},
	{"min.insync.replicas", judgeInSync},
	{replicationFactor, judgeReplicas},
	{partitionCount, judgePartitions},
}

// Settings of a topic that are not in its configuration.
const (
	replicationFactor = "replication.factor"
	partitionCount    = "partitions"
)

// configNames are the settings to ask the brokers for.
var configNames = func() (names []string) {
	for _, p := range promises {
		if p.setting != replicationFactor && p.setting != partitionCount {
			names = append(names, p.setting)
		}
	}
	return names
}()

// judge compares a topic with the promises: a finding for each setting that one depends on. Without
// f.config only those that need none are judged.
func judge(t *Topic, f *facts) (out []finding) {
	for _, p := range promises {
		value, known := f.config[p.setting]
		switch p.setting {
		case replicationFactor:
			value, known = strconv.Itoa(f.replicas), f.replicas > 0
		case partitionCount:
			value, known = strconv.Itoa(f.partitions), f.partitions > 0
		}
		if !known {
			continue
		}
		if want, why := p.judge(t, f, value); why != "" {
			out = append(out, finding{p.setting, value, want, why})
		}
	}
	return out
}

func judgePolicy(t *Topic, _ *facts, value string) (want, promise string) {
	want, promise = "delete", keptWhole
	if t.Compacted {
		want, promise = "compact", keptState
	}
	if value == want {
		want = ""
	}
	return want, promise
}

// judgeRetention leaves compacted topics out: Kafka does not apply retention to them.
func judgeRetention(t *Topic, _ *facts, value string) (want, promise string) {
	ms, err := strconv.ParseInt(value, 10, 64)
	switch {
	case t.KeepForever:
		return unless(value == unlimited, unlimited), keptForever
	case t.MinRetention == 0 || t.Compacted || err != nil:
		return "", ""
	}
	least := t.MinRetention.Milliseconds()
	return unless(ms < 0 || ms >= least, fmt.Sprintf("%d (%s) or more, or -1", least, t.MinRetention.Round(time.Hour))), keptAwhile
}

// judgeRetainedBytes cannot judge a topic that is not kept for ever: how many bytes a day has, depends on the plant.
func judgeRetainedBytes(t *Topic, _ *facts, value string) (want, promise string) {
	if !t.KeepForever {
		return "", ""
	}
	return unless(value == unlimited, unlimited), keptForever
}

func judgeMessageBytes(t *Topic, _ *facts, value string) (want, promise string) {
	n, err := strconv.Atoi(value)
	if t.MaxMessageBytes == 0 || err != nil {
		return "", ""
	}
	return unless(n >= t.MaxMessageBytes, fmt.Sprintf("%d or more", t.MaxMessageBytes)), taken
}

func judgeTimestamps(t *Topic, _ *facts, value string) (want, promise string) {
	if !t.KeepForever {
		return "", ""
	}
	return unless(value == "CreateTime", "CreateTime"), timed
}

func judgeElection(_ *Topic, f *facts, value string) (want, promise string) {
	if f.replicas < 2 {
		return "", "" // there is no replica that could lag behind
	}
	return unless(value == "false", "false"), durable
}

func judgeInSync(_ *Topic, f *facts, value string) (want, promise string) {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil || f.replicas == 0:
		return "", ""
	case n > f.replicas:
		return fmt.Sprintf("%d or less, its number of replicas", f.replicas), writable
	case f.replicas < 2:
		return "", ""
	}
	return unless(n >= 2, "2"), durable
}

func judgeReplicas(_ *Topic, f *facts, _ string) (want, promise string) {
	if f.brokers < 2 {
		return "", "" // a cluster of one is a choice for trials
	}
	return unless(f.replicas >= 2, "3, or 2 with two brokers"), durable
}

func judgePartitions(t *Topic, f *facts, _ string) (want, promise string) {
	switch {
	case t.OnePartition:
		return unless(f.partitions == 1, "1"), ordered
	case t.Like != nil:
		return unless(f.partitions == int(t.Partitions), fmt.Sprintf("%d, as %s has", t.Partitions, t.Like.Name)), together
	}
	return "", ""
}

// unless returns what would be right, or nothing if it is.
func unless(right bool, want string) string {
	if right {
		return ""
	}
	return want
}

// factsOf gathers what the brokers say of topics that exist, by name. Why the configuration of a topic is unreadable
// is in refused.
func factsOf(admin sarama.ClusterAdmin, topics []Topic) (all map[string]*facts, refused map[string]error, err error) {
	known, err := describe(admin, topics)
	if err != nil {
		return nil, nil, err
	}
	brokers, _, err := admin.DescribeCluster()
	if err != nil {
		return nil, nil, fmt.Errorf("describing the cluster: %w", err)
	}
	all, refused = make(map[string]*facts), make(map[string]error)
	var resources []*sarama.ConfigResource
	for name, m := range known {
		f := &facts{partitions: len(m.Partitions), brokers: len(brokers)}
		for i, p := range m.Partitions {
			if i == 0 || len(p.Replicas) < f.replicas {
				f.replicas = len(p.Replicas)
			}
		}
		all[name] = f
		resources = append(resources, &sarama.ConfigResource{Type: sarama.TopicResource, Name: name, ConfigNames: configNames})
	}
	if len(resources) == 0 {
		return all, refused, nil
	}
	found, err := admin.DescribeConfigs(resources, sarama.DescribeConfigsOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the settings of topics: %w", err)
	}
	for _, r := range found {
		f := all[r.Name]
		switch {
		case f == nil:
		case r.ErrorCode != 0:
			refused[r.Name] = r.ErrorCode
		default:
			f.config = make(map[string]string)
			for _, e := range r.Configs {
				if slices.Contains(configNames, e.Name) {
					f.config[e.Name] = e.Value
				}
			}
		}
	}
	return all, refused, nil
}
