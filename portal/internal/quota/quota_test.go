package quota

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ann, bert = "192.0.2.1", "192.0.2.2"

// pool is what portals share.
type pool struct {
	wait  time.Duration
	err   error
	asked []string
}

func (p *pool) Take(_ context.Context, key string, _, _, _ float64) (time.Duration, error) {
	p.asked = append(p.asked, key)
	return p.wait, p.err
}

func newLimiter(t *testing.T, o Options) (*Limiter, *time.Time) {
	t.Helper()
	now := time.UnixMilli(1_700_000_000_000)
	o.Name, o.Registry, o.Now = "commands", prometheus.NewRegistry(), func() time.Time { return now }
	l, err := New(o)
	require.NoError(t, err)
	return l, &now
}

func TestEachClientHasItsOwnLimit(t *testing.T) {
	l, now := newLimiter(t, Options{Rate: 2, Burst: 3})
	for range 3 {
		require.Zero(t, l.Allow(t.Context(), ann, 1))
	}
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann, 1))
	require.Zero(t, l.Allow(t.Context(), bert, 1))
	*now = now.Add(500 * time.Millisecond)
	require.Zero(t, l.Allow(t.Context(), ann, 1))
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann, 1))
	*now = now.Add(-time.Hour) // the clock is put back
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann, 1))
	*now = now.Add(2 * time.Hour)
	for range 3 {
		require.Zero(t, l.Allow(t.Context(), ann, 1))
	}
	require.NotZero(t, l.Allow(t.Context(), ann, 1), "no more than the burst is saved up")
}

func TestNoLimit(t *testing.T) {
	for _, l := range []Options{{}, {Rate: 1, Burst: 1}} {
		limiter, _ := newLimiter(t, l)
		for range 10 {
			require.Zero(t, limiter.Allow(t.Context(), "", 1))
		}
	}
	_, err := New(Options{Name: "x", Registry: prometheus.NewRegistry(), Rate: 1})
	require.Error(t, err)
}

func TestSharedBucketCountsToo(t *testing.T) {
	p := &pool{}
	l, _ := newLimiter(t, Options{Rate: 1, Burst: 2, Shared: p})
	require.Zero(t, l.Allow(t.Context(), ann, 1))
	p.wait = 7 * time.Second
	require.Equal(t, 7*time.Second, l.Allow(t.Context(), ann, 1))
	require.Equal(t, time.Second, l.Allow(t.Context(), ann, 1), "the bucket here is empty")
	require.Equal(t, []string{"commands:192.0.2.1", "commands:192.0.2.1"}, p.asked, "which need not be asked for elsewhere")
}

func TestOwnLimitHoldsWithoutTheShared(t *testing.T) {
	p := &pool{err: errors.New("away"), wait: time.Hour}
	l, _ := newLimiter(t, Options{Rate: 1, Burst: 2, Shared: p})
	require.Zero(t, l.Allow(t.Context(), ann, 1))
	require.Zero(t, l.Allow(t.Context(), ann, 1))
	require.Equal(t, time.Second, l.Allow(t.Context(), ann, 1))
}

func TestCostlyRequestTakesMoreTokens(t *testing.T) {
	l, now := newLimiter(t, Options{Rate: 2, Burst: 10})
	require.Zero(t, l.Allow(t.Context(), ann, 8))
	require.Equal(t, 3*time.Second, l.Allow(t.Context(), ann, 8), "until eight are there again")
	require.Zero(t, l.Allow(t.Context(), ann, 1), "a refused request takes none")
	*now = now.Add(5 * time.Second)
	require.Zero(t, l.Allow(t.Context(), ann, 50), "more than fit cost all that do: the client is let in at some time")
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann, 1))
}

// TestLongestSilentClientMakesRoom: a flood of addresses does not wipe out what another one has used up.
func TestLongestSilentClientMakesRoom(t *testing.T) {
	l, _ := newLimiter(t, Options{Rate: 1, Burst: 2})
	flood := func(n int) {
		for i := range n {
			l.Allow(t.Context(), fmt.Sprintf("flood %d", i), 1)
		}
	}
	l.Allow(t.Context(), bert, 2)
	l.Allow(t.Context(), ann, 2)
	flood(mostBuckets - 2)
	require.NotZero(t, l.Allow(t.Context(), ann, 1))
	flood(mostBuckets - 1)
	require.Len(t, l.buckets, mostBuckets)
	require.Equal(t, mostBuckets, l.recent.Len())
	require.NotZero(t, l.Allow(t.Context(), ann, 1), "it asked in between")
	require.Zero(t, l.Allow(t.Context(), bert, 1), "it was silent for longest, and is like new")
	require.Len(t, l.buckets, mostBuckets)
}
