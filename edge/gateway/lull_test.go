package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReadingsMayWaitWhileTheHubIsAwayAndItsBacklogDrains(t *testing.T) {
	const hears, silent = true, false
	type step struct {
		after       time.Duration
		listening   bool
		first, last uint64
		want        bool
	}
	for name, steps := range map[string][]step{
		"a short silence is none": {
			{0, silent, 1, 10, false}, {awayFor - 1, silent, 1, 200, false}, {0, hears, 1, 300, false}, {time.Second, hears, 1, 400, false},
		},
		"away, and then a backlog": {
			{0, hears, 1, 10, false},
			{time.Second, silent, 1, 10, false},
			{awayFor, silent, 1, 20, true},
			{time.Minute, silent, 1, 900, true},
			{time.Second, hears, 1, 1000, true},
			{time.Second, hears, 600, 1020, true},
			{time.Second, hears, 1000 - leftBehind, 1030, true},
			{time.Second, hears, 1001 - leftBehind, 1040, false},
			{time.Hour, hears, 1400, 1500, false},
		},
		"away, and nothing piled up": {
			{0, silent, 0, 0, false}, {time.Hour, silent, 0, 0, true}, {time.Second, hears, 0, 0, false}, {time.Second, hears, 1, 1, false},
		},
		"a backlog that does not go": {
			{0, silent, 1, 10, false},
			{time.Minute, silent, 1, 900, true},
			{time.Second, hears, 1, 1000, true},
			{time.Minute, hears, 1, 1100, true},
			{time.Second + 1, hears, 1, 1200, false},
		},
		"cut again while it drains": {
			{0, silent, 1, 10, false},
			{time.Minute, silent, 1, 900, true},
			{time.Second, hears, 1, 1000, true},
			{time.Second, silent, 200, 1100, true},
			{time.Second, hears, 300, 1200, true},
			{time.Second, hears, 1000, 1300, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l lull
			now := time.Now()
			for i, s := range steps {
				now = now.Add(s.after)
				require.Equal(t, s.want, l.look(now, s.listening, s.first, s.last), "step %d", i)
			}
		})
	}
}
