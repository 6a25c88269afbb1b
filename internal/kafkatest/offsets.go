package kafkatest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Committed returns a consumer group's committed offset (next to read) of each
// partition of a topic; a partition without one is absent. It waits for offsets of a
// transaction whose commit is still being written.
func Committed(tb testing.TB, brokers []string, group, topic string) map[int32]int64 {
	tb.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	require.NoError(tb, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	all, err := partitions(ctx, cl, topic)
	require.NoError(tb, err)
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
		if err == nil {
			if settled, ok := offsetsOf(resp); ok {
				return settled
			}
		} else {
			// A new broker has no coordinator until its first group made the offsets topic.
			require.True(tb, kerr.IsRetriable(err), "the offsets of group %s: %v", group, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			require.NoError(tb, ctx.Err(), "the offsets of group %s remain undecided", group)
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
