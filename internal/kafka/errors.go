package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// ErrFenced says that another producer took over this transactional id, or that the
// group moved on: whatever was in the open transaction is gone and must be done again
// from the last committed position by whoever owns it now. A broker that gave up a
// transaction because it took too long says the same; an owner that is still the owner
// goes on with a new producer.
var ErrFenced = errors.New("fenced by a newer owner")

// ErrClosed says that the producer was closed, perhaps while the call was waiting.
// The outcome of a Commit that returns it is unknown.
var ErrClosed = errors.New("producer is closed")

// ErrRewound says that a partition lost records which a broker had acknowledged to this
// producer: what came later was given an offset that was in use.
var ErrRewound = errors.New("kafka lost acknowledged records")

// fencedCodes are the broker's ways to say "not you any more". Fencing of the producer
// comes as 47, 48 or 90 depending on the request; the last three come from a consumer
// group that has moved on (KIP-447).
var fencedCodes = codes(
	sarama.ErrProducerFenced,           // 90
	sarama.ErrInvalidProducerEpoch,     // 47
	sarama.ErrInvalidTxnState,          // 48: the transaction was ended by somebody else
	sarama.ErrInvalidProducerIDMapping, // the id expired or moved to another producer
	sarama.ErrUnknownProducerID,
	sarama.ErrIllegalGeneration,
	sarama.ErrUnknownMemberId,
	sarama.ErrFencedInstancedId,
)

// permanentCodes are refusals that only a change of configuration can mend.
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
	sarama.ErrSASLAuthenticationFailed,
	sarama.ErrUnsupportedVersion,
	sarama.ErrInvalidTransactionTimeout,
)

// retriableCodes are Kafka's RetriableException and its kind.
var retriableCodes = codes(
	sarama.ErrInvalidMessage,          // damaged on the way
	sarama.ErrUnknownTopicOrPartition, // a broker that has not heard of it yet
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
	sarama.ErrOperationNotAttempted, // alone: the reason is in another partition's answer
)

func codes(list ...sarama.KError) map[sarama.KError]bool {
	set := make(map[sarama.KError]bool, len(list))
	for _, c := range list {
		set[c] = true
	}
	return set
}

// in says whether err carries one of the codes.
func in(set map[sarama.KError]bool, err error) bool {
	code, ok := errors.AsType[sarama.KError](err)
	return ok && set[code]
}

// classify wraps err in ErrFenced when the broker says that somebody newer owns the
// transactional id or the group membership, and leaves any other error as it is.
func classify(err error) error {
	if in(fencedCodes, err) && !errors.Is(err, ErrFenced) {
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return err
}

// Permanent says whether trying again cannot help until somebody changes the
// configuration: the brokers understood what was asked and refused it, or the settings
// contradict themselves.
func Permanent(err error) bool {
	_, config := errors.AsType[sarama.ConfigurationError](err)
	return config || in(permanentCodes, err)
}

// retriable says whether trying the same again can help: yes for everything that happens
// to a connection, and for what a broker says while leaders and coordinators move.
func retriable(err error) bool {
	if code, ok := errors.AsType[sarama.KError](err); ok {
		return retriableCodes[code]
	}
	_, encoding := errors.AsType[sarama.PacketEncodingError](err)
	_, config := errors.AsType[sarama.ConfigurationError](err)
	return !encoding && !config && !errors.Is(err, sarama.ErrClosedClient) && !errors.Is(err, ErrFenced) && !errors.Is(err, ErrClosed)
}
