package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestReplayReadsTheNewestPacks(t *testing.T) {
	s := start(t, options(t)).Stream()
	replay := func(from uint64, since int64) (all []uint64) {
		require.NoError(t, s.Replay(from, time.UnixMilli(since), func(seq uint64, data []byte) {
			p, err := wire.OpenPack(data)
			require.NoError(t, err)
			require.Equal(t, seq, p.Header.Counter)
			all = append(all, seq)
		}))
		return all
	}
	require.Empty(t, replay(1, 0), "an empty stream")
	const large = 800 << 10 // so that there is more than one block
	for n := range int64(40) {
		var b wire.PackBuilder
		b.Reset(7, uint64(n+1))
		b.Add(wire.PackEntry{Device: "d", Received: 1000 * (n + 1), Payload: make([]byte, large)})
		_, err := s.Put(t.Context(), b.Finish())
		require.NoError(t, err)
	}
	require.EqualValues(t, 40, s.Last())
	all := replay(1, 0)
	require.Len(t, all, 40)
	require.True(t, slices.IsSorted(all))
	require.Equal(t, []uint64{39, 40}, replay(39, 0))
	require.Empty(t, replay(41, 0))
	recent := replay(1, 39_500)
	require.Contains(t, recent, uint64(40))
	require.Less(t, len(recent), 30, "blocks of old packs are not read")
	require.Equal(t, []uint64{38, 39, 40}, replay(38, 1000))
	for n := range uint64(20) { // as at the ends of epochs
		_, err := s.Put(t.Context(), empty(n+41))
		require.NoError(t, err)
	}
	require.Len(t, replay(41, 39_500), 20, "packs without messages have no time")
}

// empty returns a pack without messages.
func empty(counter uint64) []byte {
	var b wire.PackBuilder
	b.Reset(7, counter)
	return b.Finish()
}
