package devkafka

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// kfake keeps 72 bytes of memory for every batch of a log, also for each transaction's control
// batch, so memory stays small only while old batches are deleted.
//
// Its own cleaner is switched off: it deletes the segments before it has written their
// successors, it counts records of an open transaction as newer ones even when that transaction
// is aborted later, and it keeps every control batch of a producer that has a record left.
const (
	cleanInterval = time.Minute
	cleanTimeout  = 10 * time.Second // of one partition
	never         = "9000000000000"  // milliseconds, 285 years
)

// dirty is after how many offsets a partition of a compacted topic is compacted again, provided
// that they are also as many as its keys.
const dirty = 2000

// partition of a topic.
type partition struct {
	topic string
	index int32
}

// cleaner applies retention and compacts, each minute.
type cleaner struct {
	*Broker
	client *kgo.Client
	done   map[partition]compacted
}

// compacted is what the last compaction of a partition left.
type compacted struct {
	from int64 // the first copy: everything before it is superseded
	to   int64 // the end of the log then
	keys int
}

func newCleaner(b *Broker) (*cleaner, error) {
	client, err := kgo.NewClient(connection(b.addr)...)
	if err != nil {
		return nil, err
	}
	return &cleaner{Broker: b, client: client, done: map[partition]compacted{}}, nil
}

// connection returns the options of a client of the broker. The version is one that names a
// topic, not its id, in a produce request.
func connection(addr string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(addr), kgo.MaxVersions(kversion.V3_0_0())}
}

// run cleans until ctx ends.
func (c *cleaner) run(ctx context.Context) {
	defer c.client.Close()
	tick := time.NewTicker(cleanInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.clean(ctx, dirty)
		}
	}
}

// clean deletes what exceeds retention, and compacts the partitions with at least that many new
// offsets. A partition that cannot be compacted now, because transactions overlap without a
// pause, is left to the next round.
func (c *cleaner) clean(ctx context.Context, dirty int64) {
	c.cluster.ApplyRetention()
	topics, err := c.topics(ctx)
	if err != nil && ctx.Err() == nil {
		c.log.Warn("embedded kafka lists no topics, compacting in the next round", "err", err)
	}
	for _, topic := range topics {
		if !c.isCompacted(topic) {
			continue
		}
		for _, p := range c.cluster.PartitionInfos(topic) {
			if ctx.Err() != nil {
				return
			}
			if err := c.tidy(ctx, partition{topic, p.Partition}, p, dirty); err != nil {
				c.log.Debug("embedded kafka compacts in the next round", "topic", topic, "partition", p.Partition, "err", err)
			}
		}
	}
}

// tidy deletes what the compaction of an earlier round superseded, so that consumers have had
// a round's time to read it, tombstones above all, and compacts when enough is new.
func (c *cleaner) tidy(ctx context.Context, at partition, now *kfake.PartitionInfo, dirty int64) error {
	last := c.done[at]
	if last.from > now.LogStartOffset {
		if err := c.cluster.DeleteRecords(at.topic, at.index, last.from); err != nil {
			return err
		}
	}
	if now.HighWatermark-max(last.to, now.LogStartOffset) < max(dirty, int64(last.keys)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	result, err := c.compact(ctx, at)
	if err == nil {
		c.done[at] = result
	}
	return err
}

func (c *cleaner) isCompacted(topic string) bool {
	info := c.cluster.TopicInfo(topic)
	if info == nil {
		return false
	}
	policy := info.Configs["cleanup.policy"]
	return policy != nil && strings.Contains(*policy, "compact")
}

func (c *cleaner) topics(ctx context.Context) ([]string, error) {
	req := kmsg.NewPtrMetadataRequest()
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range resp.Topics {
		if t.Topic == nil {
			return nil, errors.New("a topic without a name")
		}
		names = append(names, *t.Topic)
	}
	return names, nil
}
