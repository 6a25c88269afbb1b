// Package audit keeps the newest entries of the audit trail, the alarm-audit topic, in memory:
// what was done to alarms and by whom. Package feed adds them. Callers can search them and
// wait for the outcome of a command. An entry that is dropped here is still in the topic. The
// package does no I/O and blocks only on its own lock.
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

// Entry is an audit entry with its position in the topic.
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

// Trail holds the newest entries. It is safe for concurrent use.
type Trail struct {
	max int

	mu        sync.Mutex
	entries   []*Entry // ordered as recorded if sorted
	sorted    bool
	forgotten int64             // when the newest dropped entry was recorded
	outcomes  map[string]*Entry // of commands, by command id
	waiting   map[string][]chan *Entry
	total     int64
}

// NewTrail returns a trail of at most limit entries; limit is at least 1.
func NewTrail(limit int) *Trail {
	return &Trail{max: limit, sorted: true, outcomes: make(map[string]*Entry), waiting: make(map[string][]chan *Entry)}
}

// Add adds an entry and delivers it to the callers that await its command.
func (t *Trail) Add(e *Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	if n := len(t.entries); n > 0 && compare(t.entries[n-1], e) > 0 {
		t.sorted = false
	}
	t.entries = append(t.entries, e)
	if e.CommandID != "" && e.Outcome != "" && t.outcomes[e.CommandID] == nil {
		t.outcomes[e.CommandID] = e // a repeated command does not change the first outcome
	}
	if e.CommandID != "" && e.Outcome != "" {
		for _, ch := range t.waiting[e.CommandID] {
			ch <- t.outcomes[e.CommandID] // buffered
		}
		delete(t.waiting, e.CommandID)
	}
	if len(t.entries) > t.max+t.max/4 {
		t.trim()
	}
}

// Forget removes the entries of a partition that is about to be read from its start again.
func (t *Trail) Forget(partition int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(func(e *Entry) bool { return e.partition == partition })
}

// trim drops the oldest entries beyond the limit. Add calls it once for a quarter of the limit,
// so it costs little per entry.
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

// Find returns the entries that keep accepts, in the order they were recorded.
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

// Since returns the time, in ms since 1970, after which the trail is complete; 0: nothing was dropped.
func (t *Trail) Since() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim()
	return t.forgotten
}

// Skipped notes that records up to at, in ms since 1970, were never read.
func (t *Trail) Skipped(at int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgotten = max(t.forgotten, at)
}

// Outcome returns the entry with the outcome of a command, nil while it is unknown.
func (t *Trail) Outcome(commandID string) *Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcomes[commandID]
}

// Await returns a channel that receives the outcome of a command once, immediately if it is
// known. The caller must call stop when it no longer waits.
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

// Figures are those of a trail for metrics.
type Figures struct {
	Kept, Limit, Waiting int
	Total                int64
}

// Figures returns how full the trail is.
func (t *Trail) Figures() Figures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Figures{Kept: min(len(t.entries), t.max), Limit: t.max, Waiting: len(t.waiting), Total: t.total}
}
