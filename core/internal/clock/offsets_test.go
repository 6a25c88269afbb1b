package clock

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOffsetsTellTheOthersWhatChanged(t *testing.T) {
	a, b := NewOffsets(), NewOffsets()
	require.Nil(t, a.Changes())
	a.Set("slow", -3_600_000)
	a.Set("fast", 60_000)
	a.Set("fast", 60_000+step-1)
	a.Set("right", 0)
	changes := a.Changes()
	require.Equal(t, map[string]int64{"slow": -3_600_000, "fast": 60_000}, changes)
	require.Nil(t, a.Changes())
	b.Apply(changes)
	require.Nil(t, b.Changes(), "the others' are not passed on")
	require.Equal(t, a.All(), b.All())
	is := b.Clock("slow")
	require.EqualValues(t, -3_600_000, is.Offset())

	a.Set("slow", 0)
	a.Set("fast", 60_000+step)
	changes = a.Changes()
	require.Equal(t, map[string]int64{"slow": 0, "fast": 60_000 + step}, changes)
	b.Apply(changes)
	require.Equal(t, map[string]int64{"fast": 60_000 + step}, b.All())
	is = b.Clock("slow")
	require.Zero(t, is.Offset())
}

func TestOffsetsAreBounded(t *testing.T) {
	o := NewOffsets()
	for i := range int64(maxOffsets + 10) {
		o.Set(fmt.Sprint("d", i), 10_000)
	}
	require.Len(t, o.All(), maxOffsets)
	require.Len(t, o.Changes(), maxOffsets)
	o.Set("d0", 20_000)
	require.EqualValues(t, 20_000, o.All()["d0"], "one that is known still changes")
}
