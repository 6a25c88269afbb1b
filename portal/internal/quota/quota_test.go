package quota

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ann  = netip.MustParseAddr("192.0.2.1")
	bert = netip.MustParseAddr("192.0.2.2")
)

// pool is what portals share.
type pool struct {
	wait  time.Duration
	err   error
	asked []string
}

func (p *pool) Take(_ context.Context, key string, _, _ float64) (time.Duration, error) {
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
		require.Zero(t, l.Allow(t.Context(), ann))
	}
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann))
	require.Zero(t, l.Allow(t.Context(), bert))
	*now = now.Add(500 * time.Millisecond)
	require.Zero(t, l.Allow(t.Context(), ann))
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann))
	*now = now.Add(-time.Hour) // the clock is put back
	require.Equal(t, 500*time.Millisecond, l.Allow(t.Context(), ann))
	*now = now.Add(2 * time.Hour)
	for range 3 {
		require.Zero(t, l.Allow(t.Context(), ann))
	}
	require.NotZero(t, l.Allow(t.Context(), ann), "no more than the burst is saved up")
}

func TestNoLimit(t *testing.T) {
	for _, l := range []Options{{}, {Rate: 1, Burst: 1}} {
		limiter, _ := newLimiter(t, l)
		for range 10 {
			require.Zero(t, limiter.Allow(t.Context(), netip.Addr{}))
		}
	}
	_, err := New(Options{Name: "x", Registry: prometheus.NewRegistry(), Rate: 1})
	require.Error(t, err)
}

func TestSharedBucketCountsToo(t *testing.T) {
	p := &pool{}
	l, _ := newLimiter(t, Options{Rate: 1, Burst: 2, Shared: p})
	require.Zero(t, l.Allow(t.Context(), ann))
	p.wait = 7 * time.Second
	require.Equal(t, 7*time.Second, l.Allow(t.Context(), ann))
	require.Equal(t, time.Second, l.Allow(t.Context(), ann), "the bucket here is empty")
	require.Equal(t, []string{"commands:192.0.2.1", "commands:192.0.2.1"}, p.asked, "which need not be asked for elsewhere")
}

func TestOwnLimitHoldsWithoutTheShared(t *testing.T) {
	p := &pool{err: errors.New("away"), wait: time.Hour}
	l, _ := newLimiter(t, Options{Rate: 1, Burst: 2, Shared: p})
	require.Zero(t, l.Allow(t.Context(), ann))
	require.Zero(t, l.Allow(t.Context(), ann))
	require.Equal(t, time.Second, l.Allow(t.Context(), ann))
}

func TestClientsThatAreRememberedAreBounded(t *testing.T) {
	l, now := newLimiter(t, Options{Rate: 1, Burst: 2})
	flood := func() {
		for i := range mostBuckets + 10 {
			l.Allow(t.Context(), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
	}
	flood()
	require.LessOrEqual(t, len(l.buckets), mostBuckets)
	*now = now.Add(time.Minute)
	l.Allow(t.Context(), ann)
	l.Allow(t.Context(), ann)
	require.NotZero(t, l.Allow(t.Context(), ann))
	for i := range mostBuckets - len(l.buckets) + 1 {
		l.Allow(t.Context(), netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	require.NotZero(t, l.Allow(t.Context(), ann), "full buckets go first")
}
