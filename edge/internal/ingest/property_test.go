package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
)

// TestAckedReadingsAreStoredOnceInOrder offers from many devices to an unreliable store
// and compares the acknowledged with the stored readings.
func TestAckedReadingsAreStoredOnceInOrder(t *testing.T) {
	for seed := range uint64(20) { // short bubbles: the race detector crashed in long ones with many timers
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			store := unreliableStore(rnd)
			c := New(Options{Store: store, Epoch: 7, Log: discard(), Linger: 3 * time.Millisecond, StuckAfter: time.Hour})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			var devices sync.WaitGroup
			var mu sync.Mutex
			acked := map[string][]int{}
			for d := range 8 {
				devices.Go(func() {
					id := fmt.Sprintf("device_%d", d)
					for n := range 50 {
						for !deliver(c, id, n) {
							<-time.After(50 * time.Millisecond)
						}
						mu.Lock()
						acked[id] = append(acked[id], n)
						mu.Unlock()
						<-time.After(time.Duration(n%7) * time.Millisecond)
					}
				})
			}
			devices.Wait()
			cancel()
			require.NoError(t, <-done)
			require.Equal(t, acked, storedByDevice(t, store), "seed %d", seed)
		})
	}
}

// deliver offers reading n of a device, waits for the reply and reports whether it is an acknowledgement.
func deliver(c *Collector, id string, n int) bool {
	w := make(waiter, 1)
	m := &Message{Device: id, Payload: fmt.Append(nil, n), Received: time.Now(), Ticket: Ticket{To: w}}
	if c.Offer(m) != nil {
		return false
	}
	return (<-w).r == nil
}

// unreliableStore is slow, full or silent at random, and sometimes stores without a reply.
func unreliableStore(rnd *rand.Rand) *memStore {
	store := &memStore{keep: true}
	outcome := false
	store.settle = func() (bool, error) {
		if rnd.IntN(3) == 0 {
			return false, errors.New("no answer")
		}
		return outcome, nil
	}
	store.putPack = func(ctx context.Context, pack []byte) error {
		switch rnd.IntN(10) {
		case 0:
			return broker.ErrFull
		case 1:
			<-ctx.Done()
			outcome = false
			return ctx.Err()
		case 2:
			store.store(pack)
			outcome = true
			return errors.New("answer lost")
		}
		<-time.After(time.Duration(rnd.IntN(30)) * time.Millisecond)
		return nil
	}
	return store
}

func storedByDevice(t *testing.T, s *memStore) map[string][]int {
	t.Helper()
	out := map[string][]int{}
	for i, p := range s.packs {
		h, all := entries(t, p)
		require.EqualValues(t, i+1, h.Counter)
		for _, e := range all {
			var n int
			_, err := fmt.Sscan(string(e.Payload), &n)
			require.NoError(t, err)
			out[e.Device] = append(out[e.Device], n)
		}
	}
	return out
}
