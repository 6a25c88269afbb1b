package notify

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"industrial-iot-monitor/internal/telemetry"
)

// maxWaiting is how many ended alarms wait for an output that does not take them; of
// more than that the oldest are given up. Alarms that hold are not counted: there is at
// most one for each device and type.
const maxWaiting = 10_000

// book knows the alarms of the assigned partitions and what each output was told. Only
// the newest state of an alarm is kept, so an outage of a receiver costs no more memory
// than there are alarms. It is safe for concurrent use and does no I/O.
type book struct {
	minSeverity int
	outputs     int
	keep        []time.Duration // by output: how long an ended alarm is told again
	changed     []chan struct{} // by output: something new waits

	mu       sync.Mutex
	parts    map[int32]*part
	carried  map[string][]*notice         // told, not committed, by the assignment before
	leaving  map[string][]*notice         // the same of this one, as far as it was given back
	waiting  []map[*incident]struct{}     // by output
	overflow func(output int, alarms int) // somebody was not told
	limit    int                          // of ended alarms that wait
	full     []int                        // by output: so many wait that the limit is looked at
}

// part is what the book knows of one partition.
type part struct {
	incidents map[string]*incident
	ready     bool  // the past is known
	first     bool  // nobody was ever told anything
	resume    int64 // records before this offset are the past
	next      int64 // the offset after the last record
}

// incident is one alarm.
type incident struct {
	partition int32
	want      *notice // its newest state
	outputs   []telling
}

// telling is what one output knows of an alarm.
type telling struct {
	told    *notice // the last state it was told, nil for none
	toldAt  time.Time
	ours    bool // it was this process that told it
	listed  bool // its last message named this alarm, and did not only count it
	waiting bool
	since   time.Time // of waiting
	first   int64     // the oldest record that it was not told
}

func newBook(minSeverity int, keep []time.Duration) *book {
	b := &book{
		minSeverity: minSeverity, outputs: len(keep), keep: keep, limit: maxWaiting,
		parts: map[int32]*part{}, carried: map[string][]*notice{}, leaving: map[string][]*notice{},
		overflow: func(int, int) {},
	}
	for range keep {
		b.changed = append(b.changed, make(chan struct{}, 1))
		b.waiting = append(b.waiting, map[*incident]struct{}{})
		b.full = append(b.full, b.limit)
	}
	return b
}

// open begins a partition. Records before resume are the past. What they tell was told
// by somebody, unless this is the first time that anybody reads the topic.
func (b *book) open(partition int32, resume int64, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts[partition] = &part{incidents: map[string]*incident{}, resume: resume, first: first}
}

// begin says that the past of a partition is known. Where nobody was ever told anything
// the alarms that hold now are news, and the ended ones are forgotten.
func (b *book) begin(partition int32, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.parts[partition]
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

// take brings in a record of a partition; those that it had already are left out.
func (b *book) take(partition int32, a telemetry.Alert, offset int64, at, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.parts[partition]
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
			t.told, t.listed = in.want, true
		case p.ready:
			b.judge(in, o, now)
		}
	}
	if p.ready {
		b.wake()
	}
}

// incident returns what a is the newest state of.
func (b *book) incident(p *part, partition int32, a *telemetry.Alert) *incident {
	if in := p.incidents[a.AlertID]; in != nil {
		// Where it is identifies an alarm, so it stays what it was when it was raised.
		a.Location, a.Gateway = in.want.alert.Location, in.want.alert.Gateway
		return in
	}
	in := &incident{partition: partition, outputs: make([]telling, b.outputs)}
	for o, told := range b.carried[a.AlertID] {
		in.outputs[o].told, in.outputs[o].ours = told, told != nil
	}
	p.incidents[a.AlertID] = in
	return in
}

// judge decides whether an output is to be told the newest state of an alarm.
func (b *book) judge(in *incident, o int, now time.Time) {
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

func (b *book) settled(in *incident, o int) {
	in.outputs[o].waiting = false
	delete(b.waiting[o], in)
	if len(b.waiting[o]) == 0 {
		b.full[o] = b.limit
	}
}

// needs says whether want is news to the output.
func (t *telling) needs(want *notice) bool {
	switch {
	case t.told != nil && want.alert.Revision <= t.told.alert.Revision:
		return false
	case want.firing:
		again := t.told != nil && want.alert.OccurrenceCount > t.told.alert.OccurrenceCount && !want.alert.Chattering
		return t.told == nil || !t.told.firing || t.told.fingerprint != want.fingerprint || again
	case t.told != nil && t.told.firing:
		return true
	default:
		return t.waiting && want.cleared() // raised and cleared, and it heard of neither
	}
}

// shed gives up the oldest tenth of the ended alarms that wait for an output.
func (b *book) shed(o int) {
	var ended []*incident
	for in := range b.waiting[o] {
		if !in.want.firing {
			ended = append(ended, in)
		}
	}
	slices.SortFunc(ended, func(x, y *incident) int { return x.outputs[o].since.Compare(y.outputs[o].since) })
	if excess := len(ended) - b.limit*9/10; excess > 0 && len(ended) > b.limit {
		for _, in := range ended[:excess] {
			in.outputs[o].told = in.want
			b.settled(in, o)
		}
		b.overflow(o, excess)
	}
}

func (b *book) wake() {
	for _, c := range b.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// figures returns how many alarms wait for an output and since when the oldest does.
func (b *book) figures(o int) (waiting int, since time.Time) {
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

// byImportance orders what is news before what is not, firing before ended, and the
// worst first.
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
