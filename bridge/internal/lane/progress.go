package lane

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"industrial-iot-monitor/bridge/internal/checkpoint"
)

// Progress tracks for each gateway of a bridge's lanes how far its packs are fetched and
// committed. It is safe for concurrent use.
type Progress struct {
	pullers atomic.Int64

	mu       sync.Mutex
	lanes    map[int32]struct{}
	gateways map[string]*advance
}

type advance struct {
	lane      int32
	committed checkpoint.Checkpoint
	fetched   checkpoint.Checkpoint // ahead of committed, or the same
	waiting   int                   // items fetched and not committed
	oldest    int64                 // receive time of the first of them, ms; 0 when there is none
}

// Position is the progress of one gateway.
type Position struct {
	Lane int32
	// Committed is the checkpoint in Kafka, Fetched the one after the last fetched item.
	Committed, Fetched checkpoint.Checkpoint
	// Oldest is the receive time (ms since 1970) of the oldest fetched and uncommitted pack,
	// 0 if there is none.
	Oldest int64
}

// NewProgress returns an empty Progress.
func NewProgress() *Progress {
	return &Progress{lanes: map[int32]struct{}{}, gateways: map[string]*advance{}}
}

// Position returns the progress of a gateway of an owned lane.
func (p *Progress) Position(gateway string) (Position, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.gateways[gateway]
	if !ok {
		return Position{}, false
	}
	return Position{Lane: a.lane, Committed: a.committed, Fetched: a.fetched, Oldest: a.oldest}, true
}

// reading returns how many gateways have a puller, whether it reaches them or not.
func (p *Progress) reading() int { return int(p.pullers.Load()) }

// Gateways returns the gateways of the owned lanes that have a checkpoint or were read,
// sorted.
func (p *Progress) Gateways() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.gateways))
}

// Lanes returns the lanes that this bridge runs, sorted.
func (p *Progress) Lanes() []int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.lanes))
}

// Owns reports whether this bridge runs a lane.
func (p *Progress) Owns(lane int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.lanes[lane]
	return ok
}

// Own records that this bridge runs a lane.
func (p *Progress) Own(lane int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lanes[lane] = struct{}{}
}

// Disown records that this bridge no longer runs a lane.
func (p *Progress) Disown(lane int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lanes, lane)
	maps.DeleteFunc(p.gateways, func(_ string, a *advance) bool { return a.lane == lane })
}

// Begin adds a gateway to a lane, committed up to c.
func (p *Progress) Begin(lane int32, c checkpoint.Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateways[c.Gateway] = &advance{lane: lane, committed: c, fetched: c}
}

// Fetched records an item that waits for its commit, and the checkpoint after it.
func (p *Progress) Fetched(next checkpoint.Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.gateways[next.Gateway]
	if a == nil {
		return
	}
	a.fetched = next
	if a.waiting == 0 {
		a.oldest = next.At
	}
	a.waiting++
}

// commit records the checkpoints of a committed transaction.
func (p *Progress) commit(updates []update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range updates {
		m := &updates[i]
		a := p.gateways[m.to.Gateway]
		if a == nil {
			continue
		}
		a.committed = m.to
		a.waiting -= m.items
		a.oldest = 0
		if a.waiting > 0 {
			a.oldest = m.to.At // the next one is a little younger
		}
	}
}
