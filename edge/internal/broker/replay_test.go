package broker

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/wire"
)

func TestReplayReadsTheNewestPacks(t *testing.T) {
	s := start(t, options(t)).Stream()
	replay := func(from, most uint64) (all []uint64) {
		require.NoError(t, s.Replay(t.Context(), from, most, func(seq uint64, data []byte) {
			p, err := wire.OpenPack(data)
			require.NoError(t, err)
			require.Equal(t, seq, p.Header.Counter)
			all = append(all, seq)
		}))
		return all
	}
	require.Empty(t, replay(1, 100), "an empty stream")
	for n := range uint64(9) {
		_, err := s.Put(t.Context(), empty(n+1))
		require.NoError(t, err)
	}
	require.EqualValues(t, 9, s.Last())
	require.Equal(t, []uint64{8, 9}, replay(8, 100))
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, replay(0, 9))
	require.Equal(t, []uint64{7, 8, 9}, replay(1, 3))
	require.Equal(t, []uint64{8, 9}, replay(8, 3))
	require.Empty(t, replay(10, 100))
	require.NoError(t, s.str.DeleteMsg(t.Context(), 8))
	require.Equal(t, []uint64{7, 9}, replay(7, 100), "a hole is left out")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, s.Replay(ended, 1, 100, func(uint64, []byte) { t.Error("called") }))
}

// empty returns a pack without messages.
func empty(counter uint64) []byte {
	var b wire.PackBuilder
	b.Reset(7, counter)
	return b.Finish()
}
