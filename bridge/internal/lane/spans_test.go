package lane

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpansJoin(t *testing.T) {
	var s spans
	require.Zero(t, s.newest())
	for _, c := range []struct {
		seq   uint64
		isNew bool
		want  spans
	}{
		{5, true, spans{{5, 5}}},
		{5, false, spans{{5, 5}}},
		{6, true, spans{{5, 6}}},
		{9, true, spans{{5, 6}, {9, 9}}},
		{8, true, spans{{5, 6}, {8, 9}}},
		{7, true, spans{{5, 9}}},
		{2, true, spans{{2, 2}, {5, 9}}},
		{6, false, spans{{2, 2}, {5, 9}}},
		{4, true, spans{{2, 2}, {4, 9}}},
		{1, true, spans{{1, 2}, {4, 9}}},
		{3, true, spans{{1, 9}}},
	} {
		require.Equal(t, c.isNew, s.add(c.seq), c.seq)
		require.Equal(t, c.want, s)
	}
	require.Equal(t, uint64(9), s.newest())
}

func TestSpansAreASet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s spans
	have := map[uint64]bool{}
	for range 5000 {
		seq := 1 + random.Uint64N(100) // at most 50 spans
		require.Equal(t, !have[seq], s.add(seq))
		have[seq] = true
	}
}

func TestLowestSpansAreForgotten(t *testing.T) {
	var s spans
	for i := range uint64(2 * maxSpans) {
		require.True(t, s.add(2*i))
	}
	require.Len(t, s, maxSpans)
	require.Equal(t, uint64(2*(2*maxSpans-1)), s.newest())
	require.True(t, s.add(0), "forgotten")
	require.Len(t, s, maxSpans)
}
