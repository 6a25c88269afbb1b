package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

func TestErrorsAreClassifiedByCode(t *testing.T) {
	for name, tc := range map[string]struct {
		err                          error
		fenced, permanent, retriable bool
	}{
		"fenced producer":     {err: sarama.ErrProducerFenced, fenced: true},
		"old producer epoch":  {err: sarama.ErrInvalidProducerEpoch, fenced: true},
		"stale generation":    {err: sarama.ErrIllegalGeneration, fenced: true},
		"unauthorised topic":  {err: sarama.ErrTopicAuthorizationFailed, permanent: true},
		"invalid topic":       {err: sarama.ErrInvalidTopic, permanent: true},
		"bad settings":        {err: sarama.ConfigurationError("contradiction"), permanent: true},
		"leader is moving":    {err: sarama.ErrNotLeaderForPartition, retriable: true},
		"broken connection":   {err: io.EOF, retriable: true},
		"no broker":           {err: sarama.ErrOutOfBrokers, retriable: true},
		"unencodable request": {err: sarama.PacketEncodingError{Info: "too long"}},
		"closed client":       {err: sarama.ErrClosedClient},
		"closed producer":     {err: ErrClosed},
		"unknown to us":       {err: sarama.ErrMessageSizeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{tc.err, fmt.Errorf("doing x: %w", tc.err)} {
				require.Equal(t, tc.permanent, Permanent(err))
				require.Equal(t, tc.retriable, retriable(err))
				classified := classify(err)
				require.ErrorIs(t, classified, tc.err)
				require.Equal(t, tc.fenced, errors.Is(classified, ErrFenced))
				require.Equal(t, classified, classify(classified), "classified once")
				require.False(t, tc.fenced && retriable(classified))
			}
		})
	}
}

func TestRetriesPauseLongerAndLongerAndAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		start := time.Now()
		var at []time.Duration
		require.NoError(t, persist(t.Context(), log, "asking", func() error {
			at = append(at, time.Since(start))
			if at[len(at)-1] < 25*time.Second {
				return io.EOF
			}
			return nil
		}))
		ms := time.Millisecond
		require.Equal(t, []time.Duration{0, ms, 3 * ms, 7 * ms, 15 * ms, 31 * ms, 63 * ms, 127 * ms, 255 * ms, 505 * ms, 755 * ms}, at[:11])
		require.Equal(t, 3, strings.Count(out.String(), `msg="kafka unavailable, retrying" doing=asking err=EOF`), "after 2 s, then every 10 s:\n%s", out.String())
	})
}

func TestRetriesEndWithTheirContextAndWithPermanentErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("shutting down")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		log := slog.New(slog.DiscardHandler)
		err := persist(ctx, log, "asking", func() error { return io.EOF })
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, io.EOF)
		require.ErrorContains(t, err, "asking: ")
		tries := 0
		err = persist(t.Context(), log, "asking", func() error { tries++; return sarama.ErrProducerFenced })
		require.ErrorIs(t, err, ErrFenced)
		require.ErrorContains(t, err, "asking: ")
		require.Equal(t, 1, tries)
	})
}

func TestAcknowledgedRecordsAreCountedAndNeverMoveBack(t *testing.T) {
	p := &Producer{topics: map[string]*placement{"t": {end: []int64{0, 10}}}, acknowledged: map[string]int{}}
	batchAt := func(offset int64, n int) *batch {
		return &batch{topicPartition: topicPartition{"t", 1}, records: make([]sarama.Record, n), offset: offset}
	}
	require.NoError(t, p.confirm(batchAt(10, 3)))
	require.Equal(t, 3, p.acknowledged["t"])
	require.ErrorIs(t, p.confirm(batchAt(12, 1)), ErrRewound)
	require.Equal(t, 3, p.acknowledged["t"], "a lost record is not acknowledged")
	require.NoError(t, p.confirm(batchAt(-1, 2)), "a repeated request may be answered without an offset")
	require.Equal(t, 5, p.acknowledged["t"])
	require.Equal(t, []int64{0, 13}, p.topics["t"].end)
	require.NoError(t, p.confirm(batchAt(20, 1)), "transaction markers leave gaps")
}

func TestRecordSizeIsAnUpperBound(t *testing.T) {
	m := &sarama.ProducerMessage{Key: sarama.StringEncoder("key"), Value: sarama.StringEncoder("value")}
	require.Equal(t, recordOverhead+3+5, recordSize(m))
	m.Headers = []sarama.RecordHeader{{Key: []byte("a"), Value: []byte("bcd")}, {Key: []byte("ef")}}
	require.Equal(t, recordOverhead+3+5+(1+3+headerOverhead)+(2+headerOverhead), recordSize(m))
	require.Equal(t, recordOverhead, recordSize(&sarama.ProducerMessage{}))
}

func TestRefusedOffsetsAreReported(t *testing.T) {
	answer := func(codes ...sarama.KError) error {
		resp := &sarama.TxnOffsetCommitResponse{Topics: map[string][]*sarama.PartitionError{}}
		for i, code := range codes {
			resp.Topics["t"] = append(resp.Topics["t"], &sarama.PartitionError{Partition: int32(i), Err: code})
		}
		return offsetsError(resp)
	}
	require.NoError(t, answer())
	require.NoError(t, answer(sarama.ErrNoError, sarama.ErrNoError))
	require.ErrorIs(t, answer(sarama.ErrNoError, sarama.ErrRequestTimedOut), sarama.ErrRequestTimedOut)
	require.ErrorIs(t, answer(sarama.ErrIllegalGeneration, sarama.ErrRequestTimedOut), sarama.ErrIllegalGeneration)
	require.ErrorIs(t, answer(sarama.ErrRequestTimedOut, sarama.ErrIllegalGeneration), sarama.ErrIllegalGeneration)
	require.ErrorIs(t, answer(sarama.ErrRequestTimedOut, sarama.ErrNotCoordinatorForConsumer), sarama.ErrRequestTimedOut)
}

func TestProduceAnswersAreReadPerPartition(t *testing.T) {
	require.ErrorIs(t, stored(nil), sarama.ErrIncompleteResponse)
	require.NoError(t, stored(&sarama.ProduceResponseBlock{}))
	require.NoError(t, stored(&sarama.ProduceResponseBlock{Err: sarama.ErrDuplicateSequenceNumber}), "stored by an earlier request")
	require.ErrorIs(t, stored(&sarama.ProduceResponseBlock{Err: sarama.ErrOutOfOrderSequenceNumber}), sarama.ErrOutOfOrderSequenceNumber)
}

func TestCoordinatorIsLookedUpAgainWhenItMoved(t *testing.T) {
	node := &sarama.Broker{}
	for name, tc := range map[string]struct {
		err   error
		code  sarama.KError
		want  error
		stays bool
	}{
		"success":           {stays: true},
		"broken connection": {err: io.EOF, want: io.EOF},
		"moved":             {code: sarama.ErrNotCoordinatorForConsumer, want: sarama.ErrNotCoordinatorForConsumer},
		"unavailable":       {code: sarama.ErrConsumerCoordinatorNotAvailable, want: sarama.ErrConsumerCoordinatorNotAvailable},
		"refused":           {code: sarama.ErrProducerFenced, want: sarama.ErrProducerFenced, stays: true},
	} {
		c := &coordinated{node: node}
		require.ErrorIs(t, c.check(tc.err, tc.code), tc.want, name)
		require.Equal(t, tc.stays, c.node == node, name)
	}
}

func TestTopicsAreCreatedWithTheirSettings(t *testing.T) {
	settings := func(topic Topic) map[string]string {
		d := topic.detail()
		require.EqualValues(t, 7, d.NumPartitions)
		require.EqualValues(t, -1, d.ReplicationFactor, "the broker's default")
		out := map[string]string{}
		for k, v := range d.ConfigEntries {
			out[k] = *v
		}
		return out
	}
	require.Empty(t, settings(Topic{Partitions: 7}))
	require.Equal(t, map[string]string{"max.message.bytes": "5"}, settings(Topic{Partitions: 7, MaxMessageBytes: 5}))
	require.Equal(t, map[string]string{"retention.ms": "-1", "retention.bytes": "-1"}, settings(Topic{Partitions: 7, KeepForever: true}))
	require.Equal(t, map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "16777216", "retention.ms": "-1", "retention.bytes": "-1",
	}, settings(Topic{Partitions: 7, Compacted: true}))
}

func TestTopicIsReadyWhenEveryPartitionHasALeader(t *testing.T) {
	topics := []Topic{{Name: "a"}, {Name: "b"}}
	metadata := func() map[string]*sarama.TopicMetadata {
		return map[string]*sarama.TopicMetadata{
			"a": {Partitions: []*sarama.PartitionMetadata{{Leader: 0}, {Leader: 1}}},
			"b": {Partitions: []*sarama.PartitionMetadata{{Leader: 2}}},
		}
	}
	require.True(t, led(metadata(), topics))
	for name, spoil := range map[string]func(m map[string]*sarama.TopicMetadata){
		"unknown topic":       func(m map[string]*sarama.TopicMetadata) { delete(m, "b") },
		"error of the topic":  func(m map[string]*sarama.TopicMetadata) { m["b"].Err = sarama.ErrLeaderNotAvailable },
		"no partitions":       func(m map[string]*sarama.TopicMetadata) { m["b"].Partitions = nil },
		"partition error":     func(m map[string]*sarama.TopicMetadata) { m["a"].Partitions[1].Err = sarama.ErrLeaderNotAvailable },
		"partition no leader": func(m map[string]*sarama.TopicMetadata) { m["a"].Partitions[1].Leader = -1 },
	} {
		m := metadata()
		spoil(m)
		require.False(t, led(m, topics), name)
	}
}

func TestUsedBatchHoldsNothing(t *testing.T) {
	b := &batch{}
	m := &sarama.ProducerMessage{
		Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder("v"), Timestamp: time.UnixMilli(5).Add(999 * time.Microsecond),
		Headers: []sarama.RecordHeader{{Key: []byte("h"), Value: []byte("1")}},
	}
	require.NoError(t, b.add(m, 100))
	m.Timestamp = time.UnixMilli(3) // earlier than the first
	require.NoError(t, b.add(m, 100))
	require.Equal(t, 200, b.bytes)
	require.Equal(t, time.UnixMilli(5), b.wire.MaxTimestamp)
	require.Equal(t, -2*time.Millisecond, b.records[1].TimestampDelta)
	require.EqualValues(t, 1, b.records[1].OffsetDelta)
	b.seal(Zstd, 1, 2, 3)
	require.Len(t, b.wire.Records, 2)
	require.Equal(t, sarama.CompressionZSTD, b.wire.Codec)
	require.True(t, b.wire.IsTransactional)
	require.Equal(t, []any{int64(1), int16(2), int32(3)}, []any{b.wire.ProducerID, b.wire.ProducerEpoch, b.wire.FirstSequence})
	require.EqualValues(t, 1, b.wire.LastOffsetDelta)
	b.stored, b.offset = true, 9
	records, headers, wired := b.records, b.headers, b.wire.Records
	b.reset()
	require.Equal(t, make([]sarama.Record, 2), records, "the bytes of the records are released")
	require.Equal(t, make([]sarama.RecordHeader, 2), headers)
	require.Equal(t, make([]*sarama.Record, 2), wired)
	require.Empty(t, b.records)
	require.Empty(t, b.refs)
	require.Zero(t, b.bytes)
	require.Zero(t, b.offset)
	require.False(t, b.stored)
}
