package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// ErrFenced reports that another producer took over this transactional id, or that the
// group moved on: the open transaction is aborted, and the new owner starts again from the
// last committed position. A broker that timed a transaction out returns the same; an owner
// that is still the owner continues with a new producer.
var ErrFenced = errors.New("fenced by a newer owner")

// ErrClosed reports that the producer was closed, perhaps while the call was waiting.
// The outcome of a Commit that returns it is unknown.
var ErrClosed = errors.New("producer is closed")

// ErrRewound reports that a partition lost records that a broker had acknowledged to this
// producer: a later record was given an offset that was already in use.
var ErrRewound = errors.New("kafka lost acknowledged records")

// fencedCodes are the broker's answers to a fenced producer, which come as 47, 48 or 90
// depending on the request, and, the last three, to a member of a consumer group that has
// moved on (KIP-447).
var fencedCodes = codes(
	sarama.ErrProducerFenced,           // 90
	sarama.ErrInvalidProducerEpoch,     // 47
	sarama.ErrInvalidTxnState,          // 48: another producer ended the transaction
	sarama.ErrInvalidProducerIDMapping, // the id expired or moved to another producer
	sarama.ErrUnknownProducerID,
	sarama.ErrIllegalGeneration,
	sarama.ErrUnknownMemberId,
	sarama.ErrFencedInstancedId,
)

// permanentCodes are refusals that only a change of configuration can resolve.
var permanentCodes = codes(
	sarama.ErrInvalidTopic,
	sarama.ErrInvalidPartitions,
	sarama.ErrInvalidReplicationFactor,
	sarama.ErrInvalidConfig,
	sarama.ErrPolicyViolation,
	sarama.ErrTopicAuthorizationFailed,
	sarama.ErrGroupAuthorizationFailed,
	sarama.ErrClusterAuthorizationFailed,
	sarama.ErrTransactionalIDAuthorizationFailed,
	sarama.ErrUnsupportedVersion,
	sarama.ErrInvalidTransactionTimeout,
)

// retriableCodes are the subclasses of Kafka's RetriableException, and similar.
var retriableCodes = codes(
	sarama.ErrInvalidMessage,          // damaged in transit
	sarama.ErrUnknownTopicOrPartition, // not yet in this broker's metadata
	sarama.ErrLeaderNotAvailable,
	sarama.ErrNotLeaderForPartition,
	sarama.ErrRequestTimedOut,
	sarama.ErrBrokerNotAvailable,
	sarama.ErrReplicaNotAvailable,
	sarama.ErrNetworkException,
	sarama.ErrOffsetsLoadInProgress,
	sarama.ErrConsumerCoordinatorNotAvailable,
	sarama.ErrNotCoordinatorForConsumer,
	sarama.ErrNotEnoughReplicas,
	sarama.ErrNotEnoughReplicasAfterAppend,
	sarama.ErrNotController,
	sarama.ErrConcurrentTransactions,
	sarama.ErrKafkaStorageError,
	sarama.ErrListenerNotFound,
	sarama.ErrFencedLeaderEpoch,
	sarama.ErrUnknownLeaderEpoch,
	sarama.ErrOffsetNotAvailable,
	sarama.ErrPreferredLeaderNotAvailable,
	sarama.ErrEligibleLeadersNotAvailable,
	sarama.ErrUnstableOffsetCommit,
	sarama.ErrThrottlingQuotaExceeded,
	sarama.ErrOperationNotAttempted, // set because another partition failed, which has the reason
)

func codes(list ...sarama.KError) map[sarama.KError]bool {
	set := make(map[sarama.KError]bool, len(list))
	for _, c := range list {
		set[c] = true
	}
	return set
}

// in reports whether err carries one of the codes.
func in(set map[sarama.KError]bool, err error) bool {
	code, ok := errors.AsType[sarama.KError](err)
	return ok && set[code]
}

// classify wraps err in ErrFenced when a newer owner has the transactional id or the group
// membership, and returns any other error unchanged.
func classify(err error) error {
	if in(fencedCodes, err) && !errors.Is(err, ErrFenced) {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return err
}

// Permanent reports whether retrying is useless until the configuration changes: the
// brokers understood the request and refused it, or the settings contradict each other.
func Permanent(err error) bool {
	_, config := errors.AsType[sarama.ConfigurationError](err)
	return config || in(permanentCodes, err)
}

// retriable reports whether the same request can succeed later: yes after connection
// errors and while leaders and coordinators move.
func retriable(err error) bool {
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return retriableCodes[code] || refusals[code]
	}
	_, encoding := errors.AsType[sarama.PacketEncodingError](err)
	_, config := errors.AsType[sarama.ConfigurationError](err)
	return !encoding && !config && !errors.Is(err, sarama.ErrClosedClient) && !errors.Is(err, ErrFenced) && !errors.Is(err, ErrClosed)
}
