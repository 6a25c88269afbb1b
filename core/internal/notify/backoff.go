package notify

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second
	// maxRetryAfter bounds the wait that a receiver may ask for.
	maxRetryAfter = 10 * time.Minute
)

// backoff is the wait before a retry: twice as long after each failure, with jitter, so
// that several cores do not retry all at once.
type backoff struct {
	failures int
	until    time.Time
}

// next records a failure and returns how many there were in a row.
func (b *backoff) next(now time.Time) int {
	pause := maxBackoff
	if b.failures < 10 {
		pause = min(minBackoff<<b.failures, maxBackoff)
	}
	b.failures++
	b.until = now.Add(pause/2 + rand.N(pause/2+1))
	return b.failures
}

// retryAfter reads the Retry-After header: seconds or a date. Zero means none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if s, err := strconv.Atoi(text); err == nil && s > 0 {
		return min(time.Duration(min(s, 1<<20))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
