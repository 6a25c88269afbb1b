package broker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestReplayReadsTheNewestPacks(t *testing.T) {
	s := start(t, options(t)).Stream()
	replay := func(from uint64, since int64) (all []uint64) {
		require.NoError(t, s.Replay(t.Context(), from, time.UnixMilli(since), func(seq uint64, data []byte) {
			p, err := wire.OpenPack(data)
			require.NoError(t, err)
			require.Equal(t, seq, p.Header.Counter)
			all = append(all, seq)
		}))
		return all
	}
	require.Empty(t, replay(1, 0), "an empty stream")
	for n := range int64(9) {
		var b wire.PackBuilder
		b.Reset(7, uint64(n+1))
		b.Add(wire.PackEntry{Device: "d", Received: 1000 * (n + 1)})
		_, err := s.Put(t.Context(), b.Finish())
		require.NoError(t, err)
	}
	require.EqualValues(t, 9, s.Last())
	require.Equal(t, []uint64{8, 9}, replay(8, 0))
	require.Equal(t, []uint64{7, 8, 9}, replay(1, 7000))
	require.Equal(t, []uint64{7, 8, 9}, replay(1, 6001))
	require.Equal(t, []uint64{8, 9}, replay(8, 3000))
	require.Empty(t, replay(1, 9001))
	require.Empty(t, replay(10, 0))
	require.NoError(t, s.str.DeleteMsg(t.Context(), 8))
	require.Equal(t, []uint64{7, 9}, replay(7, 0), "a hole is left out")
	require.Equal(t, []uint64{4, 5, 6, 7, 9}, replay(1, 4000))
	for n := range uint64(20) { // as at the ends of epochs
		_, err := s.Put(t.Context(), empty(n+10))
		require.NoError(t, err)
	}
	require.Equal(t, []uint64{4, 5, 6, 7, 9}, replay(1, 4000)[:5], "packs without messages have no time")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, s.Replay(ended, 1, time.UnixMilli(0), func(uint64, []byte) { t.Error("called") }))
}

// empty returns a pack without messages.
func empty(counter uint64) []byte {
	var b wire.PackBuilder
	b.Reset(7, counter)
	return b.Finish()
}
