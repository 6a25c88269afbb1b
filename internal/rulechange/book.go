package rulechange

import (
	"slices"
)

// State is how far a change has come.
type State string

// States.
const (
	Proposed  State = "proposed"
	Approved  State = "approved"
	Withdrawn State = "withdrawn"
	Refused   State = "refused" // for Why
)

// Stale is why a change was refused: another one of the same rule was approved first.
const Stale = "stale"

// Change is a change with what became of it.
type Change struct {
	Proposal

	ID          string
	By          string
	At          int64 // ms since 1970
	State       State
	ApprovedBy  string
	ApprovedAt  int64
	WithdrawnBy string
	WithdrawnAt int64
	Note        string // of who decided
	Why         string // of a refused one
	Offset      int64  // of its proposal in the topic
}

// same reports whether two proposals want the same.
func (p *Proposal) same(o *Proposal) bool {
	return p.Rule == o.Rule && p.YAML == o.YAML && p.Remove == o.Remove && p.Reason == o.Reason
}

// Repeats reports whether r proposes c once more.
func (c *Change) Repeats(r *Record) bool {
	return r.Proposal != nil && SamePerson(c.By, r.By) && c.same(r.Proposal)
}

// Book is what the records of the topic add up to: a function of the newest record of each
// key, in the order of the topic. It is defined by those so that compaction, which leaves
// exactly them, can never change it; and because every record has a key of its own, nothing of
// the history is compacted away.
//
// A change is proposed once: a second proposal with its id counts as nothing. A decision
// counts only for a proposed change. An approval counts only from a second person; the other
// changes of the rule that were proposed by then are refused as stale, because what they were
// compared with is no longer in force. The zero value is not usable; it is not safe for
// concurrent use.
type Book struct {
	entries  []entry
	at       map[string]int64 // by key: offset of its newest record
	position int64

	folded
}

// entry is the newest record of a key.
type entry struct {
	key    string
	offset int64
	record *Record // nil: it cannot be read
}

// folded is the result of the entries.
type folded struct {
	changes  map[string]*Change
	order    []*Change // as proposed
	approved []*Change // as approved
	newest   map[string]string
}

// NewBook returns an empty book.
func NewBook() *Book {
	b := &Book{at: make(map[string]int64)}
	b.clear()
	return b
}

func (b *Book) clear() {
	b.folded = folded{changes: make(map[string]*Change), newest: make(map[string]string)}
}

// Apply adds the next record of the topic. A nil value deletes the record with that key. The
// error says why a record does not count; it has its place all the same.
func (b *Book) Apply(key string, value []byte, offset int64) error {
	var r *Record
	var err error
	if value != nil {
		r, err = Parse(key, value)
	}
	_, known := b.at[key]
	if known {
		b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return e.key == key })
	}
	delete(b.at, key)
	if value != nil {
		b.at[key] = offset
		b.entries = append(b.entries, entry{key, offset, r})
	}
	b.position = offset + 1
	if known {
		b.clear()
		for _, e := range b.entries {
			b.fold(e)
		}
	} else if r != nil {
		b.fold(b.entries[len(b.entries)-1])
	}
	return err
}

func (b *Book) fold(e entry) {
	r := e.record
	if r == nil {
		return
	}
	c := b.changes[r.Change]
	if r.Act == Propose {
		if c == nil {
			b.propose(r, e.offset)
		}
		return
	}
	if c == nil || c.State != Proposed {
		return
	}
	switch r.Act {
	case Withdraw:
		c.State, c.WithdrawnBy, c.WithdrawnAt, c.Note = Withdrawn, r.By, r.At, r.Note
	case Approve:
		b.approve(c, r)
	default:
	}
}

func (b *Book) propose(r *Record, offset int64) {
	c := &Change{Proposal: *r.Proposal, ID: r.Change, By: r.By, At: r.At, State: Proposed, Offset: offset}
	if c.After != b.newest[c.Rule] {
		c.State, c.Why = Refused, Stale
	}
	b.changes[c.ID] = c
	b.order = append(b.order, c)
}

func (b *Book) approve(c *Change, r *Record) {
	if SamePerson(c.By, r.By) {
		return
	}
	c.State, c.ApprovedBy, c.ApprovedAt, c.Note = Approved, r.By, r.At, r.Note
	b.newest[c.Rule] = c.ID
	b.approved = append(b.approved, c)
	for _, other := range b.order {
		if other.Rule == c.Rule && other.State == Proposed {
			other.State, other.Why = Refused, Stale
		}
	}
}

// Has reports whether the record with a key was read.
func (b *Book) Has(key string) bool {
	_, ok := b.at[key]
	return ok
}

// Position returns the offset of the next record.
func (b *Book) Position() int64 { return b.position }

// Change returns a change by its id.
func (b *Book) Change(id string) (Change, bool) {
	c, ok := b.changes[id]
	if !ok {
		return Change{}, false
	}
	return *c, true
}

// Newest returns the id of the approved change of a rule that counts, empty without one.
func (b *Book) Newest(rule string) string { return b.newest[rule] }

// Approved returns the approved changes in the order of their approvals.
func (b *Book) Approved() []Change { return values(b.approved) }

// Changes returns those that keep accepts, the newest first.
func (b *Book) Changes(keep func(*Change) bool) []Change {
	var out []Change
	for _, c := range slices.Backward(b.order) {
		if keep(c) {
			out = append(out, *c)
		}
	}
	return out
}

// Count returns how many changes keep accepts.
func (b *Book) Count(keep func(*Change) bool) (n int) {
	for _, c := range b.order {
		if keep(c) {
			n++
		}
	}
	return n
}

func values(list []*Change) []Change {
	out := make([]Change, len(list))
	for i, c := range list {
		out[i] = *c
	}
	return out
}
