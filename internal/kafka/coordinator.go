package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// coordinated is the client of the transaction coordinator for one transactional id.
// Each method is one try; persist repeats it.
type coordinated struct {
	client     sarama.Client
	id         string
	producerID int64
	epoch      int16
	node       *sarama.Broker          // the coordinator, once found
	added      map[topicPartition]bool // partitions in the open transaction
	touched    bool                    // the coordinator may have an open transaction
}

// findCoordinator asks any broker for the coordinator of a group or transactional id. On the
// first such request a new cluster creates the topic that coordinators need.
func findCoordinator(client sarama.Client, kind sarama.CoordinatorType, key string) (*sarama.Broker, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		_ = client.RefreshMetadata()
		return nil, sarama.ErrOutOfBrokers
	}
	resp, err := broker.FindCoordinator(&sarama.FindCoordinatorRequest{Version: 3, CoordinatorKey: key, CoordinatorType: kind})
	if err != nil {
		_ = client.RefreshMetadata() // forgets brokers that are gone
		return nil, err
	}
	if !errors.Is(resp.Err, sarama.ErrNoError) {
		return nil, resp.Err
	}
	node, err := client.Broker(resp.Coordinator.ID())
	if err != nil {
		_ = client.RefreshMetadata()
		return nil, err
	}
	return node, nil
}

// coordinator returns the coordinator's broker, looking it up if needed.
func (c *coordinated) coordinator() (*sarama.Broker, error) {
	if c.node == nil {
		node, err := findCoordinator(c.client, sarama.CoordinatorTransaction, c.id)
		if err != nil {
			return nil, fmt.Errorf("finding the transaction coordinator: %w", err)
		}
		c.node = node
	}
	return c.node, nil
}

// check returns the error of one answer: err is the connection's, code the broker's. After a
// broken connection or a moved coordinator the next try looks it up again.
func (c *coordinated) check(err error, code sarama.KError) error {
	if err == nil && !errors.Is(code, sarama.ErrNoError) {
		err = code
	}
	var k sarama.KError
	if err != nil && (!errors.As(err, &k) || errors.Is(err, sarama.ErrNotCoordinatorForConsumer) || errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable)) {
		c.node = nil
	}
	return err
}

// initialise gets a producer id and epoch, which fences every older owner of the id.
func (c *coordinated) initialise() error {
	node, err := c.coordinator()
	if err != nil {
		return err
	}
	resp, err := node.InitProducerID(&sarama.InitProducerIDRequest{
		Version: 4, TransactionalID: &c.id, TransactionTimeout: transactionTimeout, ProducerID: -1, ProducerEpoch: -1,
	})
	if err != nil {
		return c.check(err, 0)
	}
	c.producerID, c.epoch = resp.ProducerID, resp.ProducerEpoch
	return c.check(nil, resp.Err)
}

// addPartitions makes the batches' partitions part of the transaction.
func (c *coordinated) addPartitions(batches []*batch) error {
	missing := make(map[string][]int32)
	for _, b := range batches {
		if !c.added[b.topicPartition] {
			missing[b.topic] = append(missing[b.topic], b.partition)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	node, err := c.coordinator()
	if err != nil {
		return err
	}
	c.touched = true
	resp, err := node.AddPartitionsToTxn(&sarama.AddPartitionsToTxnRequest{
		Version: 3, TransactionalID: c.id, ProducerID: c.producerID, ProducerEpoch: c.epoch, TopicPartitions: missing,
	})
	if err != nil {
		return c.check(err, 0)
	}
	var worst error
	for topic, partitions := range resp.Errors {
		for _, p := range partitions {
			if err := c.check(nil, p.Err); err == nil {
				c.added[topicPartition{topic, p.Partition}] = true
			} else if worst == nil || !retriable(err) && !errors.Is(err, sarama.ErrOperationNotAttempted) {
				worst = err // "not attempted" only means that another partition was refused
			}
		}
	}
	return worst
}

// addGroup makes a group's offsets part of the transaction.
func (c *coordinated) addGroup(group string) error {
	node, err := c.coordinator()
	if err != nil {
		return err
	}
	c.touched = true
	resp, err := node.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
		Version: 3, TransactionalID: c.id, ProducerID: c.producerID, ProducerEpoch: c.epoch, GroupID: group,
	})
	if err != nil {
		return c.check(err, 0)
	}
	return c.check(nil, resp.Err)
}

// end commits or aborts.
func (c *coordinated) end(commit bool) error {
	node, err := c.coordinator()
	if err != nil {
		return err
	}
	resp, err := node.EndTxn(&sarama.EndTxnRequest{
		Version: 3, TransactionalID: c.id, ProducerID: c.producerID, ProducerEpoch: c.epoch, TransactionResult: commit,
	})
	if err != nil {
		return c.check(err, 0)
	}
	if err := c.check(nil, resp.Err); err != nil {
		return err
	}
	clear(c.added)
	c.touched = false
	return nil
}

// commitOffsets sends a group's offsets to the group's coordinator, as part of the
// transaction.
func (p *Producer) commitOffsets(o groupOffsets) error {
	err := persist(p.began, p.log, "adding the group to the transaction", func() error { return p.txn.addGroup(o.group.GroupID) })
	if err != nil {
		return err
	}
	req := &sarama.TxnOffsetCommitRequest{
		Version: 3, TransactionalID: p.txn.id, ProducerID: p.txn.producerID, ProducerEpoch: p.txn.epoch,
		GroupID: o.group.GroupID, GenerationID: o.group.GenerationID, MemberID: o.group.MemberID, GroupInstanceID: o.group.GroupInstanceID,
		Topics: o.offsets,
	}
	return persist(p.began, p.log, "committing offsets", func() error {
		node, err := p.groupCoordinator(o.group.GroupID)
		if err != nil {
			return err
		}
		resp, err := node.TxnOffsetCommit(req)
		if err == nil {
			err = offsetsError(resp)
		}
		if err != nil {
			delete(p.groups, o.group.GroupID) // look it up again
		}
		return err
	})
}

// groupCoordinator returns the broker that keeps a group's offsets.
func (p *Producer) groupCoordinator(group string) (*sarama.Broker, error) {
	if node := p.groups[group]; node != nil {
		return node, nil
	}
	node, err := findCoordinator(p.client, sarama.CoordinatorGroup, group)
	if err != nil {
		return nil, fmt.Errorf("finding the group coordinator: %w", err)
	}
	p.groups[group] = node
	return node, nil
}

// offsetsError returns the deciding error: one that cannot be retried before others.
func offsetsError(resp *sarama.TxnOffsetCommitResponse) error {
	var worst error
	for _, partitions := range resp.Topics {
		for _, p := range partitions {
			if !errors.Is(p.Err, sarama.ErrNoError) && (worst == nil || !retriable(p.Err)) {
				worst = p.Err
			}
		}
	}
	return worst
}

// endTransaction commits or aborts, if the coordinator may have a transaction at all.
func (p *Producer) endTransaction(ctx context.Context, commit bool) error {
	if !p.txn.touched {
		return nil
	}
	return persist(ctx, p.log, "ending the transaction", func() error { return p.txn.end(commit) })
}
