package fanout

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryMessageOfADashboardCounts(t *testing.T) {
	b := newBench(t, Limits{})
	p := b.dashboard() // a hello
	require.Equal(t, "pong", p.ask(map[string]string{"type": "ping", "id": "p1"}).Type)
	require.Eventually(t, func() bool { return b.broadcaster.Stats().Messages == 2 }, waitTimeout, time.Millisecond)
	counts := &b.broadcaster.counts.dialects
	require.EqualValues(t, 2, counts[dashboardDialect].messages.Load())
	require.Zero(t, counts[simpleDialect].messages.Load())
	families, err := b.reg.Gather()
	require.NoError(t, err)
	shown := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "portal_dialect_messages_total" {
				shown += m.GetCounter().GetValue()
			}
		}
	}
	require.InDelta(t, 2, shown, 0)
}
