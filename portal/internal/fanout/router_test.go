package fanout

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/portal/internal/state"
)

// silentClient returns a client without a connection: nothing takes from its queues.
func silentClient(b *bench) *client {
	return &client{broadcaster: b.broadcaster, wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
}

func (c *client) ask(tb testing.TB, typ string, ids ...string) {
	tb.Helper()
	req := request{Type: typ}
	if ids != nil {
		req.DeviceIDs = &ids
	}
	_, err := c.broadcaster.router.apply(c, req)
	require.NoError(tb, err)
}

func (c *client) queuedAlerts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, q := range c.alerts {
		ids = append(ids, q.alert.AlertID)
	}
	return ids
}

// Snapshot and news meet without gap and without overlap, whenever a client subscribes.
func TestAlertRaisedDuringASubscriptionComesOnce(t *testing.T) {
	const alerts, clients = 2000, 300
	b := newBench(t, Limits{})
	first := silentClient(b)
	first.ask(t, typeSubscribeAll) // without a subscription no alert is distributed
	var list []*state.Alert
	for i := range alerts {
		list = append(list, parsed(t, fmt.Sprint(i), "d", telemetry.AlertActive, int64(i)))
	}
	var raising sync.WaitGroup
	raising.Go(func() {
		for _, a := range list {
			b.model.ApplyAlert(a, true)
		}
	})
	all := []*client{first}
	for i := range clients {
		c := silentClient(b)
		if i%2 == 0 {
			c.ask(t, typeSubscribeAll)
		} else {
			c.ask(t, typeSubscribe, "d")
		}
		all = append(all, c)
	}
	raising.Wait()
	b.broadcaster.router.distribute()
	var want []string
	for i := range alerts {
		want = append(want, fmt.Sprint(i))
	}
	for i, c := range all {
		if got := c.queuedAlerts(); len(got) != alerts {
			t.Errorf("client %d got %d alerts, want %d", i, len(got), alerts)
		} else {
			require.ElementsMatch(t, want, got)
		}
	}
}

// A client that subscribes and unsubscribes without reading holds no more than one snapshot.
func TestUnsubscribeDropsQueuedAlerts(t *testing.T) {
	const open = 2000
	b := newBench(t, Limits{Alerts: 10})
	for i := range open {
		b.raise(fmt.Sprint(i), fmt.Sprint("d", i%2), telemetry.AlertActive, int64(i))
	}
	c := silentClient(b)
	for range 240 {
		c.ask(t, typeSubscribeAll)
		require.Len(t, c.queuedAlerts(), open)
		c.ask(t, typeUnsubscribe)
		require.Empty(t, c.queuedAlerts())
	}
	for range 240 {
		c.ask(t, typeSubscribe, "d0", "d1")
		require.Len(t, c.queuedAlerts(), open)
		c.ask(t, typeUnsubscribe, "d1")
		require.Len(t, c.queuedAlerts(), open/2)
		c.ask(t, typeUnsubscribe, "d0")
		require.Empty(t, c.queuedAlerts())
	}
	c.ask(t, typeSubscribeAll)
	for range 240 { // except one device, and again
		c.ask(t, typeUnsubscribe, "d1")
		require.Len(t, c.queuedAlerts(), open/2)
		c.ask(t, typeSubscribe, "d1")
		require.Len(t, c.queuedAlerts(), open)
	}
}

// Alerts that were dropped or were part of a snapshot do not count against the limit.
func TestOnlyWaitingNewsCountAgainstTheAlertLimit(t *testing.T) {
	const limit = 10
	b := newBench(t, Limits{Alerts: limit})
	raise := func(device string, from, n int) {
		for i := from; i < from+n; i++ {
			b.raise(fmt.Sprint(device, i), device, telemetry.AlertActive, int64(i))
		}
	}
	raise("x", 0, 50)
	c := silentClient(b)
	c.ask(t, typeSubscribe, "x", "y")
	raise("y", 0, limit)
	c.ask(t, typeUnsubscribe, "y")
	c.ask(t, typeUnsubscribe, "x")
	c.ask(t, typeSubscribe, "x", "y")
	raise("y", limit, limit)
	require.False(t, c.detached, "the dropped ones leave room")
	require.Len(t, c.queuedAlerts(), 50+limit+limit)
	raise("y", 2*limit, 1)
	require.True(t, c.detached, "one more than the limit")
	require.Empty(t, c.queuedAlerts())
}

func TestQueueLongerThanABatchIsGatheredToItsEnd(t *testing.T) {
	const devices, size = 500, 1000
	b := newBench(t, Limits{})
	c := silentClient(b)
	c.ask(t, typeSubscribeAll)
	for i := range devices {
		b.apply(entry(fmt.Sprint("d", i), int64(i+1), size))
	}
	b.raise("a", "d0", telemetry.AlertActive, 1)
	for _, sent := range []int{1 << 30, 0} { // all at once, then nothing is left
		readings, batches := 0, 0
		for more := true; more; batches++ {
			var one batch
			more, _ = c.gatherNews(&one)
			require.Less(t, len(one.buf), batchBytes+2*size)
			require.True(t, !more || len(one.buf) >= batchBytes, "only a full batch leaves a rest")
			readings += one.readings
		}
		require.Equal(t, min(sent, devices), readings)
		require.Equal(t, sent > 0, batches > 5)
	}
}

func TestInboxFoldsReadingsAndCountsThemAsConflated(t *testing.T) {
	m := state.New(state.Options{})
	b, err := New(Options{Model: m, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.NoError(t, err)
	bench := &bench{tb: t, model: m, broadcaster: b}
	bench.apply(entry("d", 1, 1)) // before any subscription
	in := b.router.inbox.drain(nil)
	require.Empty(t, in.events)
	require.Equal(t, uint64(1), in.seq)
	c := silentClient(bench)
	c.ask(t, typeSubscribeAll)
	for ts := range int64(3) {
		bench.apply(entry("d", ts+2, 1), entry("e", ts+2, 1))
	}
	b.router.distribute()
	require.Equal(t, uint64(7), b.router.distributed.Load())
	require.Equal(t, 2, c.queue.length())
	require.Equal(t, int64(2+2+1), b.Stats().Conflated, "two of each in the inbox, the snapshot of d in the queue")
	require.Len(t, c.wake, 1)
	c.ask(t, typeUnsubscribe)
	require.Zero(t, b.router.subscriptions.Load())
	c.ask(t, typeSubscribe, "d", "x")
	require.Equal(t, int64(2), b.router.subscriptions.Load())
	c.ask(t, typeUnsubscribe, "x")
	require.Len(t, b.router.lists, 1)
	b.detach(c)
	require.Zero(t, b.router.subscriptions.Load())
	require.Empty(t, b.router.lists)
}

func TestConnectionsAreCountedByAddressAndDialect(t *testing.T) {
	b := quietBroadcaster(t, Limits{})
	from := netip.MustParseAddr("192.0.2.1")
	c, d := &client{from: from}, &client{}
	b.count(c, 1)
	b.count(c, 1)
	b.count(d, 1)
	require.Equal(t, map[netip.Addr]int{from: 2}, b.from)
	require.Equal(t, int64(3), b.counts.dialects[simpleDialect].open.Load())
	b.count(c, -1)
	b.count(c, -1)
	require.Empty(t, b.from, "no address is kept without connections")
	require.Equal(t, int64(1), b.counts.dialects[simpleDialect].open.Load())
}
