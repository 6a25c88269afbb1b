package ops

import (
	"log/slog"
	"sync"
	"time"
)

// Of lines from one place in the code a log gets repeatsMost in repeatsEvery, so that a fault with
// thousands of devices fills no disk and hides no other line.
const (
	repeatsMost  = 20
	repeatsEvery = 10 * time.Second
)

// repeats counts the lines of each place in the code.
type repeats struct {
	mu     sync.Mutex
	places map[place]*count // as many as the code has lines that log
}

type place struct {
	pc    uintptr
	level slog.Level
}

type count struct {
	since            time.Time
	written, skipped int
}

// allow reports whether a line may be written. The first one after some that were left out says how many in the
// attribute repeats_skipped. Debug is for those who look at everything: it has no limit.
func (s *repeats) allow(r *slog.Record) bool {
	if r.Level < slog.LevelInfo || r.PC == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.places[place{r.PC, r.Level}]
	if c == nil {
		c = &count{since: r.Time}
		s.places[place{r.PC, r.Level}] = c
	}
	if age := r.Time.Sub(c.since); age >= repeatsEvery || age < 0 { // below zero the clock was set back
		c.since, c.written = r.Time, 0
	}
	if c.written == repeatsMost {
		c.skipped++
		return false
	}
	c.written++
	if c.skipped > 0 {
		*r = r.Clone() // the caller's may be used again
		r.AddAttrs(slog.Int("repeats_skipped", c.skipped))
		c.skipped = 0
	}
	return true
}
