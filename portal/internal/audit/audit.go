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

// Trail holds the newest entries. Its methods may be called concurrently.
type Trail struct {
	max int

	mu        sync.Mutex
	entries   []*Entry // in order of recording when sorted
	sorted    bool
	forgotten int64             // when the newest of the forgotten entries was recorded
	outcomes  map[string]*Entry // of commands, by command id
	waiting   map[string][]chan *Entry
	total     int64
}

// NewTrail returns a book of at most limit entries, which is 1 or more.
func NewTrail(limit int) *Trail {
	return &Trail{max: limit, sorted: true, outcomes: make(map[string]*Entry), waiting: make(map[string][]chan *Entry)}
}

// Add files an entry and tells those who wait for its command.
func (t *Trail) Add(e *Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	if n := len(t.entries); n > 0 && compare(t.entries[n-1], e) > 0 {
		t.sorted = false
	}
	t.entries = append(t.entries, e)
	if e.CommandID != "" && e.Outcome != "" && t.outcomes[e.CommandID] == nil {
		t.outcomes[e.CommandID] = e // what is said of a repetition does not change what became of it
	}
	if e.CommandID != "" && e.Outcome != "" {
		for _, ch := range t.waiting[e.CommandID] {
			ch <- t.outcomes[e.CommandID] // it has room for one
		}
		delete(t.waiting, e.CommandID)
	}
	if len(t.entries) > t.max+t.max/4 {
		t.trim()
	}
}

// Forget removes the entries of a partition that is being read again from its start.
func (t *Trail) Forget(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(func(e *Entry) bool { return e.partition == partition })
}

// trim forgets the oldest entries beyond the bound. It is done for a quarter of the book
// at a time, so that it costs little an entry.
func (t *Trail) trim() {
	t.order()
	n := len(t.entries) - t.max
	if n <= 0 {
		return
	}
	oldest := t.entries[n]
	t.forgotten = t.entries[n-1].RecordedAt
	t.drop(func(e *Entry) bool { return compare(e, oldest) < 0 })
}

func (t *Trail) drop(gone func(*Entry) bool) {
	t.entries = slices.DeleteFunc(t.entries, func(e *Entry) bool {
		if !gone(e) {
			return false
		}
		if t.outcomes[e.CommandID] == e {
			delete(t.outcomes, e.CommandID)
		}
		return true
	})
}

func (t *Trail) order() {
	if !t.sorted {
		slices.SortFunc(t.entries, compare)
		t.sorted = true
	}
}

func compare(a, b *Entry) int {
	return cmp.Or(cmp.Compare(a.RecordedAt, b.RecordedAt), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// Find returns the entries that keep says yes to, in the order of recording, of those the
// newest limit of the book at most.
func (t *Trail) Find(keep func(*Entry) bool) []*Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim()
	var out []*Entry
	for _, e := range t.entries {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

// Since returns the time, in ms, after which nothing that was recorded has been forgotten: 0 when
// nothing has been forgotten at all.
func (t *Trail) Since() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim()
	return t.forgotten
}

// Skipped says that records up to the time at, in ms, were never read.
func (t *Trail) Skipped(at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgotten = max(t.forgotten, at)
}

// Outcome returns what became of a command, or nil while it is not known.
func (t *Trail) Outcome(commandID string) *Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcomes[commandID]
}

// Await returns a channel on which what becomes of a command is sent once, at once when it is
// known. stop is called when nobody waits any more.
func (t *Trail) Await(commandID string) (outcome <-chan *Entry, stop func()) {
	ch := make(chan *Entry, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.outcomes[commandID]; e != nil {
		ch <- e
		return ch, func() {}
	}
	t.waiting[commandID] = append(t.waiting[commandID], ch)
	return ch, func() { t.leave(commandID, ch) }
}

func (t *Trail) leave(commandID string, ch chan *Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := slices.DeleteFunc(t.waiting[commandID], func(c chan *Entry) bool { return c == ch })
	if len(rest) == 0 {
		delete(t.waiting, commandID)
		return
	}
	t.waiting[commandID] = rest
}

// Figures of a book for metrics.
type Figures struct {
	Kept, Limit, Waiting int
	Total                int64
}

// Figures returns how full the book is.
func (t *Trail) Figures() Figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Figures{Kept: min(len(t.entries), t.max), Limit: t.max, Waiting: len(t.waiting), Total: t.total}
}
