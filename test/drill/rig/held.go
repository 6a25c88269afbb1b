package rig

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// HeldUp returns the partitions of device-data in which a read_committed reader cannot
// come to the end, because a transaction is open there.
func (s *Scene) HeldUp(ctx context.Context) ([]int32, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	committed, err := listEnds(ctx, client, s.Topics.DeviceData, 1)
	if err != nil {
		return nil, err
	}
	all, err := listEnds(ctx, client, s.Topics.DeviceData, 0)
	if err != nil {
		return nil, err
	}
	var held []int32
	for p, end := range all {
		if committed[p] < end {
			held = append(held, p)
		}
	}
	slices.Sort(held)
	return held, nil
}

// listEnds returns the ends of a topic's partitions: for isolation 0 of everything, for
// 1 of what a read_committed reader may see.
func listEnds(ctx context.Context, client *kgo.Client, topic string, isolation int8) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = new(topic)
	meta.Topics = append(meta.Topics, mt)
	known, err := meta.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = isolation
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for _, t := range known.Topics {
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p.Partition, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
	}
	req.Topics = append(req.Topics, rt)
	ends := map[int32]int64{}
	for _, shard := range client.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.ListOffsetsResponse)
		if shard.Err != nil || !ok {
			return nil, fmt.Errorf("asking for the ends of %s: %w", topic, shard.Err)
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}
