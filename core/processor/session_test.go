package processor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLastCommitIsBounded(t *testing.T) {
	tests := []struct {
		name             string
		quitAt, commitAt time.Duration // 0: never
		want             time.Duration
	}{
		{"a rebalance waits for it", 0, 3 * time.Second, 3 * time.Second},
		{"a rebalance does not wait longer", 0, 0, rebalanceTimeout},
		{"a stop waits for it", time.Nanosecond, stopTimeout / 2, stopTimeout / 2},
		{"a stop does not wait longer", time.Nanosecond, 0, stopTimeout + time.Nanosecond},
		{"a stop in a rebalance", 2 * time.Second, 0, 2*time.Second + stopTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession(&Processor{log: discardLog()}, nil)
				quit := make(chan struct{})
				if tt.quitAt != 0 {
					time.AfterFunc(tt.quitAt, func() { close(quit) })
				}
				if tt.commitAt != 0 {
					time.AfterFunc(tt.commitAt, func() { close(s.done) })
				}
				start := time.Now()
				s.await(quit)
				require.Equal(t, tt.want, time.Since(start))
			})
		})
	}
}

func TestHurryDoesNotBlock(t *testing.T) {
	s := newSession(&Processor{log: discardLog()}, nil)
	s.hurry()
	s.hurry()
	require.Len(t, s.wake, 1)
}
