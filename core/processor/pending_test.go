package processor

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestOnlyAlertsAndAuditEntriesHurryTheCommit(t *testing.T) {
	woken := 0
	p := newPending(func() { woken++ })
	b := newBatch()
	require.Same(t, b, p.add(b, 1), "nothing to commit")
	require.Nil(t, p.pop())
	b.moved = true
	fresh := p.add(b, 5)
	require.NotSame(t, b, fresh)
	require.True(t, fresh.empty())
	require.Zero(t, woken)
	fresh.audits = make([]auditRecord, 1)
	require.Same(t, fresh, p.add(fresh, 9), "it was absorbed")
	require.True(t, fresh.empty())
	require.Equal(t, 1, woken)
	require.EqualValues(t, 5, p.waiting.Load(), "since the first")

	require.Same(t, b, p.pop())
	require.Len(t, b.audits, 1)
	require.EqualValues(t, 5, p.inFlight.Load())
	require.Zero(t, p.waiting.Load())
	p.committed()
	require.Zero(t, p.inFlight.Load())
	require.Nil(t, p.pop())
	fresh.alerts = make([]alertRecord, 1)
	p.add(fresh, 20)
	require.Equal(t, 2, woken)
}

func TestTaskWaitsWhenNothingIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		woken := 0
		p := newPending(func() { woken++ })
		require.True(t, p.waitForRoom(ctx, nil))
		b := newBatch()
		for i := range maxPending {
			b.alarms[strconv.Itoa(i)] = nil
		}
		p.batch = b
		require.True(t, p.waitForRoom(ctx, nil), "just not full")
		require.Zero(t, woken)
		b.devices["d1"] = nil
		waited := make(chan bool, 1)
		failed := make(chan struct{})
		wait := func() { waited <- p.waitForRoom(ctx, failed) }
		go wait()
		synctest.Wait()
		require.Empty(t, waited)
		require.Equal(t, 1, woken, "the committer hurries")
		require.NotNil(t, p.pop())
		require.True(t, <-waited)

		p.batch = b
		go wait()
		synctest.Wait()
		require.Empty(t, waited)
		close(failed)
		require.False(t, <-waited)

		failed = nil
		go wait()
		synctest.Wait()
		cancel()
		require.False(t, <-waited)
	})
}
