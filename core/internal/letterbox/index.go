package letterbox

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/wire"
)

// entry is a dead letter in the index.
type entry struct {
	offset, time int64
	reason       uint16 // index of index.reasons
	fate         fate
	replayed     bool
}

// part is a partition of the topic.
type part struct {
	letters []entry // by offset
	next    int64   // offset to read next
	end     int64   // of the partition when it was read last
}

// index is what is known of the topic.
type index struct {
	parts   map[int32]*part
	reasons []string
	newest  map[string]wire.DeadLetterSample // by reason
	replays map[string]wire.DeadLetterReplay // by id
	check   checker
}

// read takes over what is new in the topic.
func (x *index) read(ctx context.Context, log *kafka.Log, id string) error {
	partitions, err := log.Partitions()
	if err != nil {
		return err
	}
	if x.parts == nil {
		*x = index{parts: make(map[int32]*part), newest: make(map[string]wire.DeadLetterSample), replays: make(map[string]wire.DeadLetterReplay)}
	}
	var mu sync.Mutex // of what partitions share
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range partitions {
		p := x.parts[n]
		if p == nil {
			p = &part{}
			x.parts[n] = p
		}
		g.Go(func() error {
			return p.fetch(ctx, log, n, maxIndexed/int64(len(partitions)), id, func(m *sarama.ConsumerMessage) {
				mu.Lock()
				defer mu.Unlock()
				x.take(p, m)
			})
		})
	}
	return g.Wait()
}

// fetch reads on from where the last call ended, and drops what the topic no longer has. Without
// an id it ends at the end of the partition, else at the beginning of that replay.
func (p *part) fetch(ctx context.Context, log *kafka.Log, n int32, most int64, id string, take func(*sarama.ConsumerMessage)) error {
	oldest, end, err := log.Bounds(n)
	if err != nil {
		return err
	}
	first := max(oldest, end-most)
	gone, _ := slices.BinarySearchFunc(p.letters, first, func(e entry, at int64) int { return cmp.Compare(e.offset, at) })
	p.letters = slices.Delete(p.letters, 0, gone)
	p.next = max(p.next, first)
	if id == "" && (end == p.end || p.next >= end) {
		return nil
	}
	err = readLog(ctx, log, n, p.next, end, id != "", func(m *sarama.ConsumerMessage) bool {
		p.next = m.Offset + 1
		take(m)
		return id == "" || header(m, wire.HeaderReplay) != id || !begins(m)
	})
	if end-p.next <= maxMarkers { // else an open transaction hides some, or they did not come in time
		p.end = end
	}
	return err
}

func begins(m *sarama.ConsumerMessage) bool {
	var r wire.DeadLetterReplay
	return json.Unmarshal(m.Value, &r) == nil && r.Begun
}

func header(m *sarama.ConsumerMessage, key string) string {
	for _, h := range m.Headers {
		if string(h.Key) == key {
			return string(h.Value)
		}
	}
	return ""
}

// take adds a record of a partition.
func (x *index) take(p *part, m *sarama.ConsumerMessage) {
	if header(m, wire.HeaderReplay) != "" {
		x.mark(p, m.Value)
		return
	}
	f, again := x.check.judge(m)
	reason := header(m, wire.HeaderReason)
	e := entry{offset: m.Offset, time: m.Timestamp.UnixMilli(), reason: x.reason(reason), fate: f}
	p.letters = append(p.letters, e)
	if e.time >= x.newest[x.reasons[e.reason]].Time {
		x.newest[x.reasons[e.reason]] = sample(m, again)
	}
}

// maxReasons bounds the reasons that are told apart: anyone with access to the topic writes them.
const maxReasons = 64

// other is the reason of those beyond maxReasons.
const other = "other"

func (x *index) reason(name string) uint16 {
	if name == "" || len(name) > maxReason {
		name = other
	}
	i := slices.Index(x.reasons, name)
	if i < 0 && len(x.reasons) >= maxReasons {
		name = other
		i = slices.Index(x.reasons, name)
	}
	if i < 0 {
		x.reasons = append(x.reasons, name)
		i = len(x.reasons) - 1
	}
	return uint16(i)
}

// mark takes over the record of a replay.
func (x *index) mark(p *part, value []byte) {
	var r wire.DeadLetterReplay
	if json.Unmarshal(value, &r) != nil || r.Begun || r.ID == "" {
		return
	}
	for _, offset := range r.Offsets {
		if i, found := slices.BinarySearchFunc(p.letters, offset, func(e entry, at int64) int { return cmp.Compare(e.offset, at) }); found {
			p.letters[i].replayed = true
		}
	}
	r.Offsets, r.Count = nil, r.Count+x.replays[r.ID].Count
	x.replays[r.ID] = r
	if len(x.replays) > 2*maxReplays {
		for _, old := range x.listReplays()[maxReplays:] {
			delete(x.replays, old.ID)
		}
	}
}

func (x *index) listReplays() []wire.DeadLetterReplay {
	out := make([]wire.DeadLetterReplay, 0, len(x.replays))
	for _, r := range x.replays {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b wire.DeadLetterReplay) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// answer counts the letters by reason, the commonest first.
func (x *index) answer() *wire.DeadLettersAnswer {
	by := make([]wire.DeadLetterReason, len(x.reasons))
	out := &wire.DeadLettersAnswer{Reasons: []wire.DeadLetterReason{}}
	for _, p := range x.parts {
		for _, e := range p.letters {
			count(&by[e.reason], e)
		}
	}
	for i, r := range by {
		if r.Count == 0 {
			continue
		}
		r.Reason, r.Sample = x.reasons[i], x.newest[x.reasons[i]]
		if out.Since == 0 || r.Oldest < out.Since {
			out.Since = r.Oldest
		}
		out.Reasons = append(out.Reasons, r)
	}
	slices.SortFunc(out.Reasons, func(a, b wire.DeadLetterReason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	out.Replays = x.listReplays()
	out.Replays = out.Replays[:min(len(out.Replays), maxReplays)]
	return out
}

func count(r *wire.DeadLetterReason, e entry) {
	if r.Blocked == nil {
		r.Blocked = map[string]int{}
	}
	r.Count++
	switch {
	case e.replayed:
		r.Replayed++
	case e.fate == ready:
		r.Ready++
	default:
		r.Blocked[e.fate.String()]++
	}
	r.Newest = max(r.Newest, e.time)
	if r.Oldest == 0 || e.time < r.Oldest {
		r.Oldest = e.time
	}
}
