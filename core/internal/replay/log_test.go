package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// partition is a sarama.PartitionConsumer with records at the given offsets; -1 ends it.
type partition struct {
	sarama.PartitionConsumer
	messages chan *sarama.ConsumerMessage
	errors   chan *sarama.ConsumerError
	end      int64
}

func newPartition(end int64, offsets ...int64) *partition {
	p := &partition{messages: make(chan *sarama.ConsumerMessage, 100), errors: make(chan *sarama.ConsumerError, 1), end: end}
	for _, offset := range offsets {
		if offset < 0 {
			close(p.messages)
			break
		}
		p.messages <- &sarama.ConsumerMessage{Offset: offset}
	}
	return p
}

func (p *partition) Messages() <-chan *sarama.ConsumerMessage { return p.messages }
func (p *partition) Errors() <-chan *sarama.ConsumerError     { return p.errors }
func (p *partition) HighWaterMarkOffset() int64               { return p.end }

// TestUnreadableRangeIsReportedIncomplete tells records that are never delivered, because
// their transaction is open, from markers, of which there are only a few.
func TestUnreadableRangeIsReportedIncomplete(t *testing.T) {
	tests := []struct {
		name    string
		end     int64 // high-water mark
		records []int64
		to      int64
		want    int // of the records
		wantErr error
		took    time.Duration
	}{
		{"to its last record", 13, []int64{10, 11, 12}, 13, 3, nil, 0},
		{"records beyond the range", 20, []int64{10, 13}, 12, 1, nil, 0},
		{"markers at the end", 30, []int64{10, 11}, 12 + maxMarkers - 1, 2, nil, quietTime},
		{"an open transaction", 30, []int64{10, 11}, 12 + maxMarkers, 2, errIncomplete, stallTime},
		{"an open transaction from the start", 30, nil, 10 + maxMarkers, 0, errIncomplete, stallTime},
		{"markers alone", 30, nil, 10 + maxMarkers - 1, 0, nil, stallTime},
		{"no broker answered", 0, nil, 12, 0, errIncomplete, stallTime},
		{"the consumer ended", 30, []int64{10, -1}, 30, 1, errIncomplete, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := 0
				start := time.Now()
				err := readRange(t.Context(), newPartition(tt.end, tt.records...), 10, tt.to, func(m *sarama.ConsumerMessage) bool {
					require.Equal(t, tt.records[got], m.Offset)
					got++
					return true
				})
				require.ErrorIs(t, err, tt.wantErr)
				require.Equal(t, tt.want, got)
				require.Equal(t, tt.took, time.Since(start))
			})
		})
	}
}

func TestReadingStopsEarly(t *testing.T) {
	var got []int64
	require.NoError(t, readRange(t.Context(), newPartition(30, 10, 11), 10, 30, func(m *sarama.ConsumerMessage) bool {
		got = append(got, m.Offset)
		return false
	}))
	require.Equal(t, []int64{10}, got, "enough was read")

	broken := newPartition(30)
	refused := errors.New("not the leader")
	broken.errors <- &sarama.ConsumerError{Err: refused}
	require.ErrorIs(t, readRange(t.Context(), broken, 10, 30, nil), refused)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, readRange(ctx, newPartition(30), 10, 30, nil), context.Canceled)
}
