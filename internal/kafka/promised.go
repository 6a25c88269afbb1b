package kafka

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/lifecycle"
)

// recheckEvery is how often WatchTopics compares the topics again: a setting that was mended ends its alert by then.
const recheckEvery = 10 * time.Minute

// promised is what a program knows of the settings of its topics.
type promised struct {
	topics map[string]Topic             // those ensured
	told   map[string]map[string]string // by topic and setting: the value that the log has named as wrong
	wrong  *prometheus.GaugeVec
}

func newPromised() promised {
	return promised{
		topics: make(map[string]Topic), told: make(map[string]map[string]string),
		wrong: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "iot_topic_setting_wrong",
			Help: "1 while a setting of a Kafka topic breaks a promise of the product (docs/deployment.md#kafka), else 0.",
		}, []string{"topic", "setting"}),
	}
}

// Register registers iot_topic_setting_wrong with the label program. The cluster must be of Open.
func (c Cluster) Register(reg prometheus.Registerer, program string) error {
	return prometheus.WrapRegistererWith(prometheus.Labels{"program": program}, reg).Register(c.link.promised.wrong)
}

// WatchTopics compares the settings of the topics that EnsureTopics has seen again every 10 minutes, until ctx ends, and logs
// what has become wrong. The cluster must be of Open.
func (c Cluster) WatchTopics(ctx context.Context, log *slog.Logger) error {
	for lifecycle.Pause(ctx, recheckEvery) {
		c.recheck(ctx, log)
	}
	return nil
}

func (c Cluster) recheck(ctx context.Context, log *slog.Logger) {
	c.link.mu.Lock()
	topics := slices.Collect(maps.Values(c.link.promised.topics))
	c.link.mu.Unlock()
	admin, err := c.admin(ctx)
	if err != nil {
		return // others say that Kafka is away
	}
	defer func() { _ = admin.Close() }() // nothing was changed
	c.compare(log, admin, topics)
}

// checkSettings compares topics that have not been before. Without Open it compares all.
func (c Cluster) checkSettings(log *slog.Logger, admin sarama.ClusterAdmin, topics []Topic) {
	if c.link == nil {
		c.link = &link{promised: newPromised()}
	}
	c.link.mu.Lock()
	topics = slices.DeleteFunc(slices.Clone(topics), func(t Topic) bool {
		_, known := c.link.promised.topics[t.Name]
		return known
	})
	c.link.mu.Unlock()
	if len(topics) > 0 {
		c.compare(log, admin, topics)
	}
}

// compare judges topics, logs what is wrong and was not logged before, and sets the metric. A program goes on in any case.
func (c Cluster) compare(log *slog.Logger, admin sarama.ClusterAdmin, topics []Topic) {
	asked := slices.Clone(topics)
	for _, t := range topics {
		if t.Like != nil {
			asked = append(asked, *t.Like)
		}
	}
	all, refused, err := factsOf(admin, asked)
	if err != nil {
		log.Warn("settings of topics unreadable, not compared", "err", err)
		return
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for _, t := range topics {
		f := all[t.Name]
		if f == nil {
			continue // removed a moment ago
		}
		if t.Like != nil && all[t.Like.Name] != nil {
			t.Partitions = int32(all[t.Like.Name].partitions)
		}
		c.link.promised.take(log, &t, f, refused[t.Name])
	}
}

// take keeps what was found of a topic.
func (p *promised) take(log *slog.Logger, t *Topic, f *facts, refused error) {
	p.topics[t.Name] = *t
	told := p.told[t.Name]
	if told == nil {
		told = make(map[string]string)
		p.told[t.Name] = told
	}
	if refused != nil && told[""] == "" {
		log.Warn("settings of a topic unreadable, not compared: the right DescribeConfigs is missing", "topic", t.Name, "err", refused)
		told[""] = refused.Error()
	}
	for _, x := range judge(t, f) {
		gauge := p.wrong.WithLabelValues(t.Name, x.setting)
		if x.want == "" {
			delete(told, x.setting)
			gauge.Set(0)
			continue
		}
		gauge.Set(1)
		if told[x.setting] != x.value {
			log.Warn("setting of a topic breaks a promise", "topic", t.Name, "setting", x.setting, "value", x.value, "want", x.want, "promise", x.promise)
			told[x.setting] = x.value
		}
	}
}
