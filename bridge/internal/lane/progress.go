package lane

import (
	"sync"
	"time"

	"industrial-iot-monitor/bridge/internal/checkpoint"
)

// Progress is what the lanes of one bridge tell about themselves: for each gateway
// they read, how far it is committed. It is safe for concurrent use.
type Progress struct {
	mu       sync.Mutex
	lanes    map[int32]struct{}
	gateways map[string]*advance
	moved    time.Time
}

type advance struct {
	lane    int32
	seq     uint64
	waiting int   // items fetched and not committed
	oldest  int64 // receive time of the first of them, ms; 0 when there is none
}

// Position is how far one gateway is committed.
type Position struct {
	Seq uint64
	// Oldest is the receive time (ms since 1970) of the oldest pack that was fetched and
	// is not committed yet, 0 when there is none.
	Oldest int64
}

// NewProgress returns an empty Progress.
func NewProgress() *Progress {
	return &Progress{lanes: map[int32]struct{}{}, gateways: map[string]*advance{}, moved: time.Now()}
}

// Position returns how far a gateway of an owned lane is committed.
func (p *Progress) Position(gateway string) (Position, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.gateways[gateway]
	if !ok {
		return Position{}, false
	}
	return Position{Seq: a.seq, Oldest: a.oldest}, true
}

// Owns reports whether a lane is running here.
func (p *Progress) Owns(lane int32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.lanes[lane]
	return ok
}

// Moved returns when a checkpoint was last committed here.
func (p *Progress) Moved() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// Own records that a lane is worked here.
func (p *Progress) Own(lane int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lanes[lane] = struct{}{}
}

// Disown records that a lane is not worked here any more.
func (p *Progress) Disown(lane int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lanes, lane)
	for gateway, a := range p.gateways {
		if a.lane == lane {
			delete(p.gateways, gateway)
		}
	}
}

// begin records that a lane reads a gateway, committed up to c.
func (p *Progress) begin(lane int32, c checkpoint.Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateways[c.Gateway] = &advance{lane: lane, seq: c.Seq}
}

// fetched records that an item received by the gateway at that time (ms) waits for its
// commit.
func (p *Progress) fetched(gateway string, at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.gateways[gateway]
	if a == nil {
		return
	}
	if a.waiting == 0 {
		a.oldest = at
	}
	a.waiting++
}

// commit records what a transaction brought.
func (p *Progress) commit(moves []move) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved = time.Now()
	for _, m := range moves {
		a := p.gateways[m.to.Gateway]
		if a == nil {
			continue
		}
		a.seq = m.to.Seq
		a.waiting -= m.items
		a.oldest = 0
		if a.waiting > 0 {
			a.oldest = m.to.At // the next one is a little younger
		}
	}
}
