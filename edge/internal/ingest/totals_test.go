package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// requireTotals checks the totals in the header of every stored pack and returns their sum.
func requireTotals(t *testing.T, packs [][]byte) wire.PackTotals {
	t.Helper()
	var sum wire.PackTotals
	for i, p := range packs {
		h, all := entries(t, p)
		require.EqualValues(t, i+1, h.Counter)
		require.Equal(t, sum, h.Before, "pack %d", i+1)
		for _, e := range all {
			if e.Refusal != nil {
				sum.Refused++
			} else {
				sum.Readings++
			}
		}
	}
	return sum
}

// Packs that were not stored do not count.
func TestPackHeadersHoldTheTotalsBeforeThem(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			store := unreliableStore(rand.New(rand.NewPCG(seed, 2)))
			var marks []Mark
			c := New(Options{
				Store: store, Epoch: 7, Log: discard(), Linger: time.Millisecond, StuckAfter: time.Hour,
				Mark: func(m Mark) { marks = append(marks, m) },
			})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			var devices sync.WaitGroup
			for d := range 4 {
				devices.Go(func() {
					for n := range 100 {
						m := message(make(waiter, 1), 1, "r")
						if n%5 == d {
							m.Refusal = &telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON}
						}
						_ = c.Offer(m)
						<-time.After(time.Duration(n%9) * time.Millisecond)
					}
				})
			}
			devices.Wait()
			pass(time.Minute)
			cancel()
			require.NoError(t, <-done)
			sum := requireTotals(t, store.packs)
			require.Equal(t, sum, c.Stored().Totals)
			require.Equal(t, c.Stored(), marks[len(marks)-1])
			require.Len(t, marks, len(store.packs))
			require.Equal(t, c.Stats().Accepted, sum.Readings)
		})
	}
}

// The empty pack after a failure has a header with totals too.
func TestEmptyPackHoldsTotalsToo(t *testing.T) {
	store := &memStore{keep: true, settle: func() (bool, error) { return false, nil }}
	store.put = func(_ context.Context, n int) error {
		switch n {
		case 2:
			return errors.New("broken")
		case 3:
			return broker.ErrFull
		}
		return nil
	}
	collect(t, Options{Store: store}, func(c *Collector) {
		for id := range uint16(6) {
			_ = c.Offer(message(&answers{}, id, "r"))
			pass(5 * time.Second)
		}
	})
	sum := requireTotals(t, store.packs)
	require.NotZero(t, sum.Readings)
}

func TestFailingAndWaitingStartAndEnd(t *testing.T) {
	store := &memStore{settle: func() (bool, error) { return false, errors.New("no answer") }}
	store.put = func(context.Context, int) error { return errors.New("broken") }
	collect(t, Options{Store: store}, func(c *Collector) {
		require.True(t, c.Failing().IsZero())
		require.True(t, c.Waiting().IsZero())
		_ = c.Offer(message(&answers{}, 1, "r"))
		pass(10 * time.Second)
		require.InDelta(t, 10, time.Since(c.Failing()).Seconds(), 0.1)
		require.InDelta(t, 10, time.Since(c.Waiting()).Seconds(), 0.1)
		store.mu.Lock()
		store.put, store.settle = nil, func() (bool, error) { return false, nil }
		store.mu.Unlock()
		pass(time.Second)
		require.True(t, c.Failing().IsZero())
		require.True(t, c.Waiting().IsZero())
	})
}
