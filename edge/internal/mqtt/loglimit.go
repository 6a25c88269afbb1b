package mqtt

import (
	"sync"
	"time"
)

// logEvery bounds how often warnings about clients are logged: a broken device may
// reconnect many times a second.
const logEvery = time.Second

// logLimit admits one event in logEvery and counts the others.
type logLimit struct {
	mu      sync.Mutex
	last    time.Time
	skipped int
}

// admit reports whether to log now, and how many events were skipped before.
func (l *logLimit) admit(now time.Time) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < logEvery {
		l.skipped++
		return 0, false
	}
	skipped = l.skipped
	l.last, l.skipped = now, 0
	return skipped, true
}
