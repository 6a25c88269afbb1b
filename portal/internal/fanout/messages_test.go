package fanout

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
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
	n, err := testutil.GatherAndCount(b.reg, "portal_dialect_messages_total")
	require.NoError(t, err)
	require.Equal(t, 2, n, "one for each dialect")
}
