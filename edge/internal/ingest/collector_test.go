package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/edge/internal/broker"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/wire"
)

// answers is a Responder that keeps every reply, by packet id.
type answers struct {
	mu  sync.Mutex
	got map[uint16]outcome
	n   int
}

func (a *answers) Answer(t *Ticket, seq uint64, r *telemetry.Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got == nil {
		a.got = map[uint16]outcome{}
	}
	a.got[t.Packet] = outcome{seq, r}
	a.n++
}

// all returns the replies so far.
func (a *answers) all() map[uint16]outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.got)
}

// collect runs a collector in a bubble of its own time and stops it at the end.
func collect(t *testing.T, o Options, test func(c *Collector)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Epoch, o.Log = 7, discard()
		if o.Linger == 0 {
			o.Linger = 3 * time.Millisecond
		}
		c := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		test(c)
		cancel()
		require.NoError(t, <-done)
	})
}

// pass advances the bubble's clock and waits until every goroutine is idle.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func message(to Responder, id uint16, payload string) *Message {
	return &Message{Device: "device_001", Payload: []byte(payload), Received: time.Now(), Ticket: Ticket{Protocol: MQTT, To: to, Packet: id}}
}

func entries(t *testing.T, pack []byte) (wire.PackHeader, []wire.PackEntry) {
	t.Helper()
	p, err := wire.OpenPack(pack)
	require.NoError(t, err)
	var all []wire.PackEntry
	for e, ok := p.Next(); ok; e, ok = p.Next() {
		all = append(all, e)
	}
	require.NoError(t, p.Err())
	return p.Header, all
}

func TestMessagesWithinLingerShareAPack(t *testing.T) {
	store, a := &memStore{keep: true}, &answers{}
	collect(t, Options{Store: store}, func(c *Collector) {
		for id := range uint16(3) {
			require.Nil(t, c.Offer(message(a, id, "r")))
		}
		synctest.Wait()
		require.Empty(t, a.all(), "no reply before the pack is stored")
		pass(3 * time.Millisecond)
		require.Len(t, a.all(), 3)
		require.Nil(t, c.Offer(message(a, 3, "r")))
		pass(3 * time.Millisecond)
		require.Equal(t, outcome{seq: 2}, a.all()[3])

		c.SetLinger(time.Second)
		require.Nil(t, c.Offer(message(a, 4, "r")))
		pass(time.Second - time.Millisecond)
		require.Len(t, a.all(), 4)
		require.Nil(t, c.Offer(message(a, 5, "r")))
		pass(time.Millisecond)
		require.Len(t, a.all(), 6)
	})
	require.Len(t, store.packs, 3)
	for i, p := range store.packs {
		h, all := entries(t, p)
		require.Equal(t, uint64(7), h.Epoch)
		require.EqualValues(t, i+1, h.Counter)
		require.Len(t, all, []int{3, 1, 2}[i])
	}
}

func TestFullPackIsStoredAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		n, size int
	}{{"by count", flushEntries, 10}, {"by bytes", flushBytes/10_000 + 1, 10_000}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store, a := &memStore{}, &answers{}
			collect(t, Options{Store: store, Linger: time.Hour}, func(c *Collector) {
				for i := range tt.n - 1 {
					_ = c.Offer(message(a, uint16(i), string(make([]byte, tt.size))))
				}
				synctest.Wait()
				require.Zero(t, store.count())
				_ = c.Offer(message(a, uint16(tt.n-1), string(make([]byte, tt.size))))
				synctest.Wait()
				require.Equal(t, 1, store.count())
				require.Len(t, a.all(), tt.n)
			})
		})
	}
}

func TestPackGrowsToALimitWhileItsPredecessorIsSynced(t *testing.T) {
	release := make(chan struct{})
	store := &memStore{keep: true, put: func(_ context.Context, n int) error {
		if n == 1 {
			<-release
		}
		return nil
	}}
	a := &answers{}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		c := New(Options{Store: store, Epoch: 7, Log: discard(), Linger: time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		_ = c.Offer(message(a, 0, "first"))
		pass(2 * time.Millisecond)
		var accepted atomic.Int64
		go func() {
			for i := range limitEntries + 10 {
				_ = c.Offer(message(a, uint16(i+1), "next"))
				accepted.Add(1)
			}
		}()
		synctest.Wait()
		require.EqualValues(t, limitEntries, accepted.Load(), "Offer blocks at the limit")
		close(release)
		synctest.Wait()
		require.EqualValues(t, limitEntries+10, accepted.Load())
		pass(2 * time.Millisecond)
		cancel()
		require.NoError(t, <-done)
	})
	require.Len(t, store.packs, 3)
	require.Equal(t, limitEntries+11, a.n)
}

func TestDeadLettersAreStoredBeforeTheReply(t *testing.T) {
	store, a := &memStore{keep: true}, &answers{}
	why := &telemetry.Refusal{Reason: telemetry.ReasonInvalidJSON, Field: "x", Message: "y"}
	collect(t, Options{Store: store}, func(c *Collector) {
		m := message(a, 1, "{")
		m.Refusal = why
		require.Nil(t, c.Offer(m))
		pass(time.Second)
		require.Equal(t, outcome{1, why}, a.all()[1])
		require.Equal(t, Stats{Refused: 1}, c.Stats())
	})
	_, all := entries(t, store.packs[0])
	require.Equal(t, why, all[0].Refusal)
	require.Equal(t, "{", string(all[0].Payload))
}

func TestFullBufferRefusesUntilItHasRoom(t *testing.T) {
	store := &memStore{keep: true, full: true, put: func(_ context.Context, n int) error {
		if n == 2 {
			return broker.ErrFull
		}
		return nil
	}}
	a := &answers{}
	collect(t, Options{Store: store}, func(c *Collector) {
		_ = c.Offer(message(a, 1, "stored"))
		pass(time.Second)
		_ = c.Offer(message(a, 2, "no room"))
		pass(time.Second)
		o := a.all()[2]
		require.Equal(t, telemetry.ReasonBufferFull, o.r.Reason)
		require.Zero(t, o.seq)
		r := c.Offer(message(a, 3, "at once"))
		require.Equal(t, telemetry.ReasonBufferFull, r.Reason)
		require.Equal(t, r, c.Refusing())
		pass(time.Hour)
		require.NotNil(t, c.Offer(message(a, 4, "a full buffer is no reason to give up")))

		store.mu.Lock()
		store.full = false
		store.mu.Unlock()
		pass(time.Second)
		require.Nil(t, c.Refusing())
		require.Nil(t, c.Offer(message(a, 5, "again")))
		pass(time.Second)
		require.Equal(t, outcome{seq: 2}, a.all()[5])
		require.Equal(t, Stats{Accepted: 2, Refused: 3}, c.Stats())
	})
	h, _ := entries(t, store.packs[1])
	require.EqualValues(t, 2, h.Counter, "counters have no gap")
}

func TestSilentStoreRefusesWithinTwoSecondsAndSettles(t *testing.T) {
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprintf("stored=%t", stored), func(t *testing.T) {
			known := false
			store := &memStore{keep: true}
			store.put = func(ctx context.Context, n int) error {
				if n > 1 {
					return nil
				}
				<-ctx.Done()
				if stored {
					store.packs = append(store.packs, nil)
				}
				return ctx.Err()
			}
			store.settle = func() (bool, error) {
				if !known {
					return false, errors.New("no answer")
				}
				return stored, nil
			}
			a := &answers{}
			collect(t, Options{Store: store}, func(c *Collector) {
				_ = c.Offer(message(a, 1, "outcome unknown"))
				pass(10 * time.Millisecond)
				_ = c.Offer(message(a, 2, "behind it"))
				pass(2 * time.Second)
				require.NotContains(t, a.all(), uint16(1), "no reply while the outcome is unknown")
				require.Equal(t, telemetry.ReasonUnavailable, a.all()[2].r.Reason)
				require.Zero(t, a.all()[2].seq)
				require.Equal(t, telemetry.ReasonUnavailable, c.Offer(message(a, 3, "now")).Reason)

				store.mu.Lock()
				known = true
				store.mu.Unlock()
				pass(time.Second)
				require.Nil(t, c.Refusing())
				if stored {
					require.Equal(t, outcome{seq: 1}, a.all()[1])
				} else {
					require.Equal(t, telemetry.ReasonUnavailable, a.all()[1].r.Reason)
					require.Zero(t, a.all()[1].seq)
				}
				require.Nil(t, c.Offer(message(a, 4, "again")))
				pass(time.Second)
				require.NotZero(t, a.all()[4].seq)
			})
			h, all := entries(t, store.packs[1])
			require.EqualValues(t, 2, h.Counter, "counters have no gap")
			require.Equal(t, "again", string(all[0].Payload))
			if !stored {
				_, all = entries(t, store.packs[0])
				require.Empty(t, all, "storage was tested with an empty pack")
			}
		})
	}
}

func TestStoreThatNeverRespondsEndsTheGateway(t *testing.T) {
	for name, settle := range map[string]func() (bool, error){
		"silent":            func() (bool, error) { return false, errors.New("no answer") },
		"refuses each pack": func() (bool, error) { return false, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &memStore{settle: settle, put: func(context.Context, int) error { return errors.New("broken") }}
				c := New(Options{Store: store, Epoch: 7, Log: discard(), Linger: time.Millisecond})
				done := make(chan error, 1)
				go func() { done <- c.Run(t.Context()) }()
				for range 1200 {
					pass(100 * time.Millisecond)
					_ = c.Offer(message(nil, 1, "x"))
				}
				require.ErrorIs(t, <-done, ErrStuck)
				require.NotNil(t, c.Offer(message(nil, 1, "x")), "accepts no more messages")
			})
		})
	}
}

func TestStopStoresAndAnswersTheOpenPack(t *testing.T) {
	store, a := &memStore{}, &answers{}
	var c *Collector
	collect(t, Options{Store: store, Linger: time.Hour}, func(started *Collector) {
		c = started
		_ = c.Offer(message(a, 1, "just before"))
		synctest.Wait()
	})
	require.Equal(t, outcome{seq: 1}, a.all()[1])
	require.Equal(t, telemetry.ReasonUnavailable, c.Offer(message(a, 2, "too late")).Reason)
}

// A failure that goes on after a full buffer ends the gateway too.
func TestFailureAfterAFullBufferIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{settle: func() (bool, error) { return false, nil }}
		store.put = func(_ context.Context, n int) error {
			if n == 2 {
				return broker.ErrFull
			}
			return errors.New("broken")
		}
		c := New(Options{Store: store, Epoch: 7, Log: discard(), Linger: time.Millisecond})
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		_ = c.Offer(message(nil, 1, "x"))
		pass(10 * time.Second)
		require.False(t, c.Failing().IsZero())
		pass(time.Minute)
		require.ErrorIs(t, <-done, ErrStuck)
	})
}

// After a failure the store must accept an empty pack before any reading, even if the
// buffer was full in between.
func TestStorageIsTestedBeforeReadingsAreAccepted(t *testing.T) {
	store := &memStore{keep: true, full: true}
	store.settle = func() (bool, error) { return false, nil }
	store.put = func(_ context.Context, n int) error {
		switch n {
		case 1, 3, 4:
			return errors.New("broken")
		case 2:
			return broker.ErrFull
		}
		return nil
	}
	a := &answers{}
	collect(t, Options{Store: store}, func(c *Collector) {
		_ = c.Offer(message(a, 1, "lost"))
		pass(time.Second)
		require.Equal(t, telemetry.ReasonUnavailable, a.all()[1].r.Reason)
		require.Equal(t, telemetry.ReasonBufferFull, c.Refusing().Reason)
		pass(time.Hour) // full is not broken
		store.mu.Lock()
		store.full = false
		store.mu.Unlock()
		pass(10 * time.Second)
		require.Nil(t, c.Refusing())
		require.Equal(t, 1, store.count())
		_ = c.Offer(message(a, 2, "kept"))
		pass(time.Second)
		require.Equal(t, outcome{seq: 2}, a.all()[2])
	})
}

func TestLastWriteOfAStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{put: func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }}
		c := New(Options{Store: store, Epoch: 7, Log: discard(), Linger: time.Hour, StallAfter: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		_ = c.Offer(message(&answers{}, 1, "x"))
		synctest.Wait()
		start := time.Now()
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, lastPut, time.Since(start))
	})
}

// A message may arrive after the last pack and before the stop.
func TestStopStoresAPackThatWasNotYetDue(t *testing.T) {
	store, a := &memStore{}, &answers{}
	c := New(Options{Store: store, Epoch: 7, Log: discard()})
	require.Nil(t, c.Offer(message(a, 1, "just before")))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, c.finish(ended))
	require.Equal(t, outcome{seq: 1}, a.all()[1])
	require.Equal(t, telemetry.ReasonUnavailable, c.Offer(message(a, 2, "too late")).Reason)
	require.NotContains(t, a.all(), uint16(2))
}

func TestGatewayWaitsForAReadOnlyDisk(t *testing.T) {
	var readOnly atomic.Bool
	readOnly.Store(true)
	synctest.Test(t, func(t *testing.T) {
		store := &memStore{settle: func() (bool, error) { return false, nil }}
		store.put = func(context.Context, int) error { return errors.New("read-only") }
		c := New(Options{Store: store, Epoch: 7, Log: discard(), KeepWaiting: readOnly.Load})
		done := make(chan error, 1)
		go func() { done <- c.Run(t.Context()) }()
		_ = c.Offer(message(nil, 1, "x"))
		pass(time.Hour)
		require.Empty(t, done)
		readOnly.Store(false)
		require.ErrorIs(t, <-done, ErrStuck)
	})
}
