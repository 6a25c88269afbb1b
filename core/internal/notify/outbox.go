package notify

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// maxWaiting is how many ended alarms may wait for an output that accepts nothing; beyond
// that the oldest are dropped. Alarms that hold are not counted: there is at most one for
// each device and type.
const maxWaiting = 10_000

// outbox keeps the alarms of the assigned partitions and what was sent to each output.
// Only the newest state of an alarm is kept, so an outage of a receiver costs no more
// memory than there are alarms. It is safe for concurrent use and does no I/O.
type outbox struct {
	minSeverity int
	outputs     int
	keep        []time.Duration // by output: how long an ended alarm is sent again
	changed     []chan struct{} // by output: new work

	mu         sync.Mutex
	partitions map[int32]*partitionState
	carried    map[string][]*notice         // sent, not committed, by the previous assignment
	leaving    map[string][]*notice         // the same for partitions that this assignment gave up
	waiting    []map[*incident]struct{}     // by output
	overflow   func(output int, alarms int) // alarms were dropped
	limit      int                          // maxWaiting; less in tests
	full       []int                        // by output: number of waiting alarms at which the limit is checked
}

// partitionState holds the alarms of one partition.
type partitionState struct {
	incidents map[string]*incident
	ready     bool  // the past has been read
	first     bool  // no notification was ever sent
	resume    int64 // records before this offset are the past
	next      int64 // the offset after the last record
}

// incident is one alarm.
type incident struct {
	partition int32
	want      *notice // its newest state
	outputs   []delivery
}

// delivery is the state of one alarm at one output.
type delivery struct {
	sent    *notice // the last state sent, nil for none
	sentAt  time.Time
	ours    bool // this process sent it
	listed  bool // the last message listed this alarm instead of only counting it
	waiting bool
	since   time.Time // of waiting
	first   int64     // offset of the oldest record not yet sent
}

func newOutbox(minSeverity int, keep []time.Duration) *outbox {
	b := &outbox{
		minSeverity: minSeverity, outputs: len(keep), keep: keep, limit: maxWaiting,
		partitions: map[int32]*partitionState{}, carried: map[string][]*notice{}, leaving: map[string][]*notice{},
		overflow: func(int, int) {},
	}
	for range keep {
		b.changed = append(b.changed, make(chan struct{}, 1))
		b.waiting = append(b.waiting, map[*incident]struct{}{})
		b.full = append(b.full, b.limit)
	}
	return b
}

// open adds a partition. Records before resume are the past: their notifications have
// been sent, unless the topic is read for the first time ever.
func (b *outbox) open(partition int32, resume int64, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partitions[partition] = &partitionState{incidents: map[string]*incident{}, resume: resume, first: first}
}

// start ends the past of a partition. If no notification was ever sent, the alarms that
// hold now are news and the ended ones are forgotten.
func (b *outbox) start(partition int32, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitions[partition]
	p.ready = true
	if !p.first {
		p.next = max(p.next, p.resume)
	}
	for _, in := range p.incidents {
		for o := range in.outputs {
			b.judge(in, o, now)
		}
	}
	b.sweep(p, partition, now)
	b.wake()
}

// apply adds a record of a partition; one that was applied before is skipped.
func (b *outbox) apply(partition int32, a telemetry.Alert, offset int64, at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.partitions[partition]
	if p == nil || offset < p.next {
		return
	}
	p.next = offset + 1
	in := b.incident(p, partition, &a)
	in.want = newNotice(a, offset, at, b.minSeverity)
	for o := range in.outputs {
		t := &in.outputs[o]
		switch {
		case offset < p.resume && !p.first && !t.ours:
			t.sent, t.listed = in.want, true
		case p.ready:
			b.judge(in, o, now)
		}
	}
	if p.ready {
		b.wake()
	}
}

// incident returns the incident that a belongs to.
func (b *outbox) incident(p *partitionState, partition int32, a *telemetry.Alert) *incident {
	if in := p.incidents[a.AlertID]; in != nil {
		// The place is part of an alarm's labels, so it stays as it was at the raise.
		a.Location, a.Gateway = in.want.alert.Location, in.want.alert.Gateway
		return in
	}
	in := &incident{partition: partition, outputs: make([]delivery, b.outputs)}
	for o, sent := range b.carried[a.AlertID] {
		in.outputs[o].sent, in.outputs[o].ours = sent, sent != nil
	}
	p.incidents[a.AlertID] = in
	return in
}

// judge decides whether the newest state of an alarm is to be sent to an output.
func (b *outbox) judge(in *incident, o int, now time.Time) {
	t := &in.outputs[o]
	if !t.needs(in.want) {
		b.settled(in, o)
		return
	}
	if t.waiting {
		return
	}
	t.waiting, t.since, t.first = true, now, in.want.offset
	b.waiting[o][in] = struct{}{}
	if len(b.waiting[o]) > b.full[o] {
		b.shed(o)
		b.full[o] = max(b.limit, len(b.waiting[o])+b.limit/10)
	}
}

func (b *outbox) settled(in *incident, o int) {
	in.outputs[o].waiting = false
	delete(b.waiting[o], in)
	if len(b.waiting[o]) == 0 {
		b.full[o] = b.limit
	}
}

// needs reports whether want is news to the output.
func (t *delivery) needs(want *notice) bool {
	switch {
	case t.sent != nil && want.alert.Revision <= t.sent.alert.Revision:
		return false
	case want.firing:
		again := t.sent != nil && want.alert.OccurrenceCount > t.sent.alert.OccurrenceCount && !want.alert.Chattering
		return t.sent == nil || !t.sent.firing || t.sent.fingerprint != want.fingerprint || again
	case t.sent != nil && t.sent.firing:
		return true
	default:
		return t.waiting && want.cleared() // raised and cleared, and neither was sent
	}
}

// shed drops the oldest tenth of the ended alarms that wait for an output.
func (b *outbox) shed(o int) {
	var ended []*incident
	for in := range b.waiting[o] {
		if !in.want.firing {
			ended = append(ended, in)
		}
	}
	slices.SortFunc(ended, func(x, y *incident) int { return x.outputs[o].since.Compare(y.outputs[o].since) })
	if excess := len(ended) - b.limit*9/10; excess > 0 && len(ended) > b.limit {
		for _, in := range ended[:excess] {
			in.outputs[o].sent = in.want
			b.settled(in, o)
		}
		b.overflow(o, excess)
	}
}

func (b *outbox) wake() {
	for _, c := range b.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// stats returns how many alarms wait for an output and since when the oldest does.
func (b *outbox) stats(o int) (waiting int, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for in := range b.waiting[o] {
		if t := &in.outputs[o]; since.IsZero() || t.since.Before(since) {
			since = t.since
		}
	}
	return len(b.waiting[o]), since
}

// item is one alarm in a message.
type item struct {
	in     *incident
	n      *notice
	listed bool
}

// byImportance orders waiting before sent, firing before ended, and the worst first.
func byImportance(o int) func(x, y *incident) int {
	flag := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	return func(x, y *incident) int {
		return cmp.Or(
			cmp.Compare(flag(x.outputs[o].waiting), flag(y.outputs[o].waiting)),
			cmp.Compare(flag(x.want.firing), flag(y.want.firing)),
			cmp.Compare(rank(y.want.alert.Severity), rank(x.want.alert.Severity)),
			cmp.Compare(x.want.offset, y.want.offset),
			cmp.Compare(x.want.alert.AlertID, y.want.alert.AlertID),
		)
	}
}
