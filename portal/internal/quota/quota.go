// Package quota limits how often a client may ask. Each client has a bucket of tokens here, and one
// that all portals share when there is a Redis: both have to have a token. The one here alone counts
// while Redis is away. Allow blocks as long as Shared.Take does, which is bounded.
package quota

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Shared are buckets that several portals share.
type Shared interface {
	// Take takes a token from the bucket with this key, which holds burst tokens at most and gets rate new ones a
	// second. It returns 0, or how long it takes until there is a token. An error means that the
	// bucket could not be asked; it comes within a few milliseconds.
	Take(ctx context.Context, key string, rate, burst float64) (wait time.Duration, err error)
}

// Options of a Limiter. Name and Registry are required.
type Options struct {
	Name     string  // in keys and metrics
	Rate     float64 // of tokens a second; 0: there is no limit
	Burst    float64 // tokens that a client can save up
	Shared   Shared  // nil: there is none
	Registry prometheus.Registerer
	Now      func() time.Time // nil: time.Now
}

// Limiter limits the clients, each by its address. It is safe for concurrent use.
type Limiter struct {
	o       Options
	metrics *metrics

	mu      sync.Mutex
	buckets map[netip.Addr]*bucket
}

// bucket has tokens as of a moment.
type bucket struct {
	tokens float64
	at     time.Time
}

var errOptions = errors.New("quota: Name and Registry are required, Burst must be 1 or more")

// New returns a limiter.
func New(o Options) (*Limiter, error) {
	if o.Name == "" || o.Registry == nil || (o.Rate > 0 && o.Burst < 1) {
		return nil, errOptions
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m, err := newMetrics(o.Registry, o.Name)
	if err != nil {
		return nil, err
	}
	return &Limiter{o: o, metrics: m, buckets: make(map[netip.Addr]*bucket)}, nil
}

// Allow takes a token of a client. It returns 0, or how long the client has to wait for the next one. An
// invalid address has no limit.
func (l *Limiter) Allow(ctx context.Context, who netip.Addr) (wait time.Duration) {
	if l.o.Rate <= 0 || !who.IsValid() {
		return 0
	}
	wait = l.take(who)
	if wait == 0 && l.o.Shared != nil {
		// What one portal refuses all would: a client that asks too often costs Redis nothing.
		if shared, err := l.o.Shared.Take(ctx, l.o.Name+":"+who.String(), l.o.Rate, l.o.Burst); err == nil {
			wait = shared
		}
	}
	if wait > 0 {
		l.metrics.refused.Inc()
		return wait
	}
	l.metrics.allowed.Inc()
	return 0
}

// take takes a token from the bucket here.
func (l *Limiter) take(who netip.Addr) (wait time.Duration) {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[who]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{tokens: l.o.Burst, at: now}
		l.buckets[who] = b
	}
	b.tokens = l.level(b, now)
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration(math.Ceil((1 - b.tokens) / l.o.Rate * float64(time.Second)))
}

// level is how many tokens a bucket has now.
func (l *Limiter) level(b *bucket, now time.Time) float64 {
	return min(l.o.Burst, b.tokens+max(now.Sub(b.at).Seconds(), 0)*l.o.Rate)
}

// mostBuckets bounds the clients that are remembered.
const mostBuckets = 20_000

// makeRoom drops full buckets, which are like new ones, when there are too many; if none is full, all.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.buckets) < mostBuckets {
		return
	}
	for who, b := range l.buckets {
		if l.level(b, now) >= l.o.Burst {
			delete(l.buckets, who)
		}
	}
	if len(l.buckets) >= mostBuckets {
		clear(l.buckets)
	}
}
