package notify

import (
	"maps"
	"time"
)

// told settles what an output was told, or what it was given up on telling. An alarm
// that changed in the meantime waits on.
func (b *book) told(o int, items []item, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range items {
		in := b.live(it)
		if in == nil {
			b.carry(it.n, o)
			continue
		}
		t := &in.outputs[o]
		if t.told != nil && t.told.alert.Revision > it.n.alert.Revision {
			continue
		}
		t.told, t.toldAt, t.ours, t.listed = it.n, now, true, it.listed
		if t.waiting {
			t.first = max(t.first, it.n.offset+1)
		}
		if !t.needs(in.want) {
			b.settled(in, o)
		}
	}
}

// live returns an alarm of a message as the book knows it now: its partition may have
// been given back and assigned again while the message was under way.
func (b *book) live(it item) *incident {
	if p := b.parts[it.in.partition]; p != nil {
		return p.incidents[it.n.alert.AlertID]
	}
	return nil
}

// carry remembers what was told of a partition that was given back and not committed.
func (b *book) carry(n *notice, o int) {
	for _, m := range []map[string][]*notice{b.carried, b.leaving} {
		if m[n.alert.AlertID] == nil {
			m[n.alert.AlertID] = make([]*notice, b.outputs)
		}
		m[n.alert.AlertID][o] = n
	}
}

// position returns the offset up to which every output was told everything, and forgets
// what is over.
func (b *book) position(partition int32, now time.Time) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.parts[partition]
	if p == nil || !p.ready {
		return 0, false
	}
	return b.sweep(p, partition, now), true
}

func (b *book) sweep(p *part, partition int32, now time.Time) int64 {
	floor := b.floor(p, partition)
	maps.DeleteFunc(p.incidents, func(_ string, in *incident) bool {
		if in.want.firing || in.want.offset >= floor {
			return false
		}
		for o, t := range in.outputs {
			if t.waiting || t.ours && now.Sub(in.want.at) < b.keep[o] {
				return false
			}
		}
		return true
	})
	return floor
}

func (b *book) floor(p *part, partition int32) int64 {
	floor := p.next
	for o := range b.waiting {
		for in := range b.waiting[o] {
			if in.partition == partition {
				floor = min(floor, in.outputs[o].first)
			}
		}
	}
	return floor
}

// drop forgets a partition that was given back, except what was told of it and not
// committed: should it come back, that is not told again.
func (b *book) drop(partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.parts[partition]
	if p == nil {
		return
	}
	delete(b.parts, partition)
	floor := b.floor(p, partition)
	for _, in := range p.incidents {
		for o := range in.outputs {
			if t := &in.outputs[o]; t.ours && t.told != nil && t.told.offset >= floor {
				b.carry(t.told, o)
			}
			b.settled(in, o)
		}
	}
}

// turn begins a new assignment.
func (b *book) turn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carried, b.leaving = b.leaving, map[string][]*notice{}
}

// each calls do for every alarm of the partitions whose past is known. The book is
// locked meanwhile.
func (b *book) each(do func(*incident)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.parts {
		if !p.ready {
			continue
		}
		for _, in := range p.incidents {
			do(in)
		}
	}
}
