package notify

import (
	"maps"
	"time"
)

// delivered records that items were sent to an output, or dropped. An alarm that changed
// meanwhile stays waiting.
func (b *outbox) delivered(o int, items []item, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range items {
		in := b.live(it)
		if in == nil {
			b.remember(it.n, o)
			continue
		}
		t := &in.outputs[o]
		if t.sent != nil && t.sent.alert.Revision > it.n.alert.Revision {
			continue
		}
		t.sent, t.sentAt, t.ours, t.listed = it.n, now, true, it.listed
		if t.waiting {
			t.first = max(t.first, it.n.offset+1)
		}
		if !t.needs(in.want) {
			b.settled(in, o)
		}
	}
}

// live returns the current state of an alarm in a message: its partition may have been revoked
// and assigned again while the message was in flight.
func (b *outbox) live(it item) *incident {
	if p := b.partitions[it.in.partition]; p != nil {
		return p.incidents[it.n.alert.AlertID]
	}
	return nil
}

// remember keeps what was sent for a revoked partition and not committed.
func (b *outbox) remember(n *notice, o int) {
	for _, m := range []map[string][]*notice{b.carried, b.leaving} {
		if m[n.alert.AlertID] == nil {
			m[n.alert.AlertID] = make([]*notice, b.outputs)
		}
		m[n.alert.AlertID][o] = n
	}
}

// position returns the offset up to which every output has received everything, and
// forgets incidents that are over.
func (b *outbox) position(partition int32, now time.Time) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitions[partition]
	if p == nil || !p.ready {
		return 0, false
	}
	return b.sweep(p, partition, now), true
}

func (b *outbox) sweep(p *partitionState, partition int32, now time.Time) int64 {
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

func (b *outbox) floor(p *partitionState, partition int32) int64 {
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

// drop forgets a revoked partition, except what was sent and not committed: if the
// partition comes back, that is not sent again.
func (b *outbox) drop(partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitions[partition]
	if p == nil {
		return
	}
	delete(b.partitions, partition)
	floor := b.floor(p, partition)
	for _, in := range p.incidents {
		for o := range in.outputs {
			if t := &in.outputs[o]; t.ours && t.sent != nil && t.sent.offset >= floor {
				b.remember(t.sent, o)
			}
			b.settled(in, o)
		}
	}
}

// nextAssignment starts a new assignment of partitions.
func (b *outbox) nextAssignment() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.carried, b.leaving = b.leaving, map[string][]*notice{}
}

// each calls do for every alarm of the partitions whose past has been read. The outbox
// is locked meanwhile.
func (b *outbox) each(do func(*incident)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.partitions {
		if !p.ready {
			continue
		}
		for _, in := range p.incidents {
			do(in)
		}
	}
}
