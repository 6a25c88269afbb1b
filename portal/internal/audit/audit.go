// Package audit remembers what was done to alarms, and by whom: the newest entries of the
// alarm-audit topic, which package feed fills in. It answers questions about them and
// tells those who wait for a command what became of it. It is not the audit trail itself:
// that is the topic, and what is forgotten here is still there. It does no I/O; nothing in it
// blocks but its own lock.
package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"industrial-iot-monitor/internal/telemetry"
)

// Entry is an entry with its place in the topic.
type Entry struct {
	telemetry.AuditEntry

	RecordedAt int64 `json:"recorded_at"` // ms since 1970, when the record was written

	partition int32
	offset    int64
}

var (
	errText   = errors.New("not valid UTF-8")
	errDevice = errors.New("device_id is missing")
)

// Parse reads a record of the alarm-audit topic.
func Parse(raw []byte, partition int32, offset, recordedAt int64) (*Entry, error) {
	e := &Entry{RecordedAt: recordedAt, partition: partition, offset: offset}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("reading an audit entry: %w", errText)
	}
	if err := json.Unmarshal(raw, &e.AuditEntry); err != nil {
		return nil, fmt.Errorf("reading an audit entry: %w", err)
	}
	if e.DeviceID == "" {
		return nil, fmt.Errorf("reading an audit entry: %w", errDevice)
	}
	return e, nil
}

// Book holds the newest entries. Its methods may be called concurrently.
type Book struct {
	max int

	mu        sync.Mutex
	entries   []*Entry // in order of recording when sorted
	sorted    bool
	forgotten int64             // when the newest of the forgotten entries was recorded
	outcomes  map[string]*Entry // of commands, by command id
	waiting   map[string][]chan *Entry
	total     int64
}

// NewBook returns a book of at most limit entries, which is 1 or more.
func NewBook(limit int) *Book {
	return &Book{max: limit, sorted: true, outcomes: make(map[string]*Entry), waiting: make(map[string][]chan *Entry)}
}

// Add files an entry and tells those who wait for its command.
func (b *Book) Add(e *Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total++
	if n := len(b.entries); n > 0 && compare(b.entries[n-1], e) > 0 {
		b.sorted = false
	}
	b.entries = append(b.entries, e)
	if e.CommandID != "" && e.Outcome != "" && b.outcomes[e.CommandID] == nil {
		b.outcomes[e.CommandID] = e // what is said of a repetition does not change what became of it
	}
	if e.CommandID != "" && e.Outcome != "" {
		for _, ch := range b.waiting[e.CommandID] {
			ch <- b.outcomes[e.CommandID] // it has room for one
		}
		delete(b.waiting, e.CommandID)
	}
	if len(b.entries) > b.max+b.max/4 {
		b.trim()
	}
}

// Forget removes the entries of a partition that is being read again from its start.
func (b *Book) Forget(partition int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(func(e *Entry) bool { return e.partition == partition })
}

// trim forgets the oldest entries beyond the bound. It is done for a quarter of the book
// at a time, so that it costs little an entry.
func (b *Book) trim() {
	b.order()
	n := len(b.entries) - b.max
	if n <= 0 {
		return
	}
	oldest := b.entries[n]
	b.forgotten = b.entries[n-1].RecordedAt
	b.drop(func(e *Entry) bool { return compare(e, oldest) < 0 })
}

func (b *Book) drop(gone func(*Entry) bool) {
	b.entries = slices.DeleteFunc(b.entries, func(e *Entry) bool {
		if !gone(e) {
			return false
		}
		if b.outcomes[e.CommandID] == e {
			delete(b.outcomes, e.CommandID)
		}
		return true
	})
}

func (b *Book) order() {
	if !b.sorted {
		slices.SortFunc(b.entries, compare)
		b.sorted = true
	}
}

func compare(a, b *Entry) int {
	return cmp.Or(cmp.Compare(a.RecordedAt, b.RecordedAt), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// Find returns the entries that keep says yes to, in the order of recording, of those the
// newest limit of the book at most.
func (b *Book) Find(keep func(*Entry) bool) []*Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trim()
	var out []*Entry
	for _, e := range b.entries {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

// Since returns the time, in ms, after which nothing that was recorded has been forgotten: 0 when
// nothing has been forgotten at all.
func (b *Book) Since() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trim()
	return b.forgotten
}

// Skipped says that records up to the time at, in ms, were never read.
func (b *Book) Skipped(at int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgotten = max(b.forgotten, at)
}

// Outcome returns what became of a command, or nil while it is not known.
func (b *Book) Outcome(commandID string) *Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outcomes[commandID]
}

// Await returns a channel on which what becomes of a command is sent once, at once when it is
// known. stop is called when nobody waits any more.
func (b *Book) Await(commandID string) (outcome <-chan *Entry, stop func()) {
	ch := make(chan *Entry, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.outcomes[commandID]; e != nil {
		ch <- e
		return ch, func() {}
	}
	b.waiting[commandID] = append(b.waiting[commandID], ch)
	return ch, func() { b.leave(commandID, ch) }
}

func (b *Book) leave(commandID string, ch chan *Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(b.waiting[commandID], func(c chan *Entry) bool { return c == ch })
	if len(rest) == 0 {
		delete(b.waiting, commandID)
		return
	}
	b.waiting[commandID] = rest
}

// Figures of a book for metrics.
type Figures struct {
	Kept, Limit, Waiting int
	Total                int64
}

// Figures returns how full the book is.
func (b *Book) Figures() Figures {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Figures{Kept: min(len(b.entries), b.max), Limit: b.max, Waiting: len(b.waiting), Total: b.total}
}
