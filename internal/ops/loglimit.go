package ops

import (
	"sync"
	"time"
)

// logEvery is the shortest time between two lines that a LogLimit lets through.
const logEvery = 10 * time.Second

// LogLimit lets one log line in 10 s through and counts the others, for events that a peer
// can cause at will. The zero value is ready for use, by any goroutines.
type LogLimit struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// Allow reports whether a line may be logged now, and how many were skipped since the
// last one.
func (l *LogLimit) Allow() (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.last) < logEvery {
		l.skipped++
		return 0, false
	}
	skipped, l.skipped, l.last = l.skipped, 0, time.Now()
	return skipped, true
}
