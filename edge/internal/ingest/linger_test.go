package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLingerFollowsTheFrequencyOfPacks(t *testing.T) {
	const most = 12 * time.Millisecond
	for name, tt := range map[string]struct{ gap, want time.Duration }{
		"no packs yet":          {0, most},
		"back to back":          {2 * time.Millisecond, most},
		"one in each linger":    {12 * time.Millisecond, most},
		"sixty a second":        {16 * time.Millisecond, 9 * time.Millisecond},
		"forty a second":        {24 * time.Millisecond, 6 * time.Millisecond},
		"twenty a second":       {48 * time.Millisecond, 3 * time.Millisecond},
		"one a second":          {time.Second, 3 * time.Millisecond},
		"the first after a day": {24 * time.Hour, 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, lingerFor(most, tt.gap)) })
	}
	require.Zero(t, lingerFor(0, time.Second))
	require.Equal(t, 15*time.Minute, lingerFor(time.Hour, 24*time.Hour))
}

// A device that is alone gets its answer soon, one of many shares its sync with them.
func TestRarePacksAreStoredEarlier(t *testing.T) {
	store, a := &memStore{}, &answers{}
	collect(t, Options{Store: store, Linger: 12 * time.Millisecond}, func(c *Collector) {
		id := uint16(0)
		offer := func() {
			require.Nil(t, c.Offer(message(a, id, "r")))
			id++
		}
		for range 2 * recentPacks {
			offer()
			pass(time.Second)
		}
		offer()
		pass(3 * time.Millisecond)
		require.Len(t, a.all(), int(id), "a lone reading waits for a quarter of the linger")

		before := store.count()
		for range 500 {
			offer()
			pass(2 * time.Millisecond)
		}
		pass(12 * time.Millisecond)
		require.Len(t, a.all(), int(id))
		require.InDelta(t, 88, store.count()-before, 4, "500 readings a second, one pack in 11 to 12 ms")
	})
}
