package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLullLastsWhileTheHubIsAwayAndItsBacklogDrains(t *testing.T) {
	const heard, silent = true, false
	type step struct {
		after       time.Duration
		listening   bool
		first, last uint64
		want        bool
	}
	for name, steps := range map[string][]step{
		"short interruption": {
			{0, silent, 1, 10, false}, {awayFor - 1, silent, 1, 200, false}, {0, heard, 1, 300, false}, {time.Second, heard, 1, 400, false},
		},
		"away, then a backlog": {
			{0, heard, 1, 10, false},
			{time.Second, silent, 1, 10, false},
			{awayFor, silent, 1, 20, true},
			{time.Minute, silent, 1, 900, true},
			{time.Second, heard, 1, 1000, true},
			{time.Second, heard, 600, 1020, true},
			{time.Second, heard, 1000 - trimMargin, 1030, true},
			{time.Second, heard, 1001 - trimMargin, 1040, false},
			{time.Hour, heard, 1400, 1500, false},
		},
		"away without a backlog": {
			{0, silent, 0, 0, false}, {time.Hour, silent, 0, 0, true}, {time.Second, heard, 0, 0, false}, {time.Second, heard, 1, 1, false},
		},
		"backlog that does not drain": {
			{0, silent, 1, 10, false},
			{time.Minute, silent, 1, 900, true},
			{time.Second, heard, 1, 1000, true},
			{time.Minute, heard, 1, 1100, true},
			{time.Second + 1, heard, 1, 1200, false},
		},
		"away again while it drains": {
			{0, silent, 1, 10, false},
			{time.Minute, silent, 1, 900, true},
			{time.Second, heard, 1, 1000, true},
			{time.Second, silent, 200, 1100, true},
			{time.Second, heard, 300, 1200, true},
			{time.Second, heard, 1000, 1300, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l lull
			now := time.Now()
			for i, s := range steps {
				now = now.Add(s.after)
				require.Equal(t, s.want, l.update(now, s.listening, s.first, s.last), "step %d", i)
			}
		})
	}
}
