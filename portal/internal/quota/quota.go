// Package quota limits how much a client may ask. Each client has a bucket of tokens here, and one
// that all portals share when there is a Redis: both have to have the tokens that a request costs. The
// one here alone counts while Redis is away. Allow blocks as long as Shared.Take does, which is bounded.
package quota

import (
	"container/list"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Shared are buckets that several portals share.
type Shared interface {
	// Take takes cost tokens from the bucket with this key, which holds burst tokens at most and gets rate new ones a
	// second. It returns 0, or how long it takes until there are as many. An error means that the
	// bucket could not be asked; it comes within a few milliseconds.
	Take(ctx context.Context, key string, rate, burst, cost float64) (wait time.Duration, err error)
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

// Limiter limits the clients. It is safe for concurrent use.
type Limiter struct {
	o       Options
	metrics *metrics

	mu      sync.Mutex
	buckets map[string]*list.Element
	recent  *list.List // of *bucket, the one asked last in front
}

// bucket has tokens as of a moment.
type bucket struct {
	who    string
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
	return &Limiter{o: o, metrics: m, buckets: make(map[string]*list.Element), recent: list.New()}, nil
}

// Allow takes cost tokens of a client, or all that its bucket can hold if that is less. It returns 0, or how
// long the client has to wait until it has them. The client "" has no limit.
func (l *Limiter) Allow(ctx context.Context, who string, cost float64) (wait time.Duration) {
	if l.o.Rate <= 0 || who == "" {
		return 0
	}
	cost = min(cost, l.o.Burst)
	wait = l.take(who, cost)
	if wait == 0 && l.o.Shared != nil {
		// What one portal refuses all would: a client that asks too often costs Redis nothing.
		if shared, err := l.o.Shared.Take(ctx, l.o.Name+":"+who, l.o.Rate, l.o.Burst, cost); err == nil {
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

// take takes tokens from the bucket here.
func (l *Limiter) take(who string, cost float64) (wait time.Duration) {
	now := l.o.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(who, now)
	b.tokens = min(l.o.Burst, b.tokens+max(now.Sub(b.at).Seconds(), 0)*l.o.Rate)
	b.at = now
	if b.tokens >= cost {
		b.tokens -= cost
		return 0
	}
	return time.Duration(math.Ceil((cost - b.tokens) / l.o.Rate * float64(time.Second)))
}

// mostBuckets bounds the clients that are remembered.
const mostBuckets = 20_000

// bucket returns that of a client. A new one takes the place of the client that has been silent for longest.
func (l *Limiter) bucket(who string, now time.Time) *bucket {
	if e := l.buckets[who]; e != nil {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket) //nolint:errcheck,forcetypeassert // the list has no others
	}
	if l.recent.Len() >= mostBuckets {
		oldest := l.recent.Remove(l.recent.Back()).(*bucket) //nolint:errcheck,forcetypeassert // likewise
		delete(l.buckets, oldest.who)
	}
	b := &bucket{who: who, tokens: l.o.Burst, at: now}
	l.buckets[who] = l.recent.PushFront(b)
	return b
}
