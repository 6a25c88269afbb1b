package kafkatest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Committed is GroupOffsets for a test.
func Committed(tb testing.TB, brokers []string, group, topic string) map[int32]int64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	offsets, err := GroupOffsets(ctx, brokers, group, topic)
	require.NoError(tb, err)
	return offsets
}

// GroupOffsets returns a consumer group's committed offset (next to read) of each
// partition of a topic; a partition without one is absent. It waits for offsets of a
// transaction whose commit is still being written.
func GroupOffsets(ctx context.Context, brokers []string, group, topic string) (map[int32]int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of group %s: %w", group, err)
	}
	defer cl.Close()
	all, err := partitions(ctx, cl, topic)
	if err != nil {
		return nil, err
	}
	// The request lists each partition: for a request for all partitions of a group, a broker
	// omits those that have only an undecided offset.
	rt := kmsg.NewOffsetFetchRequestGroupTopic()
	rt.Topic, rt.Partitions = topic, all
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	rg.Topics = append(rg.Topics, rt)
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	req.Groups = append(req.Groups, rg)
	for {
		resp, err := req.RequestWith(ctx, cl)
		switch {
		case err == nil:
			if settled, ok := offsetsOf(resp); ok {
				return settled, nil
			}
		case !kerr.IsRetriable(err): // a new broker has no coordinator until its first group made the offsets topic
			return nil, fmt.Errorf("the offsets of group %s: %w", group, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("the offsets of group %s remain undecided: %w", group, ctx.Err())
		}
	}
}

// offsetsOf returns the offsets in an answer, and whether all of them are settled.
func offsetsOf(resp *kmsg.OffsetFetchResponse) (map[int32]int64, bool) {
	settled := map[int32]int64{}
	for _, g := range resp.Groups {
		if g.ErrorCode == kerr.GroupIDNotFound.Code {
			continue // an unknown group has no offsets
		}
		if g.ErrorCode != 0 {
			return nil, false
		}
		for _, rt := range g.Topics {
			for _, p := range rt.Partitions {
				if p.ErrorCode != 0 {
					return nil, false
				}
				if p.Offset >= 0 {
					settled[p.Partition] = p.Offset
				}
			}
		}
	}
	return settled, true
}
