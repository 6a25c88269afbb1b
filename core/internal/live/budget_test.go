package live

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBudgetIsKeptWhateverTheSizeOfPacks(t *testing.T) {
	for _, size := range []int{1, 100, 4000} {
		var b budget
		shown := 0
		const start, seconds = 1_700_000_000_000, 10
		for now := int64(start); now < start+seconds*1000; now++ {
			for range max(1, 100/size) { // five times the rate, or more
				if b.take(size, true, now) {
					shown += size
				}
			}
		}
		require.InDelta(t, budgetRate*seconds, shown, budgetRate/2, "packs of %d", size)
	}
}

func TestBudgetDoesNotSaveUp(t *testing.T) {
	var b budget
	require.True(t, b.take(1, true, 1_000))
	shown := 0
	for b.take(10, true, 3_600_000) {
		shown += 10
	}
	require.LessOrEqual(t, shown, budgetRate/4+10)
}

func TestBudgetIsForFreshPacksFirst(t *testing.T) {
	var b budget
	fresh, old := 0, 0
	for now := int64(1_000_000); now < 1_010_000; now++ {
		if b.take(100, false, now) {
			old++
		}
		if b.take(100, true, now) {
			fresh++
		}
	}
	require.InDelta(t, budgetRate*10/100, fresh, 100)
	require.Less(t, old, 50)
	b = budget{}
	require.True(t, b.take(100, false, 2_000_000), "nothing fresh needs it")
}
