package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestPacksAreNumberedInOrderAndSurviveARestart(t *testing.T) {
	o := options(t)
	b := start(t, o)
	for want := uint64(1); want <= 3; want++ {
		seq, err := b.Stream().Put(t.Context(), pack(7, want, 100))
		require.NoError(t, err)
		require.Equal(t, want, seq)
	}
	b.Shutdown()

	b = start(t, o)
	state, err := b.Stream().Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, state.FirstSeq)
	require.EqualValues(t, 4, state.LastSeq, "with the end of the epoch")
	require.WithinDuration(t, time.Now(), state.Oldest, time.Hour)
	seq, err := b.Stream().Put(t.Context(), pack(8, 1, 100))
	require.NoError(t, err)
	require.EqualValues(t, 5, seq)
}

func TestFullBufferRefusesAndKeepsItsPacks(t *testing.T) {
	o := options(t)
	o.BufferBytes = 1 << 20
	b := start(t, o)
	s := b.Stream()
	n := uint64(0)
	for {
		_, err := s.Put(t.Context(), pack(7, n+1, 100<<10))
		if err != nil {
			require.ErrorIs(t, err, ErrFull)
			break
		}
		n++
	}
	room, err := s.HasRoom(t.Context())
	require.NoError(t, err)
	require.False(t, room)
	state, err := s.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, n, state.Messages, "no stored pack is dropped for a new one")
	require.EqualValues(t, 1, state.FirstSeq)

	require.NoError(t, s.str.Purge(t.Context()))
	room, err = s.HasRoom(t.Context())
	require.NoError(t, err)
	require.True(t, room)
	seq, err := s.Put(t.Context(), pack(7, n+1, 100<<10))
	require.NoError(t, err)
	require.Equal(t, n+1, seq)
}

func TestSmallerLimitAtARestartDropsNothing(t *testing.T) {
	o := options(t)
	b := start(t, o)
	for i := range uint64(20) {
		_, err := b.Stream().Put(t.Context(), pack(7, i+1, 100<<10))
		require.NoError(t, err)
	}
	b.Shutdown()

	o.BufferBytes = 1 << 20
	b = start(t, o)
	state, err := b.Stream().Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 20, state.Messages)
	_, err = b.Stream().Put(t.Context(), pack(8, 1, 100))
	require.ErrorIs(t, err, ErrFull)
}

func TestSettleFindsTheOutcomeOfAPut(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		name   string
		before func(t *testing.T, s *Stream)
		seq    uint64
		stored bool
	}{
		{"never arrived", func(*testing.T, *Stream) {}, 3, false},
		{"stored, answer lost", func(t *testing.T, s *Stream) {
			t.Helper()
			_, err := s.store(ctx, pack(7, 3, 10))
			require.NoError(t, err)
		}, 3, true},
		{"stored and trimmed, answer lost", func(t *testing.T, s *Stream) {
			t.Helper()
			_, err := s.store(ctx, pack(7, 3, 10))
			require.NoError(t, err)
			require.NoError(t, s.str.Purge(ctx))
		}, 3, true},
		{"somebody else wrote", func(t *testing.T, s *Stream) {
			t.Helper()
			_, err := s.store(ctx, []byte("not a pack"))
			require.NoError(t, err)
		}, 4, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, options(t)).Stream()
			for c := range uint64(2) {
				_, err := s.Put(ctx, pack(7, c+1, 10))
				require.NoError(t, err)
			}
			tt.before(t, s)
			seq, stored, err := s.Settle(ctx, 7, 3)
			require.NoError(t, err)
			require.Equal(t, tt.stored, stored)
			if stored {
				require.Equal(t, tt.seq, seq)
				seq, err = s.Put(ctx, pack(7, 4, 10))
				require.Equal(t, tt.seq+1, seq)
			} else {
				seq, err = s.Put(ctx, pack(7, 3, 10))
				require.Equal(t, tt.seq, seq)
			}
			require.NoError(t, err)
		})
	}
}

// A write is conditional on the last sequence, so a repeated one cannot store a pack twice.
func TestSamePackTwiceIsStoredOnce(t *testing.T) {
	s := start(t, options(t)).Stream()
	_, err := s.store(t.Context(), pack(7, 1, 10))
	require.NoError(t, err)
	_, err = s.Put(t.Context(), pack(7, 1, 10))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrFull)
	seq, stored, err := s.Settle(t.Context(), 7, 1)
	require.NoError(t, err)
	require.True(t, stored)
	require.EqualValues(t, 1, seq)
	state, err := s.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, state.Messages)
}

func TestProbeStoresNothingAndFailsOnADeadStream(t *testing.T) {
	b := start(t, options(t))
	for range 10 {
		require.NoError(t, b.Stream().Probe(t.Context()))
	}
	state, err := b.Stream().Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, state.LastSeq)

	require.NoError(t, b.srv.Load().DisableJetStream())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, b.Stream().Probe(ctx))
	_, err = b.Stream().Put(ctx, pack(7, 1, 10))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrFull)
	_, _, err = b.Stream().Settle(ctx, 7, 1)
	require.Error(t, err)
}

func TestLowDiskCountsAsAFullBuffer(t *testing.T) {
	b := start(t, options(t))
	free, err := b.CheckDisk()
	require.NoError(t, err)
	require.Positive(t, free)
	b.diskLow.Store(true)
	_, err = b.Stream().Put(t.Context(), pack(7, 1, 10))
	require.ErrorIs(t, err, ErrFull)
	room, err := b.Stream().HasRoom(t.Context())
	require.NoError(t, err)
	require.False(t, room)
}

// The reply to a Put that timed out may come during a later one.
func TestLateReplyIsNotTakenForThatOfALaterPut(t *testing.T) {
	b := start(t, options(t))
	s := b.Stream()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ended, pack(7, 1, 10))
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return len(s.acks) == 1 }, 180*time.Second, time.Millisecond, "the server replied all the same")
	seq, stored, err := s.Settle(t.Context(), 7, 1)
	require.NoError(t, err)
	require.True(t, stored)
	require.EqualValues(t, 1, seq)
	seq, err = s.Put(t.Context(), pack(7, 2, 10))
	require.NoError(t, err)
	require.EqualValues(t, 2, seq)
	require.Empty(t, s.acks)
}

func TestReplyWithoutASequenceIsAnError(t *testing.T) {
	for data, want := range map[string]string{
		``:            "no response from stream",
		`{}`:          "invalid jetstream publish response",
		`{"seq":"x"}`: "decoding the reply",
		`not json`:    "decoding the reply",
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"S","seq":0}`: "wrong last sequence: 3",
	} {
		_, err := decodeAck([]byte(data))
		require.ErrorContains(t, err, want)
	}
	_, err := decodeAck([]byte(`{"error":{"code":503,"err_code":10077}}`))
	api, ok := errors.AsType[*jetstream.APIError](err)
	require.True(t, ok)
	require.EqualValues(t, 10077, api.ErrorCode)
	seq, err := decodeAck([]byte(`{"stream":"S","seq":7,"domain":"d"}`))
	require.NoError(t, err)
	require.EqualValues(t, 7, seq)
}
