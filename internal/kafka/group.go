package kafka

import (
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// Committed is a committed position of a consumer group.
type Committed struct {
	Offset   int64  // next to read
	Metadata string // what its member wrote beside it
}

// CommittedOffsets returns the committed positions of a group in a topic, by partition. Partitions
// without one are absent.
func CommittedOffsets(client sarama.Client, group, topic string) (map[int32]Committed, error) {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("listing the partitions of %s: %w", topic, err)
	}
	node, err := groupCoordinator(client, group)
	if err != nil {
		return nil, err
	}
	req := &sarama.OffsetFetchRequest{Version: 5, ConsumerGroup: group}
	for _, p := range partitions {
		req.AddPartition(topic, p)
	}
	resp, err := node.FetchOffset(req)
	if err != nil {
		return nil, fmt.Errorf("fetching the offsets of group %s: %w", group, err)
	}
	if errors.Is(resp.Err, sarama.ErrGroupIDNotFound) {
		return nil, nil // it has committed nothing
	}
	if !errors.Is(resp.Err, sarama.ErrNoError) {
		return nil, fmt.Errorf("fetching the offsets of group %s: %w", group, resp.Err)
	}
	out := make(map[int32]Committed)
	for _, p := range partitions {
		if b := resp.GetBlock(topic, p); b != nil && b.Offset >= 0 {
			out[p] = Committed{b.Offset, b.Metadata}
		}
	}
	return out, nil
}

func groupCoordinator(client sarama.Client, group string) (*sarama.Broker, error) {
	node, err := findCoordinator(client, sarama.CoordinatorGroup, group)
	if err != nil {
		return nil, fmt.Errorf("finding the group coordinator: %w", err)
	}
	if err := node.Open(client.Config()); err != nil && !errors.Is(err, sarama.ErrAlreadyConnected) {
		return nil, fmt.Errorf("connecting to the group coordinator: %w", err)
	}
	return node, nil
}

// Evict removes the members with a client id from a group and returns how many there were. A program
// that is the only one with its client id removes what it left behind when it was killed: otherwise its
// partitions wait until that member's session times out.
func Evict(client sarama.Client, group, clientID string) (int, error) {
	node, err := groupCoordinator(client, group)
	if err != nil {
		return 0, err
	}
	described, err := node.DescribeGroups(&sarama.DescribeGroupsRequest{Version: 1, Groups: []string{group}})
	if err != nil {
		return 0, fmt.Errorf("describing group %s: %w", group, err)
	}
	n := 0
	for _, g := range described.Groups {
		for id, m := range g.Members {
			if m.ClientId != clientID {
				continue
			}
			resp, err := node.LeaveGroup(&sarama.LeaveGroupRequest{Version: 1, GroupId: group, MemberId: id})
			if err == nil && !errors.Is(resp.Err, sarama.ErrNoError) && !errors.Is(resp.Err, sarama.ErrUnknownMemberId) {
				err = resp.Err
			}
			if err != nil {
				return n, fmt.Errorf("removing member %s from group %s: %w", id, group, err)
			}
			n++
		}
	}
	return n, nil
}

// Sole is a balance strategy that gives one member of a group all partitions. The others wait.
type Sole struct{}

// Name implements sarama.BalanceStrategy.
func (Sole) Name() string { return "sole" }

// Plan implements sarama.BalanceStrategy.
func (Sole) Plan(members map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32) (sarama.BalanceStrategyPlan, error) {
	plan := make(sarama.BalanceStrategyPlan, len(members))
	ids := make([]string, 0, len(members))
	for id := range members {
		ids = append(ids, id)
		plan[id] = map[string][]int32{}
	}
	if len(ids) > 0 {
		plan[slices.Min(ids)] = topics
	}
	return plan, nil
}

// AssignmentData implements sarama.BalanceStrategy.
func (Sole) AssignmentData(string, map[string][]int32, int32) ([]byte, error) { return nil, nil }
