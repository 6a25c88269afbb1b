package processor

import (
	"context"
	"sync"
	"sync/atomic"
)

// maxPending is how many results may wait for a transaction before the task waits.
const maxPending = 20_000

// pending holds the results of a task until the committer consumes them. The task adds,
// the committer pops.
type pending struct {
	wake func() // makes the committer hurry

	mu    sync.Mutex
	batch *batch // nil when nothing waits

	popped chan struct{} // room for more

	// For readiness: since when (ms) something waits, or is in the open transaction; 0:
	// nothing.
	waiting, inFlight atomic.Int64
}

func newPending(wake func()) *pending { return &pending{wake: wake, popped: make(chan struct{}, 1)} }

// add makes b part of the next transaction and returns an empty batch for what follows.
func (p *pending) add(b *batch, now int64) *batch {
	if b.empty() {
		return b
	}
	urgent := len(b.alerts)+len(b.audits) > 0
	p.mu.Lock()
	if p.batch == nil {
		p.batch, b = b, newBatch()
		p.waiting.Store(now)
	} else {
		p.batch.absorb(b)
		b.reset()
	}
	p.mu.Unlock()
	if urgent {
		p.wake()
	}
	return b
}

// pop removes and returns what waits, nil if nothing does.
func (p *pending) pop() *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.batch
	if b == nil {
		return nil
	}
	p.batch = nil
	p.inFlight.Store(p.waiting.Swap(0))
	select {
	case p.popped <- struct{}{}:
	default:
	}
	return b
}

// committed records that the batch popped last is committed.
func (p *pending) committed() { p.inFlight.Store(0) }

// waitForRoom blocks while too much waits. It returns false when the session is over.
func (p *pending) waitForRoom(ctx context.Context, failed <-chan struct{}) bool {
	for p.full() {
		p.wake()
		select {
		case <-p.popped:
		case <-ctx.Done():
			return false
		case <-failed:
			return false
		}
	}
	return true
}

func (p *pending) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.batch != nil && p.batch.size() > maxPending
}
